/* SPDX-License-Identifier: Apache-2.0
 *
 * The double's inside, shared by its files:
 *
 *   verbs_double_objects.c  libibverbs: devices, memory, queues, what is asked of them and the events they tell
 *   verbs_double_manager.c  librdmacm: ids, connections, the events of both
 *   verbs_double_wire.c     what is posted on one end arrives at another, and both are completed
 *   verbs_double_clock.c    the devices' counter, and queues whose completions carry it */
#ifndef TICKWIRE_TESTS_VERBS_DOUBLE_PARTS_H
#define TICKWIRE_TESTS_VERBS_DOUBLE_PARTS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_double.h"

#define EXPORT __attribute__((visibility("default")))
#define DEPTH 8192u
#define GRH 40u
#define MULTICAST 0xFFFFFFu /* the queue pair number that stands for a group's */

extern struct verbs_double verbs_double;
extern pthread_mutex_t verbs_double_lock;

struct double_device {
    struct ibv_device device;
    struct verbs_context *context; /* NULL: not open */
    int async_write;
};
extern struct double_device double_devices[VERBS_DOUBLE_DEVICES];

struct cq {
    union {
        struct ibv_cq cq;
        struct ibv_cq_ex stamped;
    };
    struct ibv_wc done[DEPTH];
    uint64_t ticks[DEPTH];
    unsigned head, tail;
    bool armed;
};

struct ah {
    struct ibv_ah ah;
    union ibv_gid to;
};

struct message {
    struct message *next;
    uint32_t length;
    uint8_t bytes[];
};

struct qp {
    struct ibv_qp qp;
    struct qp *next, *peer; /* of all; connected to */
    struct cq *sends, *receives;
    union ibv_gid groups[2]; /* joined; zeros: none */
    struct ibv_sge posted[DEPTH];
    uint64_t ids[DEPTH];
    unsigned head, tail;
    struct message *waiting; /* no receive is posted */
    struct { struct ibv_wc wc; bool signaled; } held[DEPTH]; /* sends not acknowledged yet */
    unsigned held_count;
    unsigned max_inline;
    uint8_t tos;
    bool error;
};

struct id {
    struct rdma_cm_id id;
    struct id *next, *peer;
    uint16_t port;
    uint8_t tos;
    bool listening;
    unsigned events; /* not acknowledged */
};

struct event {
    struct rdma_cm_event event;
    struct event *next;
    uint8_t data[256];
};

struct channel {
    struct rdma_event_channel channel;
    int write_fd;
    struct event *events;
};

struct comp {
    struct ibv_comp_channel channel;
    int write_fd;
    struct ibv_cq *ready[64];
    unsigned head, tail;
};

/* Every object is counted. */
void *double_make(size_t size);
int double_destroy(void *object);

/* With the lock held. */
struct ibv_context *double_open(unsigned device);
void double_say(unsigned device, enum ibv_event_type what);
void double_break(struct qp *qp);
void double_link(int up); /* takes the lock itself */
extern bool double_link_down;
uint64_t double_ticks(void); /* of a completion */
void double_check_memory(const struct ibv_qp *qp, const struct ibv_sge *part); /* is registered, and under that key */

/* The inside of the contexts and queues: what libibverbs' inline functions call. */
void double_wire_context(struct ibv_context *context);
void double_clock_context(struct verbs_context *context);
void double_release_held(struct cq *cq);
struct cq *double_make_cq(struct ibv_context *of, void *owner, struct ibv_comp_channel *channel);

/* The manager's: of rdma_cm ids on a device. */
void double_say_removed(const struct ibv_context *context);

extern struct qp *double_qps;

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A benchmark's end (bench_end.h) over RDMA: a reliable connection (RC) or datagrams (UD), SEND on both.
 *
 * The two ends tell each other their bench_rdma_address over a connection of their own, so that nothing is asked of the connection
 * manager but the device of an interface and a queue pair in its first state. Both ends poll; a message goes inline where the device
 * lets it and is copied into registered memory where not, on every run of one size alike. Receives are posted again in batches,
 * sends ask for a completion in batches. */
#ifndef TICKWIRE_BENCH_RDMA_H
#define TICKWIRE_BENCH_RDMA_H

#include "arena.h"
#include "bench_end.h"
#include "transport/verbs_device.h"

#define BENCH_RDMA_SENDS 256u
#define BENCH_RDMA_RECEIVES_MIN 256u
#define BENCH_RDMA_RECEIVES_MAX 4096u
#define BENCH_RDMA_MEMORY (32u << 20) /* about so much for receives, within the bounds above */
#define BENCH_RDMA_SIGNAL 32u
#define BENCH_RDMA_REFILL 32u
#define BENCH_RDMA_INLINE 256u
#define BENCH_RDMA_GRH 40u /* before every datagram received */

struct bench_rdma_address {
    uint8_t gid[16];
    uint32_t queue_pair, psn;
    uint32_t mtu; /* bytes */
};

struct bench_rdma {
    struct bench_end *end;
    struct verbs_library library;
    struct arena arena;
    struct rdma_event_channel *channel;
    struct verbs_device device;
    struct rdma_cm_id *id;
    struct ibv_cq *sends, *receives;
    struct ibv_ah *ah;
    bool datagram;
    uint8_t tos;
    uint32_t size, stride, skip; /* skip: bytes of a receive before the message */
    uint32_t slots;              /* receives; after them lie BENCH_RDMA_SENDS slots to send from */
    uint8_t *memory;
    uint32_t max_inline, posted, completed; /* sends, modulo 2^32 */
    uint32_t next_refill, freed;
    bool holds; /* the last message given out lies in a slot that is not given back */
    struct bench_rdma_address here, there;
};

/* Open the device of an IPv4 address and a queue pair on it. On failure everything is closed again. */
bool bench_rdma_open(struct bench_rdma *self, struct bench_end *end, const struct verbs_places *places, const char *interface,
                     bool datagram, uint32_t size, uint8_t tos, uint32_t psn, struct failure *failure);
bool bench_rdma_connect(struct bench_rdma *self, const struct bench_rdma_address *there, struct failure *failure);
void bench_rdma_close(struct bench_rdma *self);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One reliable connection that carries a stream of bytes, as both ends use it: the engine for its orders, the exchange's gateway for
 * theirs.
 *
 * Messages have at most LINK_MESSAGE bytes and no meaning of their own: the receiver strings them together again. Receives are posted
 * before the connection is made, LINK_RECEIVES of them, and again LINK_REFILL at a time, so that the other end's sends always find
 * one; when they do not, they wait (receiver not ready, tried again for ever) as bytes would in a TCP window. What fits goes inline,
 * so that the device need not fetch it; what does not is copied into registered memory. Only every LINK_SIGNAL-th send asks for a
 * completion: it tells of all sends before it, and completions are looked at only when the send queue is full.
 *
 * Where the device stamps completions (device->stamped) every send asks for one, so that every order has its stamp: which sends ask
 * is one mask, chosen when the link is opened, so the send runs the same instructions either way. The price is the device's, a
 * completion to write for each order; they are read beside the path, when stamps are collected, and their ticks kept by the number of
 * the send until then. A send whose completion never comes, or comes with an error, has none.
 *
 * A connection ends by a work completion in error (the link is down, the other end is gone) or by an event of the connection manager
 * (the other end closed, the device was removed), which comes on another thread and is left in `lost`. */
#ifndef TICKWIRE_TRANSPORT_VERBS_LINK_H
#define TICKWIRE_TRANSPORT_VERBS_LINK_H

#include <stdatomic.h>

#include "verbs_queue.h"

#define LINK_MESSAGE 1024u
#define LINK_RECEIVES 256u
#define LINK_REFILL 32u
#define LINK_SENDS 256u
#define LINK_SIGNAL 32u
#define LINK_INLINE 256u /* bytes asked for; an order has about 50 */
#define LINK_MEMORY ((LINK_RECEIVES + LINK_SENDS) * (size_t)LINK_MESSAGE)
#define LINK_MIN_RNR_TIMER 1u /* 0.01 ms until a sender tries again; the connection manager's own 0 means 655 ms */
#define LINK_ACK_TIMEOUT 15u  /* 4.096 us * 2^15 = 134 ms an attempt */
#define LINK_RETRIES 7u
#define LINK_RNR_RETRIES 7u /* for ever */

/* What both ends say of themselves in the private data of the connection request, and of its acceptance. */
#define LINK_HELLO 8u
#define LINK_HELLO_MAGIC 0x54574F31u /* "TWO1" */

struct verbs_link {
    const struct verbs_library *library;
    struct rdma_cm_id *id; /* NULL: not open */
    struct verbs_queue sends;
    struct ibv_cq *receives;
    uint8_t *memory; /* LINK_RECEIVES slots to receive into, then LINK_SENDS to send from */
    uint32_t key;
    uint32_t max_inline;
    uint32_t signal_mask; /* a send asks for a completion when its number has none of these bits */
    uint32_t posted, completed; /* sends; modulo 2^32 */
    uint64_t ticks[LINK_SENDS]; /* of completed sends, by number modulo LINK_SENDS; with stamps only */
    uint32_t next_refill, freed; /* receive slots that are not posted, and the first of them */
    uint32_t held_slot, held_at, held; /* bytes received and not yet given out */
    _Atomic int lost; /* errno by which the connection manager says that it is over */
    bool ended;
    char why[160];    /* it ended, for people */
};

/* Queues, queue pair and posted receives for `id`, which the caller has resolved or been given. `memory` has LINK_MEMORY bytes of the
 * device's registered memory; `channel`: wakes the gateway when something comes; NULL: the queues
 * are polled. */
bool verbs_link_open(struct verbs_link *link, const struct verbs_device *device, struct rdma_cm_id *id,
                     struct ibv_comp_channel *channel, uint8_t *memory, struct failure *failure);

/* The parameters of rdma_connect and rdma_accept. `hello` has LINK_HELLO bytes and stays. */
struct rdma_conn_param verbs_link_parameters(const struct verbs_device *device, uint8_t *hello);

/* Whether the other end's hello fits: EPROTO, or EMSGSIZE when its MTU is another. */
bool verbs_link_hello(const struct verbs_device *device, const void *hello, uint32_t length, struct failure *failure);

/* After the connection is established; `tos` as verbs_device_check has it. */
bool verbs_link_established(struct verbs_link *link, const struct verbs_device *device, int tos, struct failure *failure);

/* Disconnect and give everything back, the id too. */
void verbs_link_close(struct verbs_link *link);

/* As struct order_transport says of send and receive. */
int verbs_link_send(struct verbs_link *link, const uint8_t *bytes, uint32_t length);
int verbs_link_receive(struct verbs_link *link, uint8_t *bytes, uint32_t capacity);

/* Look at completions of sends. */
void verbs_link_reap(struct verbs_link *link);

/* Sends that the queue has room for, after that. */
uint32_t verbs_link_room(struct verbs_link *link);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of messages of a flow that wait for an answer, in order of PSN. Only the newest can be without its end. */
#ifndef TICKWIRE_RDMA_FLOW_MESSAGES_H
#define TICKWIRE_RDMA_FLOW_MESSAGES_H

#include "flow.h"

static inline struct message *oldest(struct flow *flow)
{
    return flow->head == flow->tail ? NULL : &flow->messages[flow->head & flow->mask];
}

static inline struct message *newest(struct flow *flow)
{
    return flow->head == flow->tail ? NULL : &flow->messages[(flow->tail - 1) & flow->mask];
}

static inline void end_message(struct flow *flow, uint32_t last)
{
    struct message *message = newest(flow);
    if (message != NULL && !message->ended) {
        message->ended = true;
        message->last = last;
    }
}

static inline void begin_message(struct flow *flow, const struct roce_packet *p, enum flow_message_kind kind, bool partial)
{
    end_message(flow, psn_plus(p->psn, -1));
    if (flow->tail - flow->head > flow->mask) {
        flow->head++;
        flow->counts.overrun++;
    }
    flow->messages[flow->tail++ & flow->mask] =
        (struct message){.time_ns = p->time_ns, .first = p->psn, .last = p->psn, .kind = kind, .partial = partial};
}

/* Take the messages that end at or before `psn` off the queue. `response`: it is the end of a read or an atomic. */
static inline void complete(struct flow *flow, uint32_t psn, uint64_t time_ns, bool response)
{
    struct message *message;
    while ((message = oldest(flow)) != NULL && message->ended && psn_distance(message->last, psn) >= 0) {
        bool asks = message->kind == MESSAGE_READ || message->kind == MESSAGE_ATOMIC;
        if (asks && !(response && message->last == psn)) {
            flow->counts.unanswered++;
        } else if (message->partial) {
            flow->counts.partial++;
        } else {
            flow->counts.completed++;
            if (LIKELY(time_ns >= message->time_ns))
                histogram_add(flow->whole, time_ns - message->time_ns);
        }
        flow->head++;
    }
}

#endif

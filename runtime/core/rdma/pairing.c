/* SPDX-License-Identifier: Apache-2.0 */
#include "pairing.h"

enum {
    EVERY_ANSWER = 64, /* so many answers of an unpaired flow look for a peer, then one in so many: a look walks all flows between */
    PORTS_FROM = 0xC000,
    PORT_BITS = 14,
};

static void part(struct trace *trace, uint32_t index)
{
    struct flow *flow = &trace->flows[index];
    if (flow->peer != FLOW_NONE) {
        struct flow *peer = &trace->flows[flow->peer];
        peer->peer = FLOW_NONE;
        peer->pairing = PAIRED_NOT;
    }
    flow->peer = FLOW_NONE;
    flow->pairing = PAIRED_NOT;
    flow->mismatches = 0;
}

void pairing_join(struct trace *trace, uint32_t one, uint32_t other, enum flow_pairing how)
{
    part(trace, one);
    part(trace, other);
    trace->flows[one].peer = other;
    trace->flows[other].peer = one;
    trace->flows[one].pairing = trace->flows[other].pairing = (uint8_t)how;
}

/* rdma_calc_flow_label and rdma_flow_label_to_udp_sport of Linux' include/rdma/ib_verbs.h. */
static uint16_t port_of_both(uint32_t one, uint32_t other)
{
    uint64_t product = (uint64_t)one * other;
    product ^= product >> 20;
    product ^= product >> 40;
    uint32_t label = (uint32_t)product & 0xFFFFF;
    return (uint16_t)(PORTS_FROM | ((label & 0x3FFF) ^ label >> 14));
}

/* hash_32(number, 14), as drivers/infiniband/sw/rxe/rxe_qp.c has it. */
static uint16_t port_of_sender(uint32_t qp)
{
    return (uint16_t)(PORTS_FROM + (qp * 0x61C88647u >> (32 - PORT_BITS)));
}

static bool ports_tell(const struct flow *answers, const struct flow *requests)
{
    uint32_t asked = requests->destination_qp, asking = answers->destination_qp;
    uint16_t both = port_of_both(asking, asked);
    return (answers->port == both && requests->port == both) ||
           (answers->port == port_of_sender(asked) && requests->port == port_of_sender(asking));
}

uint32_t pairing_find(struct trace *trace, uint32_t index, const struct roce_packet *p)
{
    struct flow *flow = &trace->flows[index];
    if (LIKELY(flow->peer != FLOW_NONE))
        return flow->peer;
    if (flow->attempts++ >= EVERY_ANSWER && flow->attempts % EVERY_ANSWER != 0)
        return FLOW_NONE;
    uint32_t found = FLOW_NONE, waiting = 0, told = FLOW_NONE, telling = 0;
    for (uint32_t i = trace_first_between(trace, flow->source, flow->destination); i != FLOW_NONE;
         i = trace->flows[i].next_of_hosts) {
        const struct flow *other = &trace->flows[i];
        if (i == index || other->peer != FLOW_NONE || !address_equal(other->source, flow->destination) ||
            !address_equal(other->destination, flow->source) || !flow_waits_for(other, p->psn))
            continue;
        waiting++;
        found = i;
        if (ports_tell(flow, other)) {
            telling++;
            told = i;
        }
    }
    if (waiting == 1) {
        pairing_join(trace, index, found, PAIRED_BY_PSN);
    } else if (telling == 1) {
        found = told;
        pairing_join(trace, index, found, PAIRED_BY_PORT);
    } else {
        return FLOW_NONE;
    }
    return found;
}

void pairing_judge(struct trace *trace, uint32_t index, bool fitted)
{
    struct flow *flow = &trace->flows[index];
    if (fitted) {
        flow->mismatches = 0;
        return;
    }
    flow->counts.answers_unmatched++;
    if (++flow->mismatches >= PAIRING_MISMATCHES) {
        flow->mismatches = 0;
        if (flow->pairing != PAIRED_BY_CM) {
            part(trace, index);
            flow->attempts = 0;
        }
    }
}

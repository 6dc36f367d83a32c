/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_reads.h"

#include "flow_messages.h"

enum { MTU_MIN = 256, MTU_MAX = 4096 };

static uint32_t responses_of(uint32_t length, uint32_t mtu)
{
    uint64_t count = ((uint64_t)length + mtu - 1) / mtu;
    return count == 0 ? 1 : (uint32_t)count;
}

/* The newest request is a read of so many responses. */
static void end_read(struct flow *flow, uint32_t responses)
{
    flow->read_open = false;
    flow_advance(flow, psn_plus(flow->read_psn, (int32_t)responses));
    end_message(flow, psn_plus(flow->next_psn, -1));
}

void reads_learn_mtu(struct flow *flow, uint32_t mtu)
{
    if (mtu < MTU_MIN || mtu > MTU_MAX || (mtu & (mtu - 1)) != 0)
        return;
    flow->mtu = mtu;
    if (flow->read_open)
        end_read(flow, responses_of(flow->read_length, mtu));
}

void reads_close(struct flow *flow, uint32_t psn)
{
    int32_t taken = psn_distance(flow->read_psn, psn);
    if (taken < 1)
        return; /* the read once more, or something older */
    uint32_t best = responses_of(flow->read_length, MTU_MAX), fitting = 0, fits = 0;
    for (uint32_t mtu = MTU_MAX; mtu >= MTU_MIN; mtu /= 2) {
        uint32_t responses = responses_of(flow->read_length, mtu);
        if (responses <= (uint32_t)taken)
            best = responses;
        if (responses == (uint32_t)taken) {
            fitting++;
            fits = mtu;
        }
    }
    if (fitting == 1)
        flow->mtu = fits;
    end_read(flow, best);
}

void reads_open(struct flow *flow, const struct roce_packet *p)
{
    flow->read_psn = p->psn;
    flow->read_length = p->dma_length;
    flow->read_open = true;
    if (flow->mtu != 0 || p->dma_length <= MTU_MIN)
        end_read(flow, responses_of(p->dma_length, flow->mtu != 0 ? flow->mtu : MTU_MIN));
}

void reads_came_late(struct flow *flow, const struct roce_packet *p)
{
    uint32_t mtu = flow->mtu != 0 ? flow->mtu : MTU_MAX, count = responses_of(p->dma_length, mtu);
    for (uint32_t i = 0; i < count && i <= flow->mask; i++) {
        uint32_t psn = psn_plus(p->psn, (int32_t)i);
        struct sent *sent = &flow->sent[psn & flow->mask];
        if (!sent->missed || sent->psn != psn)
            return;
        sent->missed = false;
        flow->counts.missing -= flow->counts.missing > 0;
    }
}

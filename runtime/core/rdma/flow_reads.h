/* SPDX-License-Identifier: Apache-2.0
 *
 * How many PSNs a read takes: as many as it has responses, which depends on the path MTU. Until something tells that, the newest read
 * is open: its end is learned from a packet of full size, from its last response, or from the request after it. */
#ifndef TICKWIRE_RDMA_FLOW_READS_H
#define TICKWIRE_RDMA_FLOW_READS_H

#include "flow.h"

/* A data packet that does not end its message had so many bytes. */
void reads_learn_mtu(struct flow *flow, uint32_t mtu);

/* The newest request is this read. */
void reads_open(struct flow *flow, const struct roce_packet *packet);

/* A request has come after a read of which nobody knows how many PSNs it takes: most that one of the five MTUs allows for. */
void reads_close(struct flow *flow, uint32_t psn);

/* A read has come that was passed over: the PSNs of its responses are not missing any more. */
void reads_came_late(struct flow *flow, const struct roce_packet *packet);

static inline void flow_advance(struct flow *flow, uint32_t next_psn)
{
    flow->sequence += (uint64_t)(int64_t)psn_distance(flow->next_psn, next_psn);
    flow->next_psn = next_psn;
}

#endif

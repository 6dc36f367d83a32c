/* SPDX-License-Identifier: Apache-2.0
 *
 * Which flow the answers in a flow belong to.
 *
 * The connection manager's messages name both queue pairs, and then there is no doubt. Otherwise an answer looks for the flows the
 * other way that wait for just this PSN: PSNs begin at random numbers of 24 bits in most software, so there is mostly one. When there
 * are several (all of them began at 0), the UDP source port decides, if it does: Linux makes it from both queue pairs' numbers
 * (rdma_get_udp_sport) and soft-RoCE from the sender's (rxe_qp_init_req). What is left stays unpaired until a PSN tells. Both are
 * guesses, and a guess is taken back after PAIRING_MISMATCHES answers in a row that name nothing its peer has sent. */
#ifndef TICKWIRE_RDMA_PAIRING_H
#define TICKWIRE_RDMA_PAIRING_H

#include "trace.h"

#define PAIRING_MISMATCHES 16

/* Bring two flows together; what either was paired with before is alone again. */
void pairing_join(struct trace *trace, uint32_t one, uint32_t other, enum flow_pairing how);

/* An answer came in flow `index`: the flow it answers, or FLOW_NONE. */
uint32_t pairing_find(struct trace *trace, uint32_t index, const struct roce_packet *packet);

/* The answer did or did not fit the peer. */
void pairing_judge(struct trace *trace, uint32_t index, bool fitted);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The invariant CRC of a RoCEv2 packet: Ethernet's CRC-32 over eight bytes of ones in the place of a local route header, the IP, UDP
 * and transport headers with all that changes on the way set to ones, and the data (InfiniBand Architecture Specification, annex
 * A17). Eight bytes a step with eight tables, since a capture has gigabytes of data. */
#ifndef TICKWIRE_RDMA_ICRC_H
#define TICKWIRE_RDMA_ICRC_H

#include "packet.h"

struct icrc_tables {
    uint32_t of[8][256];
};

void icrc_start(struct icrc_tables *tables);

/* Whether the packet, of which the capture has all (`whole`), carries the CRC it should. */
bool icrc_holds(const struct icrc_tables *tables, const struct roce_packet *packet);

#endif

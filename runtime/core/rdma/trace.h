/* SPDX-License-Identifier: Apache-2.0
 *
 * RoCEv2 traffic, packet by packet, into what a person asks about each queue pair: how long answers took, what was sent again and
 * why, who was told to slow down, who was paused.
 *
 * All memory is one region of zeroes that the caller gives, sized by `limits`; nothing is allocated afterwards. Give it pages that
 * are only taken when they are touched: a flow with little traffic touches few of its own. Flows beyond the limit are counted, not
 * followed. */
#ifndef TICKWIRE_RDMA_TRACE_H
#define TICKWIRE_RDMA_TRACE_H

#include "cm.h"
#include "flow.h"
#include "icrc.h"
#include "pauses.h"

#define TRACE_FLOWS_MAX (1u << 20)
#define TRACE_OUTSTANDING_MAX (1u << 20)
#define TRACE_BATCH 16

struct trace_limits {
    uint32_t flows;
    uint32_t outstanding; /* packets and messages of a flow that wait for an answer; a power of two */
    bool icrc;            /* check it */
};

struct trace {
    struct trace_limits limits;
    uint64_t first_ns, last_ns, before_ns;
    uint64_t bytes; /* captured */
    uint64_t kinds[PACKET_KINDS]; /* records by enum packet_kind */
    uint64_t backwards; /* records older than the one before */
    uint64_t untracked; /* packets of flows beyond the limit */
    uint64_t connections; /* that the connection manager named */
    uint32_t flow_count;
    uint16_t unknown_link; /* the last one; 0: none */
    uint32_t slot_mask, host_mask;
    struct pauses pauses;
    struct cm cm;
    struct icrc_tables icrc;
    struct flow *flows;
    uint32_t *slots; /* index of a flow and 1; 0: free */
    uint32_t *hosts; /* first flow between two addresses, and 1 */
    uint8_t *memory; /* of the flows, one footprint each */
};

/* Bytes, and the trace in them. `outstanding` a power of two up to TRACE_OUTSTANDING_MAX, flows 1 to TRACE_FLOWS_MAX. */
size_t trace_footprint(const struct trace_limits *limits);
struct trace *trace_new(void *zeroes, const struct trace_limits *limits);

/* The next records, in order, up to TRACE_BATCH of them: what each of them needs of memory is asked for before the first is followed,
 * since with thousands of queue pairs nothing of that is in a cache. */
void trace_records(struct trace *trace, const struct capture_record *records, uint32_t count);

/* The flow from one address to a queue pair of another, made if there is room; FLOW_NONE otherwise. `source_qp`: FLOW_NONE unless
 * the flow is of datagrams. */
uint32_t trace_flow(struct trace *trace, struct address source, struct address destination, uint32_t destination_qp,
                    uint32_t source_qp);

/* The first flow between two addresses, in either direction; `next_of_hosts` goes on. */
uint32_t trace_first_between(const struct trace *trace, struct address one, struct address other);

#endif

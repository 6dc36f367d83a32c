/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes from one address to one queue pair of another: requests of one queue pair, and the answers it gives to the requests that
 * come the other way. The base transport header names the destination's queue pair only, so the two directions of a connection are
 * two flows, which pairing.h brings together.
 *
 * A flow is judged as a requester by packet sequence numbers (PSN), 24 bits that wrap:
 *
 *   sent      a ring by PSN: when a packet was first seen, how often since, whether an answer named it. An answer with the same PSN
 *             closes a round trip, unless the packet was sent more than once: then nobody can say which one was answered.
 *   messages  a queue in order of PSN. An acknowledgement of PSN p acknowledges every message that ends at or before p; a read is
 *             complete with its last response, an atomic with its answer. Time counts from the first packet of the message.
 *
 * Both are rings of fixed size; what they lose because more is outstanding is counted. A read takes as many PSNs as it has responses,
 * which depends on the path MTU: that is learned from the first data packet of full size, or from where the next request goes on.
 *
 * A PSN seen before is a retransmission. A PSN skipped is missing: the capture or the network lost it before this point; one that
 * comes later is out of order. A message all of whose packets come so late is counted and has no time: its place in the queue is
 * passed, and it was sent before anybody saw it.
 *
 * A jump of more than FLOW_RESTART is another life of the same queue pair number, unless a message reaches back as far that waits for
 * an answer: one read may take eight million PSNs. That holds for paired flows only, since in others nothing is ever answered. */
#ifndef TICKWIRE_RDMA_FLOW_H
#define TICKWIRE_RDMA_FLOW_H

#include "histogram.h"
#include "packet.h"
#include "series.h"

#define FLOW_NONE 0xFFFFFFFFu
#define FLOW_RESTART 65536
#define FLOW_RECENT 256 /* packets kept to tell copies of the capture from retransmissions */
#define FLOW_NAKS 32
#define FLOW_SEQUENCE_BASE (1u << 31) /* of the first packet, so that late ones of before it have a number too */

enum flow_message_kind { MESSAGE_SEND, MESSAGE_WRITE, MESSAGE_READ, MESSAGE_ATOMIC, MESSAGE_KINDS };

enum flow_pairing {
    PAIRED_NOT,
    PAIRED_BY_PSN,  /* a guess: the only flow the other way that waits for the PSN an answer names */
    PAIRED_BY_PORT, /* a guess: of several such flows the one whose UDP source port follows from the queue pairs as drivers make it */
    PAIRED_BY_CM,   /* the connection manager's messages name both queue pairs */
};

struct sent {
    uint64_t time_ns;
    uint32_t psn;
    uint16_t count; /* 0: nothing was sent */
    bool answered;
    bool missed; /* not sent as far as seen, but passed over */
};

struct message {
    uint64_t time_ns; /* of its first packet */
    uint32_t first, last;
    uint8_t kind;
    bool ended;   /* `last` is known */
    bool partial; /* its first packet was not seen */
};

struct recent {
    uint32_t psn;
    uint16_t ip_id;
    uint8_t opcode;
    uint8_t direction; /* link_direction, with the high bit: there is something */
};

struct flow_counts {
    uint64_t packets, wire_bytes, payload_bytes;
    uint64_t ect, marks, becn; /* packets by ECN: capable, congestion experienced; backward mark of the BTH */
    uint64_t requests, read_responses, acks; /* packets */
    uint64_t missing, completed;
    uint64_t messages[MESSAGE_KINDS];
    uint64_t retransmissions, retransmitted_bytes;
    uint64_t out_of_order, copies, restarts;
    uint64_t partial, unanswered, unacknowledged, overrun; /* messages */
    uint64_t ambiguous, backwards; /* answers: to a packet sent twice; older than it, since clocks of interfaces differ */
    uint64_t answers_unmatched;    /* of this flow: they name no PSN that its peer has sent */
    uint64_t icrc_checked, icrc_wrong;
    uint64_t cnps;                 /* sent in this flow */
    uint64_t naks[FLOW_NAKS];      /* sent in this flow, by code */
    uint64_t not_ready[FLOW_NAKS]; /* RNR NAKs sent in this flow, by timer code */
    uint64_t other_syndromes;
    uint64_t late_messages; /* without a time */
    uint64_t repeated;      /* packets sent again, each once */
};

struct flow {
    struct address source, destination;
    uint32_t destination_qp;
    uint32_t source_qp; /* of datagrams, by their DETH; otherwise FLOW_NONE: the peer's destination_qp is it */
    uint32_t peer, next_of_hosts;
    uint8_t pairing, service, priority, dscp;
    bool started, read_open, ids_repeat;
    uint8_t mismatches;
    uint16_t last_id;
    uint32_t last_psn;
    /* as a requester */
    uint32_t mask;     /* of the rings */
    uint32_t next_psn; /* after the last packet in order */
    uint32_t read_psn, read_length, mtu;
    uint64_t sequence; /* of next_psn, counted from the first packet without wrap */
    uint32_t head, tail;
    uint32_t attempts; /* to find a peer */
    uint16_t port;     /* UDP source port of the last request or answer */
    uint64_t first_ns, last_ns;
    struct sent *sent;
    struct message *messages;
    struct recent *recent;
    struct histogram *round_trip, *whole; /* of single packets; of messages */
    struct series *series;
    struct flow_counts counts;
    uint32_t late_psn; /* where a message goes on of which all came late so far; FLOW_NONE: there is none */
    uint64_t pauses_before[ROCE_PRIORITIES + 1];
};

#define FLOW_HOT 320 /* first bytes of a flow: what an ordinary packet looks at */

/* Bytes a flow needs beside itself, with rings of `outstanding` entries, a power of two. */
size_t flow_footprint(uint32_t outstanding);
void flow_start(struct flow *flow, uint8_t *memory, uint32_t outstanding);

/* The queue pair begins another life: what waits for an answer will get none, and the next request may have any PSN. */
void flow_forget(struct flow *flow);

/* Whether the capture has seen this very packet before, on another interface. */
bool flow_is_copy(struct flow *flow, const struct roce_packet *packet);

void flow_request(struct flow *flow, const struct roce_packet *packet);

/* An answer to this flow's requests, which came in the flow of its peer; false when its PSN is none that was sent. */
bool flow_answer(struct flow *flow, const struct roce_packet *packet);

/* Whether an answer with this PSN is waited for. */
static inline bool flow_waits_for(const struct flow *flow, uint32_t psn)
{
    const struct sent *sent = &flow->sent[psn & flow->mask];
    return flow->started && sent->count > 0 && sent->psn == psn && !sent->answered;
}

static inline struct recent *flow_recent(const struct flow *flow, const struct roce_packet *packet)
{
    return &flow->recent[(packet->psn ^ (uint32_t)packet->opcode << 3) % FLOW_RECENT];
}

/* Ask for what a request of the flow, or an answer to one, will touch. */
static inline void flow_prefetch(const struct flow *flow, uint32_t psn)
{
    prefetch(&flow->sent[psn & flow->mask]);
    prefetch(&flow->messages[flow->head & flow->mask]);
    prefetch(flow->series);
}

static inline uint64_t flow_outstanding(const struct flow *flow)
{
    return flow->tail - flow->head;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The market data feed: one stream of MoldUDP64 messages out of an A line, a B line and re-requested packets.
 *
 * On the fast path this is one comparison: a packet that begins with the next sequence is taken as it lies in the transport's
 * buffer. A packet from further on opens a gap: it is kept (copied into the arena), the missing messages are asked for from the
 * re-request server, the same again every `request_ms`, and whatever line brings them first closes the gap; what was kept is then
 * taken in order. After `gap_timeout_ms`, or when no more can be kept, the gap is declared: the missing messages are counted as
 * lost, the feed goes on behind them and is `stale` until the next session, because books that missed messages are wrong. */
#ifndef TICKWIRE_FEED_H
#define TICKWIRE_FEED_H

#include "arena.h"
#include "mold.h"
#include "transport/transport.h"

struct feed_policy {
    uint32_t gap_timeout_ms; /* 0: declare at once */
    uint32_t request_ms;
    uint32_t silent_ms;      /* a feed without any packet, heartbeats included, for that long is `silent`; 0: never */
    uint32_t keep_packets;   /* kept behind a gap */
    bool request;            /* there is a re-request server */
};

struct feed_counts {
    uint64_t packets_a, packets_b, packets_requested;
    uint64_t duplicates;      /* messages */
    uint64_t gaps;            /* opened */
    uint64_t gaps_closed;     /* without loss */
    uint64_t messages_lost;
    uint64_t requests;
    uint64_t out_of_session, malformed;
};

struct feed; /* opaque memory of the arena: tracker, kept packets, policy, counts */

enum feed_verdict {
    FEED_TAKE,    /* walk the messages of `view`, then feed_taken */
    FEED_NOTHING, /* duplicate, heartbeat, kept, damaged or foreign: nothing to walk */
};

size_t feed_footprint(const struct feed_policy *policy);
struct feed *feed_init(struct arena *arena, const struct feed_policy *policy);

/* Judge a packet as it comes. `now_ns` may be a little old. */
enum feed_verdict feed_packet(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view);

/* After the walk: how many messages were taken from the packet (fewer than promised when its tail is damaged). */
void feed_taken(struct feed *feed, uint32_t messages);

/* The next kept packet that fits now, as feed_packet would give it; FEED_NOTHING when there is none. Call until then after every
 * feed_taken that closed a gap, and after feed_tick. */
enum feed_verdict feed_kept(struct feed *feed, struct transport_packet *packet, struct mold_view *view);
bool feed_has_kept(const struct feed *feed); /* cheap: look before calling feed_kept */

/* Every few milliseconds and whenever a gap is open: re-requests through `transport->request`, time-outs. True when a gap was
 * declared: the feed is stale from here. */
bool feed_tick(struct feed *feed, const struct transport *transport, uint64_t now_ns);

bool feed_is_stale(const struct feed *feed);
bool feed_is_silent(const struct feed *feed);
bool feed_gap_open(const struct feed *feed);
uint64_t feed_next_sequence(const struct feed *feed);
const uint8_t *feed_session(const struct feed *feed);
const struct feed_counts *feed_counts(const struct feed *feed);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The market data feed: one stream of MoldUDP64 messages out of an A line, a B line and re-requested packets.
 *
 * On the fast path this is one comparison: a packet that begins with the next sequence is taken as it lies in the transport's
 * buffer. A packet from further on opens a gap: it is kept (copied into the arena), the missing messages are asked for from the
 * re-request server, the same again every `request_ms`, and whatever line brings them first closes the gap; what was kept is then
 * taken in order. After `gap_timeout_ms` without one of the missing messages, or when no more can be kept, the gap is declared: the
 * missing messages are counted as lost, the feed goes on behind them and is `stale` until the next session, because books that
 * missed messages are wrong. When nobody has looked for half of the time-out, FEED_ABSENCE_MS at least (the process was
 * stopped), nobody has asked, and it begins anew. A heartbeat and the end of the session show a gap too; an end waits until the gap before it is closed or declared.
 *
 * Lines. A and B may be far apart. A session begins with the first packet of it on either, never with a requested one; its id may
 * begin again only on a line that has said its end, because elsewhere the packet with sequence 1 is that line running behind.
 *
 * Joining late. With a re-request server the messages before the first packet are a gap like any other, except that the feed is
 * stale until it has closed: nobody should act on tops of an hour ago. Without, the session begins where the feed is, nothing is
 * counted as lost, and under `strict_join` the feed is stale, because books that miss their beginning are wrong.
 *
 * Trust. Nothing a packet says about itself is believed: a packet begins a session only when all its messages are whole and the id
 * is printable; behind a gap only whole messages count; sequences above FEED_SEQUENCE_LAST are damage, so that no sum wraps and a
 * wild number cannot make the rest of the day look old. */
#ifndef TICKWIRE_FEED_H
#define TICKWIRE_FEED_H

#include "arena.h"
#include "mold.h"
#include "transport/transport.h"

#define FEED_ABSENCE_MS 20u /* far more than the milliseconds between two feed_tick */
#define FEED_SEQUENCE_LAST (1ULL << 40) /* far beyond the messages of any session */

struct feed_policy {
    uint32_t gap_timeout_ms; /* 0: declare at once */
    uint32_t request_ms;
    uint32_t silent_ms;      /* a feed without any packet, heartbeats included, for that long is `silent`; 0: never */
    uint32_t keep_packets;   /* kept behind a gap */
    bool request;            /* there is a re-request server */
    bool strict_join;        /* without one, a session joined late is stale from its beginning */
};

struct feed_counts {
    uint64_t packets_a, packets_b, packets_requested;
    uint64_t duplicates;      /* messages */
    uint64_t gaps;            /* opened; one until nothing is known to be missing, however many holes it has */
    uint64_t gaps_closed;     /* without loss */
    uint64_t messages_lost;
    uint64_t requests;
    uint64_t out_of_session;  /* packets */
    uint64_t malformed;       /* packets: too short, an incredible header, or fewer whole messages than promised */
};

struct feed; /* opaque memory of the arena: tracker, kept packets, policy, counts */

enum feed_verdict {
    FEED_TAKE,    /* look at `view` (a new session, an end, a loss), walk its messages if there are any, then feed_taken */
    FEED_NOTHING, /* duplicate, heartbeat, kept, damaged or foreign: nothing to walk */
};

size_t feed_footprint(const struct feed_policy *policy);
struct feed *feed_init(struct arena *arena, const struct feed_policy *policy);

/* Judge a packet as it comes. `now_ns` may be a little old. */
enum feed_verdict feed_packet(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view);

/* After the walk: how many messages were taken from the packet (fewer than promised when its tail is damaged). */
void feed_taken(struct feed *feed, uint32_t messages);

/* The next kept packet that fits now, as feed_packet would give it; FEED_NOTHING when there is none. While feed_has_kept after
 * feed_taken or feed_tick: this, then feed_taken. Its bytes are good until the next feed_packet. */
enum feed_verdict feed_kept(struct feed *feed, struct transport_packet *packet, struct mold_view *view);
bool feed_has_kept(const struct feed *feed); /* cheap: look before calling feed_kept */

/* Every few milliseconds and whenever a gap is open: re-requests through `transport->request` (NULL: none), time-outs. True when a
 * gap was declared: the feed is stale from here. `now_ns` is of the monotonic clock, here and above. */
bool feed_tick(struct feed *feed, const struct feed_transport *transport, uint64_t now_ns);

bool feed_is_stale(const struct feed *feed);
bool feed_is_silent(const struct feed *feed);
bool feed_gap_open(const struct feed *feed);
uint64_t feed_next_sequence(const struct feed *feed);
const uint8_t *feed_session(const struct feed *feed);
const struct feed_counts *feed_counts(const struct feed *feed);

#endif

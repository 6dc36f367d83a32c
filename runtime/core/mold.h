/* SPDX-License-Identifier: Apache-2.0
 *
 * MoldUDP64 1.00, receiving side: packets and sessions. What to do about sequences is feed.h.
 *
 * Packet: session (10), sequence of the first message (8), count (2), then per message a length (2) and that many bytes. Count 0
 * is a heartbeat (its sequence is the next one to come), 0xFFFF the end of the session. A request to a re-request server is such a
 * header alone: the first message wanted and how many; the answer is an ordinary packet with as many of them as fit it.
 *
 * Sessions. The first session seen, and any other id after it, starts a trading day: expect from the sequence it begins with. A
 * packet of the session before the present one is a straggler and out of session. Once a session has ended its id may come again
 * only with sequence 1 (an exchange that was restarted). */
#ifndef TICKWIRE_MOLD_H
#define TICKWIRE_MOLD_H

#include "wire.h"

#define MOLD_SESSION 10
#define MOLD_HEADER 20
#define MOLD_HEARTBEAT 0
#define MOLD_END_OF_SESSION 0xFFFF
#define MOLD_PACKET_MAX 65507 /* what an IPv4 UDP datagram holds */

/* Who takes the messages moves `next_sequence` on, and sets `ended`. */
struct mold_tracker {
    uint8_t session[MOLD_SESSION];
    uint8_t previous[MOLD_SESSION];
    bool known;
    bool has_previous;
    bool ended;
    uint64_t next_sequence;
};

/* What a packet's session id means to a tracker. */
enum mold_standing {
    MOLD_RUNNING,  /* the present session */
    MOLD_OVER,     /* the present session, which has ended, and nothing new */
    MOLD_BEGINS,   /* a session that is not known yet */
    MOLD_RESTARTS, /* a session seen before that begins again with sequence 1 */
    MOLD_FOREIGN,  /* out of session: a straggler of the session before, data after the end */
};

/* What a packet brings, against what was seen before. */
struct mold_view {
    bool new_session;
    bool ends_session;
    uint16_t count;      /* messages in the packet */
    uint16_t duplicates; /* of them, how many from the front were seen before */
    uint64_t lost;       /* messages before them that were given up just now */
};

/* `packet` has at least MOLD_HEADER bytes. */
enum mold_standing mold_standing(const struct mold_tracker *tracker, const uint8_t *packet);

/* Make the packet's session the present one, expecting `sequence`. */
void mold_begin(struct mold_tracker *tracker, const uint8_t *packet, uint64_t sequence);

/* How many of the messages a packet promises are whole within its length. */
uint16_t mold_whole(const uint8_t *packet, uint32_t length);

static inline uint64_t mold_sequence(const uint8_t *packet)
{
    return get64(packet + MOLD_SESSION);
}

static inline uint16_t mold_count(const uint8_t *packet)
{
    return get16(packet + MOLD_SESSION + 8);
}

/* Write a header; returns MOLD_HEADER. */
uint32_t mold_header(uint8_t *packet, const uint8_t session[MOLD_SESSION], uint64_t sequence, uint16_t count);

#endif

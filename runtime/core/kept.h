/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets kept behind a gap of the feed, in the order of their sequences.
 *
 * Each has a slot of KEPT_BYTES in the arena, what a UDP datagram holds on Ethernet (1500 less the IP and UDP headers); a longer one
 * is cut between its messages. `order` is a ring of slot numbers: the `used` ones from `first` on are taken, sorted by
 * sequence; the others are free. Packets mostly come in order, so that an insertion moves nothing. */
#ifndef TICKWIRE_KEPT_H
#define TICKWIRE_KEPT_H

#include "arena.h"
#include "mold.h"
#include "transport/transport.h"

#define KEPT_BYTES 1472u
#define KEPT_BLOCKS (KEPT_BYTES - MOLD_HEADER) /* of them for messages with their lengths */

struct kept {
    uint64_t sequence;   /* of its first message */
    uint64_t since_ns;   /* when it was put here */
    uint64_t receive_ns, receive_software_ns; /* as in transport_packet */
    uint32_t length;
    uint16_t count;      /* whole messages, at least one */
    uint8_t line;
    uint8_t receive_clock;
};

struct kept_ring {
    struct kept *kept;   /* by slot */
    uint32_t *order;
    uint8_t *bytes;      /* KEPT_BYTES a slot */
    uint32_t slots, first, used;
};

size_t kept_footprint(uint32_t slots);
bool kept_init(struct kept_ring *ring, struct arena *arena, uint32_t slots);

/* Keep the first `whole` messages of a packet, which are whole, from `sequence` on. What finds no slot, and a message that fits no
 * slot, is not kept: it stays missing. Returns how many were here already. */
uint32_t kept_put(struct kept_ring *ring, const struct transport_packet *packet, uint64_t sequence, uint16_t whole,
                  uint64_t now_ns);

/* Take the first one out, into `packet`; its bytes stay as they are until the next kept_put. The ring must not be empty. */
void kept_take(struct kept_ring *ring, struct transport_packet *packet);
void kept_clear(struct kept_ring *ring);

/* The one with the lowest sequence, or NULL. */
static inline const struct kept *kept_first(const struct kept_ring *ring)
{
    return ring->used > 0 ? &ring->kept[ring->order[ring->first]] : NULL;
}

#endif

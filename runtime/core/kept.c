/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

size_t kept_footprint(uint32_t slots)
{
    return arena_footprint(slots * sizeof(struct kept)) + arena_footprint(slots * sizeof(uint32_t)) +
           arena_footprint((size_t)slots * KEPT_BYTES);
}

bool kept_init(struct kept_ring *ring, struct arena *arena, uint32_t slots)
{
    memset(ring, 0, sizeof *ring);
    ring->slots = slots;
    ring->kept = arena_take(arena, slots * sizeof *ring->kept);
    ring->order = arena_take(arena, slots * sizeof *ring->order);
    ring->bytes = arena_take(arena, (size_t)slots * KEPT_BYTES);
    if (ring->kept == NULL || ring->order == NULL || ring->bytes == NULL)
        return false;
    for (uint32_t i = 0; i < slots; i++)
        ring->order[i] = i;
    return true;
}

/* The i-th place of the order, the first kept packet being the 0th. */
static uint32_t *place(const struct kept_ring *ring, uint32_t i)
{
    uint32_t at = ring->first + i;
    return &ring->order[at < ring->slots ? at : at - ring->slots];
}

/* How many kept packets begin at or before `sequence`. */
static uint32_t count_up_to(const struct kept_ring *ring, uint64_t sequence)
{
    uint32_t low = 0, high = ring->used;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring->kept[*place(ring, middle)].sequence <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Keep `count` messages that lie in `length` bytes at `blocks`. Returns how many were here already. */
static uint32_t put_piece(struct kept_ring *ring, const struct transport_packet *packet, const uint8_t *blocks, uint32_t length,
                          const struct kept *piece)
{
    uint32_t at = count_up_to(ring, piece->sequence);
    const struct kept *before = at > 0 ? &ring->kept[*place(ring, at - 1)] : NULL;
    if (before != NULL && before->sequence + before->count >= piece->sequence + piece->count)
        return piece->count;
    if (ring->used == ring->slots)
        return 0;
    uint32_t slot = *place(ring, ring->used);
    for (uint32_t i = ring->used++; i > at; i--)
        *place(ring, i) = *place(ring, i - 1);
    *place(ring, at) = slot;
    uint8_t *bytes = ring->bytes + (size_t)slot * KEPT_BYTES;
    memcpy(bytes + mold_header(bytes, packet->bytes, piece->sequence, piece->count), blocks, length);
    ring->kept[slot] = *piece;
    return 0;
}

uint32_t kept_put(struct kept_ring *ring, const struct transport_packet *packet, uint64_t sequence, uint16_t whole,
                  uint64_t now_ns)
{
    struct kept piece = {.sequence = sequence,
                         .since_ns = now_ns,
                         .receive_ns = packet->receive_ns,
                         .receive_software_ns = packet->receive_software_ns,
                         .line = packet->line,
                         .receive_clock = packet->receive_clock};
    const uint8_t *at = packet->bytes + MOLD_HEADER;
    uint32_t known = 0;
    for (uint32_t left = whole; left > 0;) {
        uint32_t length = 0;
        uint16_t count = 0;
        for (; count < left && length + 2 + get16(at + length) <= KEPT_BLOCKS; count++)
            length += 2u + get16(at + length);
        if (count > 0) {
            piece.length = MOLD_HEADER + length;
            piece.count = count;
            known += put_piece(ring, packet, at, length, &piece);
        } else { /* a message longer than any slot */
            length = 2u + get16(at);
            count = 1;
        }
        at += length;
        piece.sequence += count;
        left -= count;
    }
    return known;
}

void kept_take(struct kept_ring *ring, struct transport_packet *packet)
{
    uint32_t slot = *place(ring, 0);
    const struct kept *kept = &ring->kept[slot];
    *packet = (struct transport_packet){.bytes = ring->bytes + (size_t)slot * KEPT_BYTES,
                                        .length = kept->length,
                                        .line = kept->line,
                                        .receive_clock = kept->receive_clock,
                                        .receive_ns = kept->receive_ns,
                                        .receive_software_ns = kept->receive_software_ns};
    ring->first = ring->first + 1 < ring->slots ? ring->first + 1 : 0;
    ring->used--;
}

void kept_clear(struct kept_ring *ring)
{
    ring->used = 0;
}

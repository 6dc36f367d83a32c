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

enum kept_result kept_put(struct kept_ring *ring, const struct transport_packet *packet, uint64_t sequence, uint16_t count,
                          uint64_t now_ns)
{
    uint32_t at = count_up_to(ring, sequence);
    const struct kept *before = at > 0 ? &ring->kept[*place(ring, at - 1)] : NULL;
    if (before != NULL && before->sequence + before->count >= sequence + count)
        return KEPT_KNOWN;
    if (packet->length > KEPT_BYTES || ring->used == ring->slots)
        return KEPT_REFUSED;
    uint32_t slot = *place(ring, ring->used);
    for (uint32_t i = ring->used++; i > at; i--)
        *place(ring, i) = *place(ring, i - 1);
    *place(ring, at) = slot;
    memcpy(ring->bytes + (size_t)slot * KEPT_BYTES, packet->bytes, packet->length);
    ring->kept[slot] = (struct kept){.sequence = sequence,
                                     .since_ns = now_ns,
                                     .receive_ns = packet->receive_ns,
                                     .length = packet->length,
                                     .count = count,
                                     .line = packet->line};
    return KEPT_STORED;
}

void kept_take(struct kept_ring *ring, struct transport_packet *packet)
{
    uint32_t slot = *place(ring, 0);
    const struct kept *kept = &ring->kept[slot];
    *packet = (struct transport_packet){.bytes = ring->bytes + (size_t)slot * KEPT_BYTES,
                                        .length = kept->length,
                                        .line = kept->line,
                                        .receive_ns = kept->receive_ns};
    ring->first = ring->first + 1 < ring->slots ? ring->first + 1 : 0;
    ring->used--;
}

void kept_clear(struct kept_ring *ring)
{
    ring->used = 0;
}

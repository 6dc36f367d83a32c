/* SPDX-License-Identifier: Apache-2.0 */
#include "stamps.h"

_Static_assert((STAMPS_RING & (STAMPS_RING - 1)) == 0, "indices wrap by mask");

void stamps_init(struct stamps *stamps, struct block *block)
{
    stamps->block = block;
    stamps->head = stamps->tail = 0;
}

void stamps_sent(struct stamps *stamps, uint32_t last_byte, uint64_t receive_ns)
{
    if (UNLIKELY(stamps_waiting(stamps) == STAMPS_RING)) {
        BLOCK_COUNT(stamps->block, unstamped, 1);
        stamps->head++;
    }
    uint32_t at = stamps->tail++ & (STAMPS_RING - 1);
    stamps->waiting[at].receive_ns = receive_ns;
    stamps->waiting[at].last_byte = last_byte;
}

void stamps_transmitted(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns)
{
    while (stamps->head != stamps->tail) {
        uint32_t at = stamps->head & (STAMPS_RING - 1);
        int32_t ahead = (int32_t)(last_byte - stamps->waiting[at].last_byte);
        if (ahead < 0)
            return; /* of something sent before: a login, a heartbeat, a retransmission */
        stamps->head++;
        if (ahead == 0 && stamps->waiting[at].receive_ns != 0 && transmit_ns != 0) {
            block_add_sample(stamps->block, stamps->waiting[at].receive_ns, transmit_ns);
            return;
        }
        BLOCK_COUNT(stamps->block, unstamped, 1); /* overtaken: its stamp was lost */
        if (ahead == 0)
            return;
    }
}

void stamps_flush(struct stamps *stamps)
{
    BLOCK_COUNT(stamps->block, unstamped, stamps_waiting(stamps));
    stamps->head = stamps->tail;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tick-to-trade samples: the receive stamp of the packet that triggered an order, kept from the send until the kernel gives the
 * transmit stamp of the order back.
 *
 * The kernel names a transmit stamp by the offset of the last byte of the send in the TCP stream (SOF_TIMESTAMPING_OPT_ID), so that
 * is the key; both sides come in stream order. An order whose stamp never comes, or whose packet had none, is counted as
 * unstamped, never left out in silence. */
#ifndef TICKWIRE_STAMPS_H
#define TICKWIRE_STAMPS_H

#include "block.h"

#define STAMPS_RING 4096u /* orders in flight between send and stamp */

struct stamps {
    struct block *block;
    uint32_t head, tail; /* entries head to tail - 1 wait, counted without wrapping */
    struct {
        uint64_t receive_ns;
        uint32_t last_byte;
    } waiting[STAMPS_RING];
};

void stamps_init(struct stamps *stamps, struct block *block);

/* An order has been sent; `last_byte` is the stream offset of its last byte, modulo 2^32 as the kernel counts. */
void stamps_sent(struct stamps *stamps, uint32_t last_byte, uint64_t receive_ns);

/* Ask for the lines the next stamps_sent will touch. */
static inline void stamps_warm(const struct stamps *stamps)
{
    prefetch(stamps);
    prefetch(&stamps->waiting[stamps->tail & (STAMPS_RING - 1)]);
}

/* A transmit stamp has come back. */
void stamps_transmitted(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns);

/* Give up on those that still wait: the session is over. */
void stamps_flush(struct stamps *stamps);

static inline uint32_t stamps_waiting(const struct stamps *stamps)
{
    return stamps->tail - stamps->head;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tick-to-trade samples: the receive stamp of the packet that triggered an order, kept from the send until the transmit stamp of
 * the order comes back.
 *
 * The kernel names a transmit stamp by the offset of the last byte of the send in the TCP stream (SOF_TIMESTAMPING_OPT_ID), so that
 * is the key; both sides come in stream order. Where the card stamps, an order has two transmit stamps, the kernel's and then the
 * card's: the card's ends the wait, the kernel's is kept beside it.
 *
 * Every stamp is of some clock, and only two of the same clock can be subtracted. An order whose stamp never comes, whose packet
 * had none, or whose two stamps are of different clocks, is counted as unstamped, with the reason, never left out in silence.
 * Where anything but the card's will do (`or_kernel`), its sample is made of the kernel's two stamps instead, and counted as such.
 *
 * Completions of an RDMA device (STAMP_COMPLETION) are another quantity, not another clock only: a send over a reliable connection
 * completes when the other end's device has acknowledged it, so such a sample is from tick to acknowledgement, and no other is put in
 * its place when it is missing. Its stamps are ticks until both are there: what lies between them is a duration by the device's rate,
 * and the sample's receive time CLOCK_REALTIME by the line between the clocks (ticks.h). The engine's own two stamps stand beside. */
#ifndef TICKWIRE_STAMPS_H
#define TICKWIRE_STAMPS_H

#include "block.h"
#include "ticks.h"

#define STAMPS_RING 4096u /* orders in flight between send and stamp */

/* Who read which clock for a stamp. In this order in the shared block. */
enum stamp_clock {
    STAMP_NONE,
    STAMP_SOFTWARE,    /* the kernel, CLOCK_REALTIME */
    STAMP_HARDWARE,    /* the network card, its PTP hardware clock */
    STAMP_COMPLETION,  /* the RDMA device, its own clock: of the completions of the packet's receive and the order's send */
    STAMP_APPLICATION, /* the engine, when it looked */
    STAMP_CLOCKS,
};

struct transport_packet;

struct stamps {
    struct block *block;
    uint32_t head, tail; /* entries head to tail - 1 wait, counted without wrapping */
    uint32_t beside;     /* the entry behind the last one that got a stamp beside */
    uint32_t expiring;   /* entries before this one have waited since before the last stamps_expire */
    bool or_kernel;
    _Alignas(32) struct stamps_entry {
        uint64_t receive_ns, receive_software_ns; /* as in transport_packet */
        uint64_t transmit_software_ns;            /* beside, of the first time it was sent; 0: has not come */
        uint32_t last_byte;
        uint8_t receive_clock;
        bool again; /* TCP has sent it twice: of which time the card's stamp is cannot be told */
    } waiting[STAMPS_RING];
};

void stamps_init(struct stamps *stamps, struct block *block, bool or_kernel);

/* An order has been sent, as the answer to `packet`; `last_byte` is the stream offset of its last byte, modulo 2^32 as the kernel
 * counts. */
void stamps_sent(struct stamps *stamps, uint32_t last_byte, const struct transport_packet *packet);

/* Ask for the lines the next stamps_sent will touch. */
static inline void stamps_warm(const struct stamps *stamps)
{
    prefetch(stamps);
    prefetch(&stamps->waiting[stamps->tail & (STAMPS_RING - 1)]);
}

/* The transmit stamp of an order has come back: 0 of STAMP_NONE when it is known that none will. */
void stamps_transmitted(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns, enum stamp_clock clock);

/* The same of STAMP_COMPLETION, in ticks of `line`. */
void stamps_completed(struct stamps *stamps, uint32_t last_byte, uint64_t ticks, const struct ticks_line *line);

/* The stamp beside the device's has come: the kernel's of a card's, the engine's of a completion's; the device's is still to come. */
void stamps_beside(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns);

/* Give up on those that waited at the call before this one already. */
void stamps_expire(struct stamps *stamps);

/* Give up on those that still wait: the session is over. */
void stamps_flush(struct stamps *stamps);

static inline uint32_t stamps_waiting(const struct stamps *stamps)
{
    return stamps->tail - stamps->head;
}

#endif

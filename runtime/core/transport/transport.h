/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine asks of a transport. Chosen at start, called through pointers; only here may the hot path make a system call. */
#ifndef TICKWIRE_TRANSPORT_H
#define TICKWIRE_TRANSPORT_H

#include "../stamps.h"

enum transport_result {
    TRANSPORT_NOTHING = 0,
    TRANSPORT_PACKET = 1,
    TRANSPORT_END = 2, /* no packet will ever come again (replay from memory) */
    /* negative: -errno */
};

enum transport_line { TRANSPORT_LINE_A, TRANSPORT_LINE_B, TRANSPORT_LINE_REQUESTED };

struct transport_packet {
    const uint8_t *bytes;
    uint32_t length;
    uint8_t line; /* transport_line it came on */
    uint64_t receive_ns; /* since the epoch; 0: the packet came without a stamp */
};

struct transport {
    void *self;
    /* The next market-data packet, never waiting. Valid until the next call. */
    int (*receive)(void *self, struct transport_packet *packet);
    /* Send all of `bytes` on the order connection, or nothing: 0, or -EAGAIN when the peer does not read, or -errno.
     * `last_byte` is set to the stream offset of the last byte. */
    int (*send)(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte);
    /* What the order connection has received: bytes, 0 for nothing yet, -errno; -ECONNRESET when the peer has closed. */
    int (*receive_orders)(void *self, uint8_t *bytes, uint32_t capacity);
    /* Pass the transmit stamps that have come back to stamps_transmitted. */
    void (*collect_stamps)(void *self, struct stamps *stamps);
    /* Send a MoldUDP64 request packet to the re-request server; what it answers comes from `receive`. 0 or -errno; NULL: there is
     * none. */
    int (*request)(void *self, const uint8_t *bytes, uint32_t length);
    /* The order connection: true once when a new one is there, in place of the one before. */
    bool (*take_connection)(void *self);
    /* Close it; what it still had to send or receive is lost. */
    void (*drop_connection)(void *self);
    /* Run what `send` runs as far as that goes without a byte leaving this machine; NULL: nothing to warm. */
    void (*warm)(void *self, const uint8_t *bytes, uint32_t length);
    /* Sleep until something arrives, at most `timeout_ms`. */
    void (*wait)(void *self, int timeout_ms);
};

#endif

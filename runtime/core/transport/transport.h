/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine asks of a transport. Its two sides, market data in and orders out, are chosen at start each for itself
 * (transports.h) and called through pointers; only here may the hot path make a system call. */
#ifndef TICKWIRE_TRANSPORT_H
#define TICKWIRE_TRANSPORT_H

#include "../stamps.h"

enum transport_result {
    TRANSPORT_NOTHING = 0,
    TRANSPORT_PACKET = 1,
    TRANSPORT_END = 2, /* no packet will ever come again (replay from memory) */
    /* negative: -errno */
};

/* What a side is made of; feed.transport and orders.transport name them so. */
enum transport_kind { TRANSPORT_SOCKET, TRANSPORT_XDP, TRANSPORT_VERBS };

/* How AF_XDP receives: xdp_port.h. */
enum xdp_mode { XDP_MODE_AUTO, XDP_MODE_ZEROCOPY, XDP_MODE_COPY, XDP_MODE_GENERIC };

#define TRANSPORT_FDS 8u /* at most, of one side */

enum transport_line { TRANSPORT_LINE_A, TRANSPORT_LINE_B, TRANSPORT_LINE_REQUESTED };

struct transport_packet {
    const uint8_t *bytes;
    uint32_t length;
    uint8_t line; /* transport_line it came on */
    uint8_t receive_clock; /* stamp_clock of receive_ns; STAMP_NONE: the packet came without a stamp */
    uint64_t receive_ns; /* since the epoch of that clock; ticks of the device with STAMP_COMPLETION */
    uint64_t receive_software_ns; /* beside it: the kernel's where receive_clock is a card's, the engine's where it is a device's; 0: none */
};

/* The sockets, rings or queues market data comes on. */
struct feed_transport {
    void *self;
    /* The next market-data packet, never waiting. Valid until the next call. */
    int (*receive)(void *self, struct transport_packet *packet);
    /* Send a MoldUDP64 request packet to the re-request server; what it answers comes from `receive`. 0 or -errno; NULL: there is
     * none. */
    int (*request)(void *self, const uint8_t *bytes, uint32_t length);
    /* Before a wait: what becomes readable when a packet comes, `fds` having room for TRANSPORT_FDS. How many. */
    uint32_t (*fds)(void *self, int fds[]);
    /* What the last error of `receive` was about, for people; "" or NULL: its errno says it all. */
    const char *(*why)(void *self);
};

/* The connection orders leave by. */
struct order_transport {
    void *self;
    /* Send all of `bytes`, or nothing: 0, or -EAGAIN when the peer does not read, or -errno. `last_byte` is set to the stream
     * offset of the last byte. */
    int (*send)(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte);
    /* What has been received: bytes, 0 for nothing yet, -errno; -ECONNRESET when the peer has closed. */
    int (*receive)(void *self, uint8_t *bytes, uint32_t capacity);
    /* Pass the transmit stamps that have come back to stamps_transmitted, or to stamps_beside. */
    void (*collect_stamps)(void *self, struct stamps *stamps);
    /* True once when a new connection is there, in place of the one before. */
    bool (*take)(void *self);
    /* Close it; what it still had to receive is lost. What has been sent may yet arrive: a logout, and cancels before it. */
    void (*drop)(void *self);
    /* Close it as lost: what the other end has not acknowledged never arrives once there is another, whose login settles without it.
     * NULL: `drop` does so. */
    void (*abandon)(void *self);
    /* Run what `send` runs as far as that goes without a byte leaving this machine; NULL: nothing to warm. */
    void (*warm)(void *self, const uint8_t *bytes, uint32_t length);
    /* As the feed's. */
    uint32_t (*fds)(void *self, int fds[]);
    const char *(*why)(void *self);
};

struct transport {
    struct feed_transport feed;
    struct order_transport orders;
    void *self;
    /* Sleep until something arrives, at most `timeout_ms`. */
    void (*wait)(void *self, int timeout_ms);
    /* Whether stamps have been seen to come on both sides, or none are wanted. Until then no thread may spin in real time: the
     * kernel could never begin to stamp. NULL: this transport has none. */
    bool (*stamped)(void *self);
};

#endif

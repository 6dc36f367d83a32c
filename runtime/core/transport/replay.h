/* SPDX-License-Identifier: Apache-2.0
 *
 * Transport from memory: MoldUDP64 packets given as they are, or made of the messages of a file; requests are kept. No stamps, no
 * login. For tests, for `tickwire replay`, and to measure the engine without a network.
 *
 * The exchange behind it takes every order and fills none: an enter is accepted (and, immediate or cancel, canceled at once), a
 * replace replaced, a cancel canceled. So the engine's own code runs for the answers, and what is open is what a market without
 * trades would leave open. */
#ifndef TICKWIRE_TRANSPORT_REPLAY_H
#define TICKWIRE_TRANSPORT_REPLAY_H

#include "../ouch.h"
#include "transport.h"

#define REPLAY_SESSION "REPLAY    "

struct replay_packet {
    const uint8_t *bytes;
    uint32_t length;
};

/* Bytes one after the other; grows. */
struct replay_bytes {
    uint8_t *bytes;
    uint64_t used, capacity;
};

struct replay_transport {
    const struct replay_packet *packets; /* these, when not NULL */
    const uint8_t *data;                 /* otherwise messages: index[i] is offset << 16 | length in data */
    const uint64_t *index;
    uint64_t count;    /* of packets or of messages */
    uint64_t at;
    bool ended;        /* the end-of-session packet after the last message has been given */
    uint32_t messages_per_packet;
    uint8_t *buffer;   /* MOLD_PACKET_MAX bytes, for packets made here */
    enum ouch_version version;
    struct replay_bytes orders;   /* OUCH requests, each behind its length (2, native) */
    struct replay_bytes answers;  /* SoupBinTCP packets the engine has not read yet */
    struct replay_bytes open;     /* uint32_t: shares of the order with reference i, as far as there are any */
    uint64_t order_count;
    uint32_t sent_bytes;
};

struct transport replay_transport_interface(struct replay_transport *self);
void replay_transport_free(struct replay_transport *self);

#endif

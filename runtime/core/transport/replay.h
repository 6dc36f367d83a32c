/* SPDX-License-Identifier: Apache-2.0
 *
 * Transport from memory: MoldUDP64 packets given as they are, or made of the messages of a file; orders are kept. No stamps, no
 * order session. For tests, for `tickwire replay`, and to measure the engine without a network. */
#ifndef TICKWIRE_TRANSPORT_REPLAY_H
#define TICKWIRE_TRANSPORT_REPLAY_H

#include "../ouch.h"
#include "transport.h"

#define REPLAY_SESSION "REPLAY    "

struct replay_packet {
    const uint8_t *bytes;
    uint32_t length;
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
    uint8_t *orders;   /* OUCH messages of order_bytes each, one after the other; grows, freed by its owner */
    uint32_t order_bytes;
    uint64_t order_count, order_capacity;
    uint32_t sent_bytes;
};

struct transport replay_transport_interface(struct replay_transport *self);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The order connection over TCP.
 *
 * Connecting takes up to seconds, so it is done on a thread that has time (connection_open), and the connected socket is handed
 * over by one word: the engine takes it between packets, when it has none. Everything else is for the engine's thread alone. */
#ifndef TICKWIRE_TRANSPORT_CONNECTION_H
#define TICKWIRE_TRANSPORT_CONNECTION_H

#include <stdatomic.h>

#include "../engine.h"
#include "stamping.h"

#define CONNECTION_PENDING 4096 /* bytes of a packet the kernel took only in part */
#define CONNECTION_TIMEOUT_MS 5000

struct connection {
    int fd;            /* -1: none */
    _Atomic int next;  /* connected, not taken yet; -1: none */
    _Atomic uint32_t made; /* connections handed over so far; one that replaced another before it was taken does not count */
    _Atomic uint32_t next_clock; /* stamp_clock of that one's transmit stamps */
    uint32_t clock;    /* of this one's; with STAMP_HARDWARE the kernel stamps as well */
    bool stamped;      /* a transmit stamp of `clock` has come back */
    uint32_t missing;  /* stamps of the kernel in a row without the card's */
    uint32_t sent_bytes; /* modulo 2^32: the kernel's key of transmit stamps */
    uint32_t pending;
    uint8_t pending_bytes[CONNECTION_PENDING];
};

void connection_init(struct connection *self);
void connection_close(struct connection *self);

/* Connect, switch on the time stamps that `stamping` has chosen, hand over. Gives up when `wake` becomes readable (ECANCELED).
 * From any one thread. */
bool connection_open(struct connection *self, const struct orders_settings *settings, const struct stamping *stamping, int wake,
                     struct failure *failure);

/* As struct order_transport says. */
bool connection_take(struct connection *self);
void connection_drop(struct connection *self);
void connection_abandon(struct connection *self);
int connection_send(struct connection *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte);
int connection_receive(struct connection *self, uint8_t *bytes, uint32_t capacity);
void connection_collect(struct connection *self, struct stamps *stamps);
/* As far as a send of nothing goes. */
void connection_warm(struct connection *self, const uint8_t *bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The order session: SoupBinTCP from the client's side, and what the exchange answers to orders. Nothing here is on the path from
 * packet to order; it runs when the feed is quiet, and every few packets when it is not. */
#ifndef TICKWIRE_ORDERS_H
#define TICKWIRE_ORDERS_H

#include "soupbin.h"
#include "transport/transport.h"

#define ORDERS_LOGIN_TIMEOUT_MS 5000

struct orders_settings {
    char host[256];
    uint16_t port;
    char username[SOUP_USERNAME + 1];
    char password[SOUP_PASSWORD + 1];
    char session[SOUP_SESSION + 1];
    char firm[5];
    uint32_t heartbeat_ms;
    uint8_t tos;
};

enum orders_state {
    ORDERS_CLOSED,         /* not connected */
    ORDERS_LOGGING_IN,
    ORDERS_LIVE,
    ORDERS_REJECTED,       /* `failure` says why */
    ORDERS_SESSION_CLOSED, /* the exchange ended the session: no more today */
    ORDERS_LOGGED_OUT,     /* connection closed, silent, or damaged: log in again */
    ORDERS_FAILED,         /* `failure` says why */
};

struct orders {
    const struct orders_settings *settings;
    struct block *block;
    enum orders_state state;
    bool sent;              /* something since the last orders_tick, so no heartbeat is due */
    char session[SOUP_SESSION + 1];
    uint64_t next_sequence; /* of the exchange's messages; 1 until told otherwise */
    uint64_t opened_ns;
    uint64_t last_sent_ns;
    uint64_t last_received_ns;
    uint32_t held;          /* bytes of an unfinished packet at the front of buffer */
    struct failure failure;
    uint8_t buffer[2 * SOUP_PACKET_MAX];
};

void orders_init(struct orders *orders, const struct orders_settings *settings, struct block *block);

/* The connection has just been made: send the login request. */
void orders_login(struct orders *orders, struct transport *transport, uint64_t now_ns);

/* Read what has come, answer for the counters, change state. */
void orders_receive(struct orders *orders, struct transport *transport, uint64_t now_ns);

/* Every few milliseconds: heartbeats out, a silent exchange, a login without an answer. */
void orders_tick(struct orders *orders, struct transport *transport, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The order session: SoupBinTCP from the client's side, and the way of the exchange's answers into the ledger. Nothing here is on
 * the path from packet to order; it runs when the feed is quiet, and every few packets when it is not.
 *
 * Resuming. The login asks for the session of the ledger from the message after the last one answered, so that what came while
 * nobody listened, or was lost with a killed process, is sent again. Until all of that has come no order may go out: the session is
 * `settling`. When is it over? With OUCH 5.0 an Account Query is sent right after the login; its answer is sequenced, so it comes
 * after everything older, and says which number the exchange expects next. But the messages sent again hold the answers to older
 * queries too, and nothing in them tells one from another. Their numbers do: a first login asks for the newest message (sequence 0)
 * and is told where the session ends. When that is what is wanted, nothing will be sent again and the login is good; otherwise the
 * connection is given up (ORDERS_AGAIN), and the login of the next one asks for what is wanted. An answer beyond the end told is
 * ours. SoupBinTCP leaves open whether the number told for 0 is that of the last message or of the one to come, so a message with
 * that very number counts as old, and two queries are sent: one of the two answers is beyond it for certain.
 *
 * 4.2 has no such request: there the first server heartbeat after everything up to the end has come says that the exchange had
 * nothing more to send for a second. Then the ledger is told that what it is still unsure of never arrived. A session that is gone
 * (the exchange began a new one) is refused with 'S' and the running one asked for next. */
#ifndef TICKWIRE_ORDERS_H
#define TICKWIRE_ORDERS_H

#include "ledger.h"
#include "ouch.h"
#include "soupbin.h"
#include "transport/transport.h"

#define ORDERS_LOGIN_TIMEOUT_MS 5000
#define ORDERS_QUIET_HEARTBEATS 2 /* an exchange that leaves the Account Query unanswered for so many is taken as settled */

struct orders_settings {
    enum transport_kind transport;
    char host[256];
    uint16_t port;
    char interface[64]; /* over verbs: the address to connect from; "": feed.interface */
    char username[SOUP_USERNAME + 1];
    char password[SOUP_PASSWORD + 1];
    char session[SOUP_SESSION + 1];
    char firm[5];
    enum ouch_version version;
    uint32_t heartbeat_ms;
    uint8_t tos;
};

enum orders_state {
    ORDERS_CLOSED,    /* not connected; `failure` says why when it was */
    ORDERS_LOGGING_IN,
    ORDERS_SETTLING,  /* logged in; messages missed are still coming */
    ORDERS_LIVE,
    ORDERS_REJECTED,  /* `failure` says why; trying again would not help */
    ORDERS_AGAIN,     /* closed by us, who know now where the session ends: to be connected again */
};

struct orders {
    const struct orders_settings *settings;
    struct block *block;
    struct ledger *ledger;
    void (*on_update)(void *context, const struct tw_update *update);
    void *context;
    _Atomic uint32_t state; /* orders_state; `failure` is written before it, and both are read by the housekeeping thread */
    _Atomic uint32_t logins; /* begun so far */
    bool fresh;             /* the session to resume is gone: ask for the running one */
    bool sent;              /* something since the last orders_tick, so no heartbeat is due */
    uint32_t quiet;         /* server heartbeats while settling */
    bool heard;             /* an answer that only the version spoken here has, ever */
    uint64_t asked_before;  /* requests sent before the login */
    char session[SOUP_SESSION + 1]; /* asked for, then logged in to */
    char end_session[SOUP_SESSION + 1]; /* which `end` is of */
    uint64_t end;           /* messages up to this number may be older than this login; 0: not known, ask for it */
    uint64_t wanted;        /* the first message that is needed */
    uint64_t next_sequence; /* of the exchange's messages */
    uint64_t opened_ns;
    uint64_t last_sent_ns;
    uint64_t last_received_ns;
    uint32_t held;          /* bytes of an unfinished packet at the front of buffer */
    struct failure failure;
    uint8_t buffer[2 * SOUP_PACKET_MAX];
};

void orders_init(struct orders *orders, const struct orders_settings *settings, struct block *block, struct ledger *ledger,
                 void (*on_update)(void *context, const struct tw_update *update), void *context);

/* The connection has just been made: send the login request. */
void orders_login(struct orders *orders, struct order_transport *transport, uint64_t now_ns);

/* Replay: a transport that answers without a login. */
void orders_open_unasked(struct orders *orders);

static inline bool orders_are_closed(const struct orders *orders)
{
    uint32_t state = atomic_load_explicit(&orders->state, memory_order_relaxed);
    return state == ORDERS_CLOSED || state == ORDERS_AGAIN;
}

/* Read what has come, pass answers on, change state. */
void orders_receive(struct orders *orders, struct order_transport *transport, uint64_t now_ns);

/* Every few milliseconds: heartbeats out, a silent exchange, a login without an answer. */
void orders_tick(struct orders *orders, struct order_transport *transport, uint64_t now_ns);

/* Say goodbye and close. */
void orders_logout(struct orders *orders, struct order_transport *transport);

#endif

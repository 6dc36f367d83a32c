/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine: one thread, run to completion. A packet goes through sequence check, book, strategy, risk and out as an order before
 * the next packet is looked at. Everything it touches is in the arena or in the shared block; on the way from packet to order it
 * allocates nothing, takes no lock and makes no system call but the transport's. */
#ifndef TICKWIRE_ENGINE_H
#define TICKWIRE_ENGINE_H

#include "arena.h"
#include "book.h"
#include "feed.h"
#include "mold.h"
#include "orders.h"
#include "ouch.h"
#include "risk.h"
#include "stamps.h"
#include "strategy.h"

struct feed_settings {
    char group[64];
    char interface[64];
    char source[64];       /* "": packets of the group from any sender */
    char group_b[64];      /* "": there is no B line */
    char interface_b[64];  /* "": as the A line */
    char source_b[64];
    char request_host[64]; /* "": there is no re-request server */
    uint16_t port;
    uint16_t port_b;
    uint16_t request_port;
    uint32_t busy_poll_us;
    struct feed_policy policy;
};

struct engine_settings {
    char name[BLOCK_NAME];
    char block_path[400];
    int32_t cpu; /* -1: not pinned */
    uint64_t idle_after_ns; /* 0: spin always */
    uint32_t max_orders;
    uint32_t max_instruments;
    uint32_t max_samples;
    struct feed_settings feed;
    struct orders_settings orders;
    const struct tw_strategy *strategy;
    struct tw_strategy_settings strategy_settings;
    struct risk_limits risk_limits;
};

struct engine {
    struct engine_settings settings;
    struct arena arena;
    struct transport transport;
    struct book book;
    struct mold_tracker mold;
    void *strategy_state;
    struct risk *risk;
    struct ouch_staged order;
    uint32_t user_ref_num; /* of the last order; OUCH wants them to increase over the day */
    struct stamps *stamps;
    struct orders *orders;
    uint8_t *receive_buffer; /* MOLD_PACKET_MAX bytes for the transport */
    struct block *block;
    bool trading;            /* orders may be sent: the order session is live */
    bool feed_ending;        /* the end of the feed session came; stamps of its last orders may still be on their way */
    uint32_t orders_unread;  /* orders sent since stamps were collected */
    uint64_t end_deadline_ns;
    uint64_t next_tick_ns;
    uint64_t last_packet_ns;
    _Atomic bool stop;
};

enum engine_reason {
    ENGINE_STOPPED,
    ENGINE_SESSION_CLOSED,
    ENGINE_LOGGED_OUT,
    ENGINE_END, /* the transport has no more packets */
    ENGINE_FAILED,
};

/* Takes all memory. False with `failure` set: ENOMEM names the bytes needed and what asks for them. */
bool engine_init(struct engine *engine, const struct engine_settings *settings, struct failure *failure);
void engine_release(struct engine *engine);

/* Run over engine->transport until stopped, or until order session or transport end. With `login` the order session begins with a
 * login; without, orders go out at once (replay). */
enum engine_reason engine_run(struct engine *engine, bool login, struct failure *failure);

/* One packet, as engine_run does it. */
void engine_packet(struct engine *engine, const struct transport_packet *packet);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine: one thread, run to completion. A packet goes through sequence check, book, strategy, risk, journal and out as an
 * order before the next packet is looked at. Everything it touches is in the arena or in a mapped file (shared block, control
 * block, journal); on the way from packet to order it allocates nothing, takes no lock and makes no system call but the
 * transport's.
 *
 *   engine.c         memory, files and the loop: what is looked at when
 *   engine_packet.c  from packet to the strategy's wishes
 *   engine_send.c    from wishes to orders: groups, risk, ledger, bytes, send
 *   engine_orders.c  the exchange's answers to the strategy; stopping, killing and settling
 *   engine_show.c    the shared block
 *
 * The feed and the order session live apart: while the order session is down the feed is read on and the books stay right. */
#ifndef TICKWIRE_ENGINE_H
#define TICKWIRE_ENGINE_H

#include "arena.h"
#include "book.h"
#include "control.h"
#include "feed.h"
#include "journal.h"
#include "ledger.h"
#include "mold.h"
#include "orders.h"
#include "ouch.h"
#include "risk.h"
#include "stamps.h"
#include "strategy.h"
#include "transport/verbs_gid.h"

struct feed_settings {
    enum transport_kind transport;
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
    char gateway[64];      /* over verbs: whom to subscribe with; "": the group is joined */
    uint16_t gateway_port;
    uint32_t busy_poll_us;
    uint32_t busy_poll_budget; /* packets; 0: AF_XDP is not busy-polled */
    enum xdp_mode xdp_mode;
    uint64_t xdp_queues;       /* a bit each; 0: all that the interface has */
    char xdp_program[400];     /* file */
    struct feed_policy policy;
};

/* engine.timestamps */
enum stamping_wish {
    STAMPING_AUTO,     /* by the card where it can, else by the kernel, else none */
    STAMPING_HARDWARE, /* by the card, or no start */
    STAMPING_SOFTWARE, /* by the kernel, or no start */
    STAMPING_NONE,
    STAMPING_WISHES,
};

struct engine_settings {
    char name[BLOCK_NAME];
    char strategy_name[BLOCK_STRATEGY]; /* for people */
    char block_path[400];    /* "": in memory only, and the control block too */
    char journal_path[500];  /* "": none (replay in memory) */
    char journal_name[32];   /* user and day */
    uint32_t journal_records;
    int32_t cpu; /* -1: not pinned */
    uint32_t priority; /* of its thread, by SCHED_FIFO; 0: an ordinary one */
    enum stamping_wish timestamps;
    uint64_t idle_after_ns; /* 0: spin always */
    uint32_t max_orders;
    uint32_t max_instruments;
    uint32_t max_samples;
    bool warm_send;
    struct feed_settings feed;
    struct orders_settings orders;
    struct verbs_settings verbs;
    const struct tw_strategy *strategy;
    struct tw_strategy_settings strategy_settings;
    struct risk_limits risk_limits;
    uint32_t restricted_count;
    uint8_t restricted[RISK_RESTRICTED_MAX][8];
};

/* What the engine knows of a stock locate; all unknown again with a new feed session. */
enum engine_instrument {
    ENGINE_UNNAMED,
    ENGINE_NAMED,
    ENGINE_WATCHED, /* the strategy wants to see it */
};

struct engine {
    struct engine_settings settings;
    struct transport transport;
    struct book book;
    struct feed *feed;
    uint8_t *instruments; /* engine_instrument per stock locate */
    void *strategy_state;
    uint8_t *untold;      /* per tag: has an order from before the start that the strategy has not been told of */
    uint32_t untold_count;
    struct risk *risk;
    struct control *control;
    struct ledger ledger;
    struct ouch_staged *staged; /* one for each order of a call, so that a group is complete before its first leg goes */
    struct stamps *stamps;
    struct block *block;
    uint64_t time_ns;        /* of the last message that changed a watched top: since midnight */
    uint64_t now_ns;         /* monotonic, of the last look around */
    uint64_t messages;       /* taken from the feed; the block gets them every tick */
    uint64_t malformed;      /* messages; the feed counts packets */
    bool trading;            /* orders may be sent: the order session is live and nobody is stopping */
    bool feed_clock;         /* replay: the order rate goes by the feed's time, so that it refuses the same orders every time */
    bool feed_ending;        /* the end of the feed session came; stamps of its last orders may still be on their way */
    uint32_t orders_unread;  /* orders sent since stamps and answers were collected */
    uint32_t telling;        /* depth of refusals told for orders that answered refusals */
    struct orders *orders;
    uint8_t *receive_buffer; /* MOLD_PACKET_MAX bytes for the transport */
    struct journal journal;
    struct arena arena;
    uint64_t control_seen;
    bool closing;            /* stop was asked for: open orders are being cancelled */
    bool killed;             /* as the loop last saw it */
    bool real_time;          /* the priority of the settings was asked for */
    uint64_t closing_deadline_ns;
    uint64_t end_deadline_ns;
    uint64_t next_tick_ns;
    uint64_t next_warm_ns;
    uint64_t next_expire_ns;
    uint64_t last_packet_ns;
    uint32_t shown_count;    /* instruments with a position or an order of ours, as the block shows them */
    uint32_t shown[BLOCK_POSITIONS]; /* positions of the ledger */
    uint32_t shown_from;     /* positions of the ledger looked at so far */
    uint32_t warm_reference; /* the last order that was sent when it was looked for */
    uint16_t warm_locate;    /* the last instrument an order was for */
    _Atomic bool stop;
};

enum engine_reason {
    ENGINE_STOPPED,
    ENGINE_END, /* the transport has no more packets */
    ENGINE_FAILED,
};

/* Bytes of memory that engine_init takes. */
size_t engine_footprint(const struct engine_settings *settings);

/* Takes all memory. False with `failure` set: ENOMEM names the bytes needed and what asks for them. */
bool engine_init(struct engine *engine, const struct engine_settings *settings, struct failure *failure);

/* Makes or opens block, control block and journal, and builds the ledger from what is in the journal. Once, before the run. */
bool engine_attach(struct engine *engine, struct failure *failure);
void engine_release(struct engine *engine);

/* Run over engine->transport until stopped, or until the transport has ended or a login was refused. With `login` orders need an
 * order session, which begins whenever the transport has a new connection; without, orders go out at once and the transport answers
 * them (replay). */
enum engine_reason engine_run(struct engine *engine, bool login, struct failure *failure);

/* One packet, as engine_run does it. */
void engine_packet(struct engine *engine, const struct transport_packet *packet);

/* --- between the files of the engine --- */

/* Packets kept behind a gap that is closed or declared now. */
void engine_take_kept(struct engine *engine);

/* What a strategy asked for, as the answer to `packet`; NULL: to none, so that there is no time from tick to trade. */
void engine_ask(struct engine *engine, const struct tw_order *orders, uint32_t count, const struct transport_packet *packet);

/* Walk the path to the send without sending anything to the exchange, so that it is in the caches when it is needed. */
void engine_warm(struct engine *engine);

/* An update for the strategy; what it asks for in turn is sent. */
void engine_tell(struct engine *engine, const struct tw_update *update);

/* Orders of the journal whose instruments the feed has named: tell the strategy. */
void engine_tell_recovered(struct engine *engine);

/* Ask for the cancel of every open order that has none under way. Call again until none is open: the connection may be full. */
void engine_cancel_all(struct engine *engine);

void engine_show(struct engine *engine);

#endif

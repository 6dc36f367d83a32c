/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared block: a file the engine maps and writes, and anybody may map and read while it runs and after it ended.
 *
 * One writer. Counters are 64-bit words stored whole; what belongs together (session, tops) is written between two increments of
 * `lock`, odd while a change is under way, and readers try again. Samples and leg spreads are appended and then counted;
 * `feed_epoch` tells a reader that a new feed session has begun to overwrite them. The layout is fixed by BLOCK_VERSION.
 *
 * Counters of orders are stored as they happen. Those of the feed are stored every few milliseconds and at the end of a feed
 * session: storing them with every packet would cost the path from packet to order more than its strategy. */
#ifndef TICKWIRE_BLOCK_H
#define TICKWIRE_BLOCK_H

#include <stdatomic.h>

#include "failure.h"
#include "wire.h"

#define BLOCK_MAGIC "TICKWIRE"
#define BLOCK_VERSION 5u
#define BLOCK_NAME 32
#define BLOCK_STRATEGY 64
#define BLOCK_STAMPING 384 /* as much as a failure says */
#define BLOCK_RDMA 192     /* three names of RDMA devices */
#define BLOCK_TOPS 8
#define BLOCK_POSITIONS 16
#define BLOCK_SAMPLES_LIMIT (1u << 26)
#define BLOCK_LEGS 16384u /* spreads of leg groups kept in a feed session */
#define BLOCK_REJECTS 16  /* the last ones, for the log */

/* Since start, in the order they are shown; samples, samples_dropped, by_kernel (samples of the kernel's stamps where the card's
 * did not come), unstamped (the sum of unstamped_<reason>) and leg_groups begin anew with each feed session.
 * Orders refused by risk are counted by reason in risk_<reason>, see RISK_REASONS. */
#define BLOCK_COUNTERS(X)                                                                                        \
    X(packets) X(packets_b) X(packets_requested) X(messages) X(gaps) X(gaps_closed) X(messages_lost)             \
    X(requests) X(duplicates) X(out_of_session) X(unknown) X(malformed) X(book_errors)                           \
    X(orders_sent) X(replaces_sent) X(cancels_sent) X(orders_accepted) X(orders_replaced) X(orders_executed)     \
    X(orders_canceled) X(orders_rejected) X(orders_broken) X(orders_unsent) X(orders_unknown) X(answers_damaged) \
    X(shares_executed) X(open_orders) X(unsure_orders)                                                           \
    X(risk_size) X(risk_notional) X(risk_collar) X(risk_position) X(risk_open_orders) X(risk_rate)               \
    X(risk_duplicate) X(risk_restricted) X(risk_killed) X(risk_stale) X(risk_halted) X(risk_band) X(risk_leg)    \
    X(risk_tag) X(risk_full)                                                                                     \
    X(legs_sent) X(leg_groups) X(leg_spread_last_ns) X(leg_spread_max_ns) X(journal_records) X(journal_room)     \
    X(heartbeats_in) X(heartbeats_out) X(samples) X(samples_dropped) X(by_kernel) X(unstamped)                        \
    X(unstamped_receive) X(unstamped_transmit) X(unstamped_clocks) X(strategy_failures)

enum block_state { BLOCK_STARTING, BLOCK_LOGIN, BLOCK_LIVE, BLOCK_STOPPED };

struct block_top {
    uint64_t bid_shares, ask_shares;
    uint32_t bid, ask;
    uint8_t stock[8];
    uint32_t locate;
    uint8_t trading_state; /* as in struct book_instrument */
    uint8_t reserved[3];
};

struct block_position {
    int64_t shares, cash; /* cash in 1/10000 dollar */
    uint64_t open_buys, open_sells;
    uint8_t stock[8];
};

struct block_sample {
    uint64_t receive_ns, transmit_ns; /* of the packet that triggered the order, and of the order; both of `clock` */
    uint64_t receive_software_ns, transmit_software_ns; /* beside a card's the kernel's, beside completions the engine's; 0: none */
    uint32_t clock; /* enum stamp_clock */
    uint32_t reserved;
};

struct block_reject {
    uint32_t reference;
    uint16_t reason; /* the exchange's code; 4.2 has characters */
    uint16_t reserved;
    uint8_t stock[8];
};

struct block {
    char magic[8];
    uint32_t version;
    uint32_t pid;
    uint64_t bytes; /* of the whole file */
    uint64_t samples_offset;
    uint64_t max_samples;
    uint64_t legs_offset;
    char name[BLOCK_NAME];
    char strategy[BLOCK_STRATEGY]; /* the name of a built-in, or of a user's file without its directory */
    /* From here to open_orders and unsure_orders as it was in version 3: role roce_host reads them of whatever release runs. */
    _Atomic uint32_t state;
    _Atomic uint32_t timestamp_source; /* enum stamp_clock: what was switched on at start */
    _Atomic uint32_t hugepages;
    _Atomic uint32_t feed_ended;
    _Atomic uint32_t stale;    /* the books miss messages */
    _Atomic uint32_t silent;   /* no packet for feed.silent_ms */
    _Atomic uint32_t killed;
    _Atomic uint32_t limits_version;
    _Atomic uint32_t full;     /* journal or ledger: no room for a new order */
    _Atomic uint32_t priority; /* of the engine's thread: SCHED_FIFO, 0: ordinary */
    _Atomic uint64_t feed_epoch;
    _Atomic uint64_t next_sequence;
    _Atomic uint64_t shown_ns; /* when the engine last wrote here, by the monotonic clock: it does every few milliseconds */
#define BLOCK_FIELD(name) _Atomic uint64_t name;
    BLOCK_COUNTERS(BLOCK_FIELD)
#undef BLOCK_FIELD
    _Atomic uint64_t lock;
    char feed_session[16];
    char stamping[BLOCK_STAMPING]; /* why timestamp_source is what it is, for people; written before the state leaves STARTING */
    uint64_t top_count;
    struct block_top top[BLOCK_TOPS];
    uint64_t position_count;
    struct block_position position[BLOCK_POSITIONS];
    struct block_reject reject[BLOCK_REJECTS]; /* a ring: the nth reject since start is at n % BLOCK_REJECTS */
    char rdma[BLOCK_RDMA]; /* names of the devices of sides over verbs, a blank between; "": none; written as `stamping` is */
};

/* The single writer's increment: a plain load, add and store. */
#define BLOCK_COUNT(block, counter, n)                                                                                  \
    atomic_store_explicit(&(block)->counter, atomic_load_explicit(&(block)->counter, memory_order_relaxed) + (n), \
                          memory_order_relaxed)
#define BLOCK_SET(block, field, value) atomic_store_explicit(&(block)->field, (value), memory_order_release)
#define BLOCK_GET(block, field) atomic_load_explicit(&(block)->field, memory_order_acquire)

/* Make the file (under a temporary name, then renamed, so that readers never see half a block) and map it; with an empty path
 * anonymous memory instead. NULL with `failure` set. */
struct block *block_create(const char *path, const char *name, uint32_t max_samples, struct failure *failure);
void block_unmap(struct block *block);

/* Map an existing block for reading. NULL with `failure` set; code EBADMSG when the file is not a block of this version. */
const struct block *block_map(const char *path, struct failure *failure);

/* A consistent copy of a block's fixed part. */
void block_snapshot(const struct block *block, struct block *copy);

/* Copy up to `limit` samples of the current feed session; returns how many. */
uint64_t block_copy_samples(const struct block *block, struct block_sample *samples, uint64_t limit);

void block_add_sample(struct block *block, const struct block_sample *sample);

/* Nanoseconds between the first and the last leg of a group. */
void block_add_legs(struct block *block, uint64_t spread_ns);
uint64_t block_copy_legs(const struct block *block, uint64_t *spreads, uint64_t limit);

/* Count a rejected order and keep why. */
void block_add_reject(struct block *block, uint32_t reference, uint16_t reason, const uint8_t stock[8]);

/* A new feed session: its id, counters of the session at zero. */
void block_begin_session(struct block *block, const uint8_t session[10]);
void block_put_tops(struct block *block, const struct block_top *tops, uint32_t count); /* up to BLOCK_TOPS */
void block_put_positions(struct block *block, const struct block_position *positions, uint32_t count); /* up to BLOCK_POSITIONS */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The strategy's C ABI. A strategy is a table of functions over memory the engine gives it: it allocates nothing, blocks nowhere,
 * makes no system call, and returns within a microsecond. User strategies in Python (numba) see the same records.
 *
 * Prices in 1/10000 dollar, 0 with an empty side; times in ns since midnight, from the message. */
#ifndef TICKWIRE_STRATEGY_H
#define TICKWIRE_STRATEGY_H

#include <stddef.h>
#include <stdint.h>

#define TW_STRATEGY_ABI 3
#define TW_STRATEGY_ORDERS 8    /* most orders one call may ask for */
#define TW_STRATEGY_SYMBOLS 64  /* most instruments a configuration may name */
#define TW_STRATEGY_LEGS 4
#define TW_NO_TAG UINT32_MAX

/* One price of one side of a book. */
struct tw_level {
    uint32_t price;
    uint32_t orders;
    uint64_t shares;
};

enum tw_side { TW_BIDS, TW_ASKS };

/* What a strategy sees: the top of one watched book just changed. */
struct tw_event {
    uint64_t time_ns;
    uint64_t bid_shares;
    uint64_t ask_shares;
    const void *books; /* for these two; call tw_level_at and tw_level_count */
    const struct tw_level *(*level_at)(const void *books, uint32_t locate, uint32_t side, uint32_t nth);
    uint32_t (*level_count)(const void *books, uint32_t locate, uint32_t side);
    int64_t position;            /* own shares of this instrument, from executions; short is negative */
    uint32_t bid;
    uint32_t ask;
    uint16_t locate;
    uint8_t trading_state;       /* 'T' trading, 'H' halted, 'P' paused, 'Q' quotation only */
    uint8_t reserved[5];
};

/* The level `nth` from the best (0) of a side, NULL past the last. Valid during the call. */
static inline const struct tw_level *tw_level_at(const struct tw_event *event, enum tw_side side, uint32_t nth)
{
    return event->level_at(event->books, event->locate, side, nth);
}

static inline uint32_t tw_level_count(const struct tw_event *event, enum tw_side side)
{
    return event->level_count(event->books, event->locate, side);
}

enum tw_action {
    TW_ENTER = 'E',
    TW_REPLACE = 'R', /* of the open order with this tag: new price and shares */
    TW_CANCEL = 'C',  /* of the open order with this tag, whole */
};

enum tw_time_in_force { TW_DAY = '0', TW_IOC = '3' };

#define TW_LEG 1u /* flag: all orders of this call with it are one group; none is sent unless all pass risk */

/* What it may ask for. */
struct tw_order {
    uint32_t price;
    uint32_t shares;
    uint32_t tag;          /* the strategy's own name, below its `tags`; one open order a tag. TW_NO_TAG: never changed later */
    uint16_t locate;
    uint8_t side;          /* 'B' or 'S' */
    uint8_t action;        /* tw_action */
    uint8_t time_in_force; /* tw_time_in_force */
    uint8_t flags;
    uint8_t reserved[6];
};

enum tw_update_kind {
    TW_ACCEPTED = 'A',
    TW_REPLACED = 'U',
    TW_EXECUTED = 'E',
    TW_CANCELED = 'C',
    TW_REJECTED = 'J',
    TW_BROKEN = 'B',  /* an execution was undone; the position has been put back */
    TW_REFUSED = 'R', /* by risk, before it was sent */
};

/* What became of an order.
 *
 * After a restart a strategy is told of every order with a tag that is open from before, as TW_ACCEPTED with the shares open now,
 * so that it manages what it has instead of ordering twice: when the order session has been resumed and the feed has named the
 * instrument, after on_instrument and before the first on_top of it. What the exchange says of such orders before that, while
 * missed answers are sent again, is told as it comes, with locate 0 as long as the feed has not named the instrument. */
struct tw_update {
    uint64_t time_ns;
    int64_t position;     /* after it */
    uint32_t reference;   /* UserRefNum, or the number in the 4.2 token; 0 when refused */
    uint32_t tag;
    uint32_t price;       /* of the execution, else of the order */
    uint32_t shares;      /* executed, canceled, ... by this update */
    uint32_t open_shares; /* of the order, after it; refused: of the order that stands under the tag, 0 when there is none */
    uint16_t locate;      /* 0: not seen on the feed yet */
    uint8_t side;
    uint8_t kind;         /* tw_update_kind */
};

struct tw_leg {
    uint8_t stock[8]; /* blank-padded */
    int32_t weight;   /* shares per unit of spread; short is negative */
};

struct tw_strategy_settings;

/* Where the functions of a user's strategy are (strategy_user.c); a function left out is NULL. */
struct tw_user_functions {
    uint64_t state_bytes;
    uint32_t tags;
    uint32_t (*init)(void *state, const struct tw_strategy_settings *settings);
    uint32_t (*reset)(void *state);
    uint32_t (*on_instrument)(void *state, uint16_t locate, uint64_t stock);
    uint32_t (*on_top)(void *state, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS]);
    uint32_t (*on_update)(void *state, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS]);
};

/* What the configuration says; each strategy reads what it knows. */
struct tw_strategy_settings {
    uint32_t max_instruments;
    uint32_t size;           /* shares */
    double ratio;            /* imbalance: shares of one side over those of the other */
    double edge_bps;         /* market maker: half spread around the skewed mid; spread: least edge before it takes */
    double skew_bps;         /* market maker: shift of both quotes for every max_position of inventory */
    uint32_t max_position;   /* market maker: shares; spread: units, a unit being the weight's shares of every leg */
    uint32_t requote_ticks;  /* market maker: least change of its price, in cents, before it replaces a quote */
    uint32_t symbol_count;   /* 0: all instruments */
    uint32_t leg_count;
    uint8_t symbols[TW_STRATEGY_SYMBOLS][8];
    struct tw_leg legs[TW_STRATEGY_LEGS];
    struct tw_user_functions user; /* for tw_strategy_user */
};

struct tw_strategy {
    const char *name;
    uint32_t abi;
    /* Bytes of state, zeroed before `init`. */
    size_t (*footprint)(const struct tw_strategy_settings *settings);
    /* How many tags it uses: tags are 0 to tags - 1. */
    uint32_t (*tags)(const struct tw_strategy_settings *settings);
    void (*init)(void *state, const struct tw_strategy_settings *settings);
    /* A new feed session: all books are empty, locates mean nothing any more. Positions and open orders stay. */
    void (*reset)(void *state);
    /* An instrument was named by the feed; not zero: call on_top for it. */
    uint32_t (*on_instrument)(void *state, uint16_t locate, const uint8_t stock[8]);
    /* Both return how many of `orders` they filled. Called for one event after the other, in feed order. */
    uint32_t (*on_top)(void *state, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS]);
    uint32_t (*on_update)(void *state, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS]); /* or NULL */
};

extern const struct tw_strategy tw_strategy_imbalance;
extern const struct tw_strategy tw_strategy_market_maker;
extern const struct tw_strategy tw_strategy_spread;
extern const struct tw_strategy tw_strategy_user; /* runs settings->user; has no name in a configuration */

/* A user's function that returns this has failed; see strategy_user.c. */
#define TW_USER_FAILED UINT32_MAX

/* The built-in with that name, or NULL. */
const struct tw_strategy *tw_strategy_find(const char *name);

/* For strategies: does the configuration name this instrument (or none at all)? */
uint32_t tw_strategy_names(const struct tw_strategy_settings *settings, const uint8_t stock[8]);

/* Calls of a user's strategy that failed: 0 or, as it is not called again, 1. `state` is that of tw_strategy_user. */
uint32_t tw_user_failures(const void *state);

/* Which function of a user's strategy this process is in, for those who watch it from another thread: a function may never return.
 * TW_CALLS times the calls so far, plus tw_user_function. */
enum tw_user_function {
    TW_IN_NONE,
    TW_IN_INIT,
    TW_IN_RESET,
    TW_IN_ON_INSTRUMENT,
    TW_IN_ON_TOP,
    TW_IN_ON_UPDATE,
    TW_CALLS = 8,
};
uint64_t tw_user_call(void);

/* For strategies: the smallest change of a price there, in 1/10000 dollar. Prices from one dollar are in cents (SEC rule 612). */
static inline uint32_t tw_tick(uint32_t price)
{
    return price >= 10000 ? 100 : 1;
}

/* Times `factor`, to the nearest integer; settings are numbers with decimals, decisions are made in integers. */
static inline int64_t tw_scaled(double setting, double factor)
{
    return (int64_t)(setting * factor + 0.5);
}

#endif

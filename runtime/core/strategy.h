/* SPDX-License-Identifier: Apache-2.0
 *
 * The strategy's C ABI. A strategy is a table of functions over memory the engine gives it: it allocates nothing, blocks nowhere,
 * makes no system call, and returns within a microsecond. */
#ifndef TICKWIRE_STRATEGY_H
#define TICKWIRE_STRATEGY_H

#include <stddef.h>
#include <stdint.h>

#define TW_STRATEGY_ABI 1
#define TW_STRATEGY_ORDERS 4 /* most orders one event may ask for */

/* What a strategy sees: the top of one book just changed. Prices in 1/10000 dollar, 0 with an empty side; time in ns since
 * midnight, from the message. */
struct tw_event {
    uint64_t time_ns;
    uint64_t bid_shares;
    uint64_t ask_shares;
    uint32_t bid;
    uint32_t ask;
    uint16_t locate;
};

/* What it may ask for: a limit order for the event's instrument, immediate or cancel. */
struct tw_order {
    uint32_t price;
    uint32_t shares;
    uint8_t side; /* 'B' or 'S' */
};

struct tw_strategy_settings {
    double ratio;
    uint32_t size; /* shares */
    uint32_t max_instruments;
};

struct tw_strategy {
    const char *name;
    /* Bytes of state, zeroed before `init`. */
    size_t (*footprint)(const struct tw_strategy_settings *settings);
    void (*init)(void *state, const struct tw_strategy_settings *settings);
    /* A new trading day: all books are empty. */
    void (*reset)(void *state);
    /* Returns how many of `orders` it filled. Called for one event after the other, in feed order. */
    uint32_t (*on_top)(void *state, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS]);
};

extern const struct tw_strategy tw_strategy_imbalance;

/* By name, or NULL. */
const struct tw_strategy *tw_strategy_find(const char *name);

#endif

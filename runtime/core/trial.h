/* SPDX-License-Identifier: Apache-2.0
 *
 * A trial of a strategy: an ITCH file through the books, every change of a watched top to the strategy, and simple answers to its
 * orders. It counts what the strategy asks for and measures what a call costs; risk, wire and exchange are left out, so it says
 * nothing of profit.
 *
 * The answers: an order is accepted at once. When its price reaches the other side of the book it is executed whole, at its own
 * price; else an IOC order is canceled and a day order rests, until the other side's best price reaches it. A tag out of range, a
 * second open order of one tag, or a change of an order that is not open is refused. The feed does not show these orders. */
#ifndef TICKWIRE_TRIAL_H
#define TICKWIRE_TRIAL_H

#include "book.h"
#include "strategy.h"

#define TRIAL_LEVELS 10    /* of each side, that an event shows */
#define TRIAL_BATCH 256    /* calls between two looks at the clock */
#define TRIAL_ANSWERS 4096 /* to one event or batch; what goes on longer would never end */

struct trial_counts {
    uint64_t messages;
    uint64_t calls; /* of on_top */
    uint64_t updates; /* calls of on_update */
    uint64_t enters;
    uint64_t replaces;
    uint64_t cancels;
    uint64_t refused;
    uint64_t executed; /* orders */
    uint64_t endless; /* events after which the strategy answered every answer */
    uint64_t failed_at; /* the message, counted from 1, after which a user's strategy had failed; 0: never */
    uint64_t elapsed_ns; /* of the calls of on_top, when measured */
    uint64_t overhead_ns; /* of the same loop with an empty function in the strategy's place */
};

/* The levels of an event that has no books behind it: the `books` of these two functions of an event. */
struct trial_levels {
    uint32_t count[2];
    struct tw_level level[2][TRIAL_LEVELS]; /* best first */
};

const struct tw_level *trial_level_at(const void *levels, uint32_t locate, uint32_t side, uint32_t nth);
uint32_t trial_level_count(const void *levels, uint32_t locate, uint32_t side);

struct trial_order {
    uint32_t price, shares; /* shares 0: none open */
    uint32_t next;          /* tag of the next one in this instrument, TW_NO_TAG: last */
    uint16_t locate;
    uint8_t side;
};

struct trial {
    struct arena arena;
    struct book book;
    const struct tw_strategy *strategy;
    void *state;
    struct trial_order *orders; /* by tag */
    uint32_t tags;
    uint32_t *resting;          /* per locate: the first tag, TW_NO_TAG: none */
    int64_t *positions;         /* per locate */
    uint8_t *watched;           /* per locate: 0 not named, 1 no, 2 yes */
    uint8_t *trading_states;
    struct tw_event *events;    /* the batch */
    struct trial_levels *levels; /* an event's each */
    uint32_t batched;
    uint32_t reference;
    struct trial_counts counts;
};

/* False when the memory cannot be had. */
bool trial_open(struct trial *trial, const struct tw_strategy *strategy, const struct tw_strategy_settings *settings,
                uint32_t max_orders);
void trial_close(struct trial *trial);

/* One message. With `measured`, calls are made in batches and only they are timed; answers come after the batch. */
void trial_message(struct trial *trial, const uint8_t *message, uint16_t length, bool measured);
/* What is left of a batch. */
void trial_finish(struct trial *trial);

#endif

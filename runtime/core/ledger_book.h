/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger's own files share. Orders move in their table when another goes, so a pointer to one is good only until the next
 * ledger_drop. */
#ifndef TICKWIRE_LEDGER_BOOK_H
#define TICKWIRE_LEDGER_BOOK_H

#include "ledger.h"

/* Where `reference` belongs. Numbers follow each other; multiplied by the golden ratio they lie evenly apart, so that runs stay
 * short, which is what taking an order out again has to walk. */
static inline uint32_t ledger_home(const struct ledger *ledger, uint32_t reference)
{
    return (uint32_t)((uint64_t)(reference * 0x9E3779B1u) * (ledger->order_mask + 1ull) >> 32);
}

/* The slot of `reference`, or the free slot it would take. */
static inline struct ledger_order *ledger_slot(const struct ledger *ledger, uint32_t reference)
{
    uint32_t at = ledger_home(ledger, reference);
    while (ledger->orders[at].reference != reference && ledger->orders[at].reference != 0)
        at = (at + 1) & ledger->order_mask;
    return &ledger->orders[at];
}

static inline struct ledger_order *ledger_get(const struct ledger *ledger, uint32_t reference)
{
    struct ledger_order *order = ledger_slot(ledger, reference);
    return reference != 0 && order->reference == reference ? order : NULL;
}

/* The most the chain that `order` is in can still execute. */
uint32_t ledger_exposure(const struct ledger *ledger, const struct ledger_order *order);
/* Book the change of a chain's exposure. */
static inline void ledger_expose(struct ledger_position *position, uint8_t side, uint32_t before, uint32_t after)
{
    /* Both, one of them by 0: which side is not to be guessed. Modulo 2^64, so it may be less. */
    uint64_t more = (uint64_t)after - before, buys = 0 - (uint64_t)(side == 'B');
    position->open_buys += more & buys;
    position->open_sells += more & ~buys;
}

/* Take `order` and the replacements behind it out, without regard to exposure. Returns the reference of what it was to replace. */
uint32_t ledger_drop(struct ledger *ledger, uint32_t reference);
/* The same, and book it. */
uint32_t ledger_forget(struct ledger *ledger, uint32_t reference);
/* A pending replacement is live: those before it in its chain are gone. */
void ledger_supersede(struct ledger *ledger, uint32_t reference);
void ledger_set_state(struct ledger *ledger, struct ledger_order *order, enum ledger_state state);

/* Index of the symbol's positions entry, made when it is new; UINT32_MAX when there is no room. */
uint32_t ledger_instrument(struct ledger *ledger, const uint8_t symbol[8]);

/* A new order without a chain, in state LEDGER_SENT, and its exposure. NULL: there is no room. */
struct ledger_order *ledger_place(struct ledger *ledger, const struct journal_record *record, uint32_t instrument);

/* Book a record. False: there is no room, or no order it is about (recovery only: the caller of a live request has looked). */
bool ledger_book_replace(struct ledger *ledger, const struct journal_record *record);
void ledger_book_unsent(struct ledger *ledger, const struct journal_record *record);
/* True when the strategy is to be told `update`. */
bool ledger_book_answer(struct ledger *ledger, const struct journal_record *record, struct tw_update *update);
void ledger_book_session(struct ledger *ledger, const struct journal_record *record);

#endif

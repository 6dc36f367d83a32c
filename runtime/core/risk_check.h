/* SPDX-License-Identifier: Apache-2.0
 *
 * The check itself, for risk.c and for the engine, which has it in line: what it fills into a risk_view then stays in registers.
 *
 * The checks stand in the order of RISK_REASONS, each a comparison whose branch is not taken by an order that passes; what depends
 * on the market or the side is computed without branches. So an order that passes meets no branch that could be guessed wrong. */
#ifndef TICKWIRE_RISK_CHECK_H
#define TICKWIRE_RISK_CHECK_H

#include "risk.h"

#define RISK_SYMBOL_SLOTS 512u /* a power of two, twice RISK_RESTRICTED_MAX */
#define RISK_REMEMBERED 4u     /* orders per side of an instrument */

/* What was sent last on one side of an instrument. The first cache line is what the check reads. */
struct risk_recent {
    struct {
        uint64_t time_ns; /* of the message */
        uint32_t price, shares;
    } order[RISK_REMEMBERED];
    uint64_t ticked_ns[RISK_REMEMBERED]; /* risk->ticked_ns when it was sent */
    uint64_t next;
    uint64_t padding[3];
};

struct risk {
    struct risk_limits limits;
    uint64_t duplicate_ns;
    uint64_t ticked_ns; /* time the ticks have counted: only goes forward, whatever the clock does */
    uint64_t last_tick_ns;
    uint64_t credit; /* of the next order, in orders times ns per second */
    uint32_t orders; /* in the bucket */
    uint32_t max_instruments;
    uint32_t restricted_count;
    uint32_t used; /* locates from here on were neither named nor sent to */
    bool killed;
    bool ticking;
    uint8_t *off_limits;                    /* per locate: restricted, or without a name while there is a list */
    uint64_t *symbols;                      /* per locate, as on the feed; 0: not named */
    struct risk_recent *recent;             /* two per locate: buys, sells */
    uint64_t restricted[RISK_SYMBOL_SLOTS]; /* open addressing; 0: free */
};

_Static_assert(RISK_SYMBOL_SLOTS >= 2 * RISK_RESTRICTED_MAX, "the restricted list must leave slots free");
_Static_assert(sizeof(struct risk_recent) == 128, "two cache lines");

/* Were the same side, price and shares sent for the instrument within risk->duplicate_ns? */
bool risk_is_duplicate(const struct risk *risk, const struct tw_order *order, uint64_t time_ns);

/* |price - mid| over mid beyond the collar, in halves so that the mid of an odd sum is exact. */
static inline bool risk_outside_collar(uint32_t price, const struct book_top *top, uint32_t collar_bps)
{
    uint64_t twice_mid = (uint64_t)top->bid + top->ask;
    uint64_t twice_price = 2 * (uint64_t)price;
    uint64_t away = twice_price > twice_mid ? twice_price - twice_mid : twice_mid - twice_price;
    return away * 10000 > twice_mid * collar_bps;
}

/* The position as if this and all open orders of its side were filled. Each side for itself: an order that leads back towards zero
 * passes also from beyond the limit. For a sell the position counts with its sign turned, as ~position + 1 because -position may
 * not exist. */
static inline bool risk_outside_position(const struct tw_order *order, const struct risk_view *view, uint32_t max_position)
{
    uint64_t sells = order->side == 'S', all = 0 - sells;
    uint64_t open = (view->open_buys & ~all) | (view->open_sells & all);
    uint64_t turned = (uint64_t)view->position ^ all, wanted;
    open -= view->replaced_open < open ? view->replaced_open : open;
    if (UNLIKELY((int64_t)turned > (int64_t)max_position))
        return true;
    if (UNLIKELY(__builtin_add_overflow(open, order->shares + sells, &wanted)))
        return true;
    return wanted > max_position - turned; /* not below zero by now, and exact modulo 2^64 */
}

void risk_remember(struct risk *risk, const struct tw_order *order, uint64_t time_ns);

/* As risk_sent. */
__attribute__((always_inline)) static inline void risk_count(struct risk *risk, const struct tw_order *order, uint64_t time_ns)
{
    if (order->action == TW_CANCEL)
        return;
    if (LIKELY(risk->orders > 0))
        risk->orders--;
    if (UNLIKELY(risk->duplicate_ns != 0))
        risk_remember(risk, order, time_ns);
}

/* As risk_check_nth. */
__attribute__((always_inline)) static inline enum risk_verdict risk_judge(const struct risk *risk, const struct tw_order *order,
                                                                          const struct risk_view *view, uint32_t nth)
{
    const struct risk_limits *limits = &risk->limits;
    if (UNLIKELY(order->action == TW_CANCEL))
        return RISK_PASSED;
    if (UNLIKELY(order->locate >= risk->max_instruments))
        return RISK_restricted;
    if (UNLIKELY(order->shares == 0 || order->shares > limits->max_size))
        return RISK_size;
    if (UNLIKELY((uint64_t)order->price * order->shares > limits->max_notional))
        return RISK_notional;
    if (UNLIKELY(view->top.bid == 0 || view->top.ask == 0 || order->price == 0)) /* no telling how far it is from the mid */
        return RISK_collar;
    if (UNLIKELY(risk_outside_collar(order->price, &view->top, limits->collar_bps)))
        return RISK_collar;
    if (UNLIKELY((order->side != 'B') & (order->side != 'S'))) /* no side to have a position on */
        return RISK_position;
    if (UNLIKELY(risk_outside_position(order, view, limits->max_position)))
        return RISK_position;
    if (UNLIKELY((uint64_t)view->open_orders + nth + (view->replaced_open == 0) > limits->max_open_orders))
        return RISK_open_orders;
    if (UNLIKELY(risk->orders <= nth))
        return RISK_rate;
    if (UNLIKELY(risk->duplicate_ns != 0) && UNLIKELY(risk_is_duplicate(risk, order, view->time_ns)))
        return RISK_duplicate;
    if (UNLIKELY(risk->off_limits[order->locate] != 0))
        return RISK_restricted;
    if (UNLIKELY(risk->killed))
        return RISK_killed;
    if (UNLIKELY(view->stale != 0))
        return RISK_stale;
    if (UNLIKELY(view->trading_state != 'T'))
        return RISK_halted;
    if (UNLIKELY((order->price < view->lower_band) | ((view->upper_band != 0) & (order->price > view->upper_band))))
        return RISK_band;
    return RISK_PASSED;
}

#endif

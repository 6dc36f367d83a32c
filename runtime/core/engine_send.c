/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "engine.h"
#include "ledger_enter.h"
#include "risk_check.h"

/* All ways to the wire go through the same checks, ledger and templates. The usual one, a single new order without a tag, has
 * copies of them in line without what only changes and groups need, so that nothing of it but journal, ledger and the order's bytes
 * is ever written to memory. */
#define ALWAYS_INLINE __attribute__((always_inline)) static inline

/* One wish on its way to the wire. */
struct request {
    const struct tw_order *order; /* the wish, or `known`: the wish with what the ledger knows of the order it changes */
    struct tw_order known;
    uint32_t replaced_open;
    uint32_t reference;
    const uint8_t *bytes;
    uint32_t length;
    enum risk_verdict verdict;
};

/* --- refusals --- */

__attribute__((cold, noinline)) static void tell_refused(struct engine *engine, const struct tw_order *order)
{
    if (engine->telling == TW_STRATEGY_ORDERS) /* it answers every refusal with a wish that is refused */
        return;
    const struct ledger_position *position = ledger_position(&engine->ledger, order->locate);
    const struct ledger_order *stands = ledger_tagged(&engine->ledger, order->tag);
    struct tw_update update = {.time_ns = engine->time_ns,
                               .position = position != NULL ? position->shares : 0,
                               .tag = order->tag,
                               .price = order->price,
                               .shares = order->shares,
                               .open_shares = stands != NULL ? stands->open_shares : 0,
                               .locate = order->locate,
                               .side = order->side,
                               .kind = TW_REFUSED};
    engine->telling++;
    engine_tell(engine, &update);
    engine->telling--;
}

__attribute__((cold, noinline)) static void refuse(struct engine *engine, const struct tw_order *order, enum risk_verdict verdict)
{
    switch (verdict) {
    case RISK_PASSED:
    case RISK_VERDICTS:
        return;
#define COUNT_REFUSED(name)                         \
    case RISK_##name:                               \
        BLOCK_COUNT(engine->block, risk_##name, 1); \
        break;
        RISK_REASONS(COUNT_REFUSED)
#undef COUNT_REFUSED
    }
    tell_refused(engine, order);
}

/* --- risk --- */

static inline struct risk_view view_of(const struct engine *engine, uint16_t locate, uint32_t replaced_open,
                                       const struct ledger_position *position)
{
    const struct book_instrument *instrument = &engine->book.instruments[locate];
    return (struct risk_view){.top = book_top(&engine->book, locate),
                              .position = position->shares,
                              .open_buys = position->open_buys,
                              .open_sells = position->open_sells,
                              .open_orders = engine->ledger.open_orders,
                              .replaced_open = replaced_open,
                              .lower_band = instrument->lower_band,
                              .upper_band = instrument->upper_band,
                              .time_ns = engine->time_ns,
                              .trading_state = instrument->trading_state,
                              .stale = feed_is_stale(engine->feed)};
}

/* `before`: the requests of the same group that come first; they count as if they were out. */
ALWAYS_INLINE enum risk_verdict judge(const struct engine *engine, const struct tw_order *order, uint32_t replaced_open,
                                      const struct request *before, uint32_t count)
{
    if (order->action == TW_CANCEL)
        return RISK_PASSED;
    if (UNLIKELY(order->locate >= engine->settings.max_instruments))
        return RISK_collar; /* there is no book of it */
    const struct ledger_position *position = ledger_position(&engine->ledger, order->locate);
    if (UNLIKELY(position == NULL))
        return RISK_full; /* no room to keep its position, or the feed has not named it */
    if (UNLIKELY(atomic_load_explicit(&engine->control->killed, memory_order_relaxed) != 0))
        return RISK_killed;
    struct risk_view view = view_of(engine, order->locate, replaced_open, position);
    for (uint32_t i = 0; i < count; i++) {
        if (before[i].order->locate != order->locate || before[i].order->action == TW_CANCEL)
            continue;
        uint64_t more = before[i].order->shares > before[i].replaced_open ? before[i].order->shares - before[i].replaced_open : 0;
        *(before[i].order->side == 'B' ? &view.open_buys : &view.open_sells) += more;
    }
    return risk_judge(engine->risk, order, &view, count);
}

/* What the wish names must be there, and what it makes must not. */
ALWAYS_INLINE enum risk_verdict look_up(const struct engine *engine, const struct tw_order *wish, struct request *request)
{
    request->order = wish; /* not copied: its fields were stored one by one just now, and a wider load would wait for them */
    request->replaced_open = 0;
    if (wish->action == TW_ENTER && wish->tag == TW_NO_TAG)
        return RISK_PASSED;
    if (UNLIKELY(wish->tag >= engine->ledger.settings.max_tags))
        return RISK_tag;
    const struct ledger_order *open = ledger_tagged(&engine->ledger, wish->tag);
    if (wish->action == TW_ENTER)
        return open == NULL ? RISK_PASSED : RISK_tag;
    if (open == NULL || (wish->action != TW_REPLACE && wish->action != TW_CANCEL))
        return RISK_tag;
    uint32_t locate = engine->ledger.positions[open->instrument].locate;
    request->known = *wish;
    request->known.side = open->side;
    request->known.time_in_force = open->time_in_force;
    request->known.locate = locate <= UINT16_MAX ? (uint16_t)locate : UINT16_MAX;
    request->order = &request->known;
    request->replaced_open = open->open_shares;
    /* Not on this day's feed: there is no book to judge a new price by, and taking it off the market is always right. */
    return locate <= UINT16_MAX || wish->action == TW_CANCEL ? RISK_PASSED : RISK_collar;
}

/* --- out --- */

__attribute__((noinline)) static void stage_change(struct engine *engine, struct request *request, struct ouch_staged *staged)
{
    const struct tw_order *order = request->order;
    uint32_t original = 0, shares = 0;
    if (order->action == TW_REPLACE) {
        request->reference = ledger_replace(&engine->ledger, order, &original, &shares);
        request->bytes = staged->replace;
        request->length = ouch_replace(staged, original, request->reference, shares, order->price, order->time_in_force);
    } else {
        request->reference = ledger_cancel(&engine->ledger, order);
        request->bytes = staged->cancel;
        request->length = ouch_cancel(staged, request->reference);
    }
}

/* Journal and book it, and write its bytes. False: the ledger has no room, or there is nothing to change. */
ALWAYS_INLINE bool stage(struct engine *engine, struct request *request, struct ouch_staged *staged)
{
    const struct tw_order *order = request->order;
    if (LIKELY(order->action == TW_ENTER)) {
        request->reference = ledger_enter(&engine->ledger, order);
        request->bytes = staged->enter;
        request->length = ouch_enter(staged, request->reference, order->side, order->shares,
                                     engine->book.stocks[order->locate], order->price, order->time_in_force);
    } else {
        stage_change(engine, request, staged);
    }
    return LIKELY(request->reference != 0);
}

static inline void count_sent(struct engine *engine, uint8_t action)
{
    if (LIKELY(action == TW_ENTER))
        BLOCK_COUNT(engine->block, orders_sent, 1);
    else if (action == TW_REPLACE)
        BLOCK_COUNT(engine->block, replaces_sent, 1);
    else
        BLOCK_COUNT(engine->block, cancels_sent, 1);
}

/* What the next order will write to is made ready and asked for when this one is on its way. */
static inline void prepare_next(struct engine *engine)
{
    ouch_prepare(&engine->staged[0], engine->ledger.last_reference + 1);
    ledger_warm(&engine->ledger);
    stamps_warm(engine->stamps);
}

ALWAYS_INLINE int transmit(struct engine *engine, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    return engine->transport.orders.send(engine->transport.orders.self, bytes, length, last_byte);
}

/* A peer that does not read, or is gone: the order session finds out which. */
__attribute__((cold, noinline)) static void take_back(struct engine *engine, const struct tw_order *order, uint32_t reference)
{
    ledger_unsent(&engine->ledger, reference, order->action);
    BLOCK_COUNT(engine->block, orders_unsent, 1);
    tell_refused(engine, order);
}

/* The order is on its way: what is to be kept of it. */
ALWAYS_INLINE void keep_sent(struct engine *engine, const struct tw_order *order, uint32_t last_byte,
                             const struct transport_packet *packet)
{
    if (LIKELY(packet != NULL))
        stamps_sent(engine->stamps, last_byte, packet);
    risk_count(engine->risk, order, engine->time_ns);
    count_sent(engine, order->action);
    engine->orders->sent = true;
    engine->orders_unread++;
    engine->warm_locate = order->locate;
    prepare_next(engine);
}

ALWAYS_INLINE bool send_request(struct engine *engine, const struct request *request, const struct transport_packet *packet)
{
    uint32_t last_byte;
    if (UNLIKELY(transmit(engine, request->bytes, request->length, &last_byte) != 0)) {
        take_back(engine, request->order, request->reference);
        return false;
    }
    keep_sent(engine, request->order, last_byte, packet);
    return true;
}

static inline bool is_plain(const struct tw_order *order)
{
    return order->action == TW_ENTER && order->tag == TW_NO_TAG && (order->flags & TW_LEG) == 0;
}

ALWAYS_INLINE void send_plain(struct engine *engine, const struct tw_order *wish, const struct transport_packet *packet)
{
    /* Field by field into registers: they were stored one by one just now, and a wider load would wait for them. */
    const struct tw_order order = {.price = wish->price,
                                   .shares = wish->shares,
                                   .tag = TW_NO_TAG,
                                   .locate = wish->locate,
                                   .side = wish->side,
                                   .action = TW_ENTER,
                                   .time_in_force = wish->time_in_force};
    struct ouch_staged *staged = &engine->staged[0];
    enum risk_verdict verdict = judge(engine, &order, 0, NULL, 0);
    uint32_t reference = 0, last_byte;
    if (LIKELY(verdict == RISK_PASSED)) {
        reference = ledger_enter_journal(&engine->ledger, &order);
        if (UNLIKELY(reference == 0))
            verdict = RISK_full;
    }
    if (UNLIKELY(verdict != RISK_PASSED)) {
        refuse(engine, wish, verdict);
        return;
    }
    uint32_t length = ouch_enter(staged, reference, order.side, order.shares, engine->book.stocks[order.locate],
                                 order.price, order.time_in_force);
    int result = transmit(engine, staged->enter, length, &last_byte);
    ledger_enter_book(&engine->ledger, &order, reference);
    if (LIKELY(result == 0))
        keep_sent(engine, &order, last_byte, packet);
    else
        take_back(engine, wish, reference);
}

__attribute__((noinline)) static void send_single(struct engine *engine, const struct tw_order *wish,
                                                  const struct transport_packet *packet)
{
    struct request request;
    request.verdict = look_up(engine, wish, &request);
    if (request.verdict == RISK_PASSED)
        request.verdict = judge(engine, request.order, request.replaced_open, NULL, 0);
    if (request.verdict == RISK_PASSED && !stage(engine, &request, &engine->staged[0])) {
        if (wish->action == TW_CANCEL) /* it is on its way already */
            return;
        request.verdict = RISK_full;
    }
    if (request.verdict == RISK_PASSED)
        send_request(engine, &request, packet);
    else
        refuse(engine, request.order, request.verdict);
}

/* Nothing of a group is out yet, so what risk remembers as sent does not have the legs before this one. */
static bool repeats(const struct engine *engine, const struct tw_order *order, const struct request *before, uint32_t count)
{
    if (LIKELY(engine->risk->duplicate_ns == 0) || order->action == TW_CANCEL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct tw_order *other = before[i].order;
        if (other->action != TW_CANCEL && other->locate == order->locate && other->side == order->side &&
            other->price == order->price && other->shares == order->shares)
            return true;
    }
    return false;
}

/* All or none: every leg has passed risk and is journalled and staged before the first one is sent. */
__attribute__((noinline)) static void send_group(struct engine *engine, const struct tw_order *wishes, uint32_t count,
                                                 const struct transport_packet *packet)
{
    struct request legs[TW_STRATEGY_ORDERS];
    bool passed = ledger_has_room(&engine->ledger, count);
    for (uint32_t i = 0; i < count; i++) {
        legs[i].verdict = look_up(engine, &wishes[i], &legs[i]);
        if (legs[i].verdict == RISK_PASSED)
            legs[i].verdict = ledger_has_room(&engine->ledger, count) ? judge(engine, legs[i].order, legs[i].replaced_open, legs, i)
                                                                       : RISK_full;
        for (uint32_t j = 0; j < i; j++) /* two legs of one call cannot share a tag */
            if (legs[i].order->tag != TW_NO_TAG && legs[j].order->tag == legs[i].order->tag)
                legs[i].verdict = RISK_tag;
        if (legs[i].verdict == RISK_PASSED && UNLIKELY(repeats(engine, legs[i].order, legs, i)))
            legs[i].verdict = RISK_duplicate;
        passed = passed && legs[i].verdict == RISK_PASSED;
    }
    uint32_t staged = 0;
    while (passed && staged < count) {
        passed = stage(engine, &legs[staged], &engine->staged[staged]);
        if (!passed)
            legs[staged].verdict = RISK_full;
        staged += passed;
    }
    if (UNLIKELY(!passed)) {
        for (uint32_t i = 0; i < staged; i++)
            ledger_unsent(&engine->ledger, legs[i].reference, legs[i].order->action);
        for (uint32_t i = 0; i < count; i++) {
            if (legs[i].verdict == RISK_PASSED)
                legs[i].verdict = RISK_leg;
            refuse(engine, legs[i].order, legs[i].verdict);
        }
        return;
    }
    uint64_t first = 0, last = 0;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!send_request(engine, &legs[i], packet))
            continue;
        sent++;
        BLOCK_COUNT(engine->block, legs_sent, 1);
        last = clock_now(); /* after each send: the time between them, the send of the last included */
        if (first == 0)
            first = last;
    }
    if (count > 1 && sent == count) /* of a group that is not whole there is no time to tell */
        block_add_legs(engine->block, last - first);
}

__attribute__((noinline)) static void ask_any(struct engine *engine, const struct tw_order *orders, uint32_t count,
                                              const struct transport_packet *packet)
{
    struct tw_order group[TW_STRATEGY_ORDERS];
    uint32_t legs = 0;
    if (UNLIKELY(count > TW_STRATEGY_ORDERS))
        count = TW_STRATEGY_ORDERS;
    for (uint32_t i = 0; i < count; i++) {
        if (UNLIKELY(!engine->trading)) { /* not logged in, settled and running: nothing can go out */
            BLOCK_COUNT(engine->block, orders_unsent, 1);
            tell_refused(engine, &orders[i]);
        } else if (UNLIKELY(orders[i].flags & TW_LEG)) {
            group[legs++] = orders[i];
        } else {
            send_single(engine, &orders[i], packet);
        }
    }
    if (UNLIKELY(legs > 0))
        send_group(engine, group, legs, packet);
}

void engine_ask(struct engine *engine, const struct tw_order *orders, uint32_t count, const struct transport_packet *packet)
{
    if (UNLIKELY(engine->feed_clock))
        risk_tick(engine->risk, engine->time_ns);
    if (LIKELY(count == 1 && engine->trading && is_plain(orders)))
        send_plain(engine, orders, packet);
    else
        ask_any(engine, orders, count, packet);
}

void engine_warm(struct engine *engine)
{
    uint16_t locate = engine->warm_locate;
    const struct tw_order order = {
        .price = 1, .shares = 1, .tag = TW_NO_TAG, .locate = locate, .side = 'B', .action = TW_ENTER};
    enum risk_verdict verdict = judge(engine, &order, 0, NULL, 0);
    /* The bytes lie in the template until the next order overwrites them. */
    uint32_t length = ouch_enter(&engine->staged[0], verdict, order.side, order.shares, engine->book.stocks[locate],
                                 order.price, TW_IOC);
    prepare_next(engine);
    if (engine->transport.orders.warm != NULL)
        engine->transport.orders.warm(engine->transport.orders.self, engine->staged[0].enter, length);
}

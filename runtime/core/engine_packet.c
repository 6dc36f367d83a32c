/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "engine.h"
#include "itch.h"

#define HAND 64u /* messages of a packet looked at together */
#define ALWAYS_INLINE __attribute__((always_inline)) static inline
#define END_GRACE_NS (200 * NS_PER_MS) /* for transmit stamps after the end of a feed session */

/* --- instruments --- */

/* The feed has named an instrument: everybody who goes by symbol learns its locate. */
static void name_instrument(struct engine *engine, uint16_t locate, const uint8_t stock[8])
{
    const struct tw_strategy *strategy = engine->settings.strategy;
    risk_name(engine->risk, locate, stock);
    ledger_bind(&engine->ledger, locate, stock); /* without room for it its orders will be refused as `full` */
    bool watched = strategy->on_instrument(engine->strategy_state, locate, stock) != 0;
    engine->instruments[locate] = watched ? ENGINE_WATCHED : ENGINE_NAMED;
}

static void begin_feed_session(struct engine *engine)
{
    if (stamps_waiting(engine->stamps) > 0) {
        engine->transport.collect_stamps(engine->transport.self, engine->stamps);
        stamps_flush(engine->stamps);
    }
    book_clear(&engine->book);
    risk_forget(engine->risk);
    ledger_unbind(&engine->ledger);
    memset(engine->instruments, ENGINE_UNNAMED, engine->settings.max_instruments);
    engine->settings.strategy->reset(engine->strategy_state);
    engine->feed_ending = false;
    block_begin_session(engine->block, feed_session(engine->feed));
}

/* --- from message to wishes --- */

/* What an order would touch, asked for whenever the strategy has seen a top and wants none: orders are rare, and what they need
 * would leave the nearest cache until the next. An order itself has nothing left to ask for. */
static inline void prefetch_order_way(const struct engine *engine, uint16_t locate)
{
    risk_warm(engine->risk, locate);
    ledger_warm(&engine->ledger);
    ouch_warm(&engine->staged[0]);
    stamps_warm(engine->stamps);
    prefetch(&engine->control->killed);
    prefetch(&engine->block->orders_sent);
    prefetch(&engine->orders->sent);
}

ALWAYS_INLINE void decide(struct engine *engine, uint16_t locate, uint64_t receive_ns)
{
    struct tw_order orders[TW_STRATEGY_ORDERS];
    const struct book_instrument *instrument = &engine->book.instruments[locate];
    const struct ledger_position *position = ledger_position(&engine->ledger, locate);
    struct tw_event event;
    event.bids = book_side_best(&engine->book, locate, BOOK_BID, &event.bid_levels);
    event.asks = book_side_best(&engine->book, locate, BOOK_ASK, &event.ask_levels);
    event.bid = event.bid_levels > 0 ? event.bids->price : 0;
    event.ask = event.ask_levels > 0 ? event.asks->price : 0;
    event.bid_shares = event.bid_levels > 0 ? event.bids->shares : 0;
    event.ask_shares = event.ask_levels > 0 ? event.asks->shares : 0;
    event.time_ns = engine->time_ns;
    event.position = position != NULL ? position->shares : 0;
    event.locate = locate;
    event.trading_state = instrument->trading_state;
    memset(event.reserved, 0, sizeof event.reserved);
    uint32_t count = engine->settings.strategy->on_top(engine->strategy_state, &event, orders);
    if (count > 0)
        engine_ask(engine, orders, count, receive_ns);
    else
        prefetch_order_way(engine, locate);
}

ALWAYS_INLINE void apply(struct engine *engine, const uint8_t *message, uint64_t receive_ns)
{
    struct book *book = &engine->book;
    int32_t changed = book_apply(book, message);
    if (UNLIKELY(book->news != 0)) {
        if (book->news & BOOK_NEWS_NAMED)
            name_instrument(engine, book->news_locate, book->instruments[book->news_locate].stock);
        book->news = 0;
    }
    if (changed < 0 || engine->instruments[changed] != ENGINE_WATCHED || UNLIKELY(!engine->trading))
        return;
    engine->time_ns = get48(message + ITCH_A_timestamp);
    decide(engine, (uint16_t)changed, receive_ns);
}

/* A message alone: its locate and reference say which lines it will need, so all of them are asked for at once instead of missed
 * one after the other. */
ALWAYS_INLINE void apply_alone(struct engine *engine, const uint8_t *message, uint64_t receive_ns)
{
    book_prefetch_order(&engine->book, message);
    book_prefetch_level(&engine->book, message);
    apply(engine, message, receive_ns);
}

/* With several messages in hand, what the later ones need is fetched while the earlier ones are worked on; see book.h. */
static void apply_all(struct engine *engine, const uint8_t *const messages[], uint32_t count, uint64_t receive_ns)
{
    for (uint32_t i = 0; i < count + BOOK_AHEAD_ORDER; i++) {
        if (i < count)
            book_prefetch_order(&engine->book, messages[i]);
        if (i >= BOOK_AHEAD_LEVEL && i - BOOK_AHEAD_LEVEL < count)
            book_prefetch_level(&engine->book, messages[i - BOOK_AHEAD_LEVEL]);
        if (i >= BOOK_AHEAD_ORDER)
            apply(engine, messages[i - BOOK_AHEAD_ORDER], receive_ns);
    }
}

/* Nothing that has not the length of its type goes any further. */
static bool is_whole(struct engine *engine, const uint8_t *message, uint32_t length)
{
    uint8_t expected = length > 0 ? itch_lengths[message[0]] : 0;
    if (LIKELY(expected == length && length > 0))
        return true;
    if (expected == 0)
        BLOCK_COUNT(engine->block, unknown, 1);
    else
        engine->malformed++;
    return false;
}

/* --- packets --- */

/* The packet of one message, which most packets are in a quiet market. */
ALWAYS_INLINE uint32_t walk_one(struct engine *engine, const struct transport_packet *packet)
{
    const uint8_t *at = packet->bytes + MOLD_HEADER;
    if (UNLIKELY(packet->length < MOLD_HEADER + 2u || packet->length - MOLD_HEADER - 2u < get16(at)))
        return 0;
    if (is_whole(engine, at + 2, get16(at)))
        apply_alone(engine, at + 2, packet->receive_ns);
    return 1;
}

__attribute__((noinline)) static uint32_t walk(struct engine *engine, const struct transport_packet *packet,
                                               const struct mold_view *view)
{
    const uint8_t *messages[HAND];
    const uint8_t *at = packet->bytes + MOLD_HEADER, *end = packet->bytes + packet->length;
    uint32_t taken = 0, held = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        if (UNLIKELY(end - at < 2 || end - at - 2 < get16(at)))
            break; /* a damaged tail: the feed counts it, and misses what was promised */
        uint32_t length = get16(at);
        if (LIKELY(i >= view->duplicates)) {
            taken++;
            if (is_whole(engine, at + 2, length))
                messages[held++] = at + 2;
            if (UNLIKELY(held == HAND)) {
                apply_all(engine, messages, held, packet->receive_ns);
                held = 0;
            }
        }
        at += 2 + length;
    }
    if (LIKELY(held > 0))
        apply_all(engine, messages, held, packet->receive_ns);
    return taken;
}

ALWAYS_INLINE void take(struct engine *engine, const struct transport_packet *packet, const struct mold_view *view)
{
    if (UNLIKELY(view->new_session))
        begin_feed_session(engine);
    /* Not `duplicates == 0`: the two would be loaded as one word, which waits for the stores of its halves. */
    bool alone = view->count == 1 && view->duplicates < view->count;
    uint32_t taken = LIKELY(alone) ? walk_one(engine, packet) : walk(engine, packet, view);
    feed_taken(engine->feed, taken);
    engine->messages += taken;
    if (UNLIKELY(view->ends_session)) {
        engine->feed_ending = true;
        engine->end_deadline_ns = clock_now() + END_GRACE_NS;
    }
}

void engine_take_kept(struct engine *engine)
{
    struct transport_packet packet;
    struct mold_view view;
    while (feed_has_kept(engine->feed) && feed_kept(engine->feed, &packet, &view) == FEED_TAKE)
        take(engine, &packet, &view);
}

void engine_packet(struct engine *engine, const struct transport_packet *packet)
{
    struct mold_view view;
    if (LIKELY(feed_packet(engine->feed, packet, engine->now_ns, &view) == FEED_TAKE)) {
        take(engine, packet, &view);
        if (UNLIKELY(feed_has_kept(engine->feed)))
            engine_take_kept(engine);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "book_walk.h"
#include "clock.h"
#include "engine.h"
#include "itch.h"

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
    if (UNLIKELY(engine->untold_count > 0) && engine->trading)
        engine_tell_recovered(engine);
}

static void begin_feed_session(struct engine *engine)
{
    if (stamps_waiting(engine->stamps) > 0) {
        engine->transport.orders.collect_stamps(engine->transport.orders.self, engine->stamps);
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

static const struct tw_level *level_at(const void *books, uint32_t locate, uint32_t side, uint32_t nth)
{
    return book_level(books, locate, side, nth);
}

static uint32_t level_count(const void *books, uint32_t locate, uint32_t side)
{
    return book_level_count(books, locate, side);
}

ALWAYS_INLINE void decide(struct engine *engine, uint16_t locate, const struct transport_packet *packet)
{
    struct tw_order orders[TW_STRATEGY_ORDERS];
    const struct book_instrument *instrument = &engine->book.instruments[locate];
    const struct ledger_position *position = ledger_position(&engine->ledger, locate);
    struct tw_event event;
    const struct tw_level *bid = book_best(&engine->book, locate, BOOK_BID), *ask = book_best(&engine->book, locate, BOOK_ASK);
    event.books = &engine->book;
    event.level_at = level_at;
    event.level_count = level_count;
    event.bid = bid->price;
    event.ask = ask->price;
    event.bid_shares = bid->shares;
    event.ask_shares = ask->shares;
    event.time_ns = engine->time_ns;
    event.position = position != NULL ? position->shares : 0;
    event.locate = locate;
    event.trading_state = instrument->trading_state;
    memset(event.reserved, 0, sizeof event.reserved);
    uint32_t count = engine->settings.strategy->on_top(engine->strategy_state, &event, orders);
    if (count > 0)
        engine_ask(engine, orders, count, packet);
    else
        prefetch_order_way(engine, locate);
}

ALWAYS_INLINE void applied(struct engine *engine, const uint8_t *message, int32_t changed,
                           const struct transport_packet *packet)
{
    struct book *book = &engine->book;
    if (UNLIKELY(book->news != 0)) {
        if (book->news & BOOK_NEWS_NAMED)
            name_instrument(engine, book->news_locate, book->stocks[book->news_locate]);
        book->news = 0;
    }
    if (changed < 0 || engine->instruments[changed] != ENGINE_WATCHED || UNLIKELY(!engine->trading))
        return;
    engine->time_ns = get48(message + ITCH_A_timestamp);
    decide(engine, (uint16_t)changed, packet);
}

ALWAYS_INLINE void look(const struct engine *engine, const uint8_t *message)
{
    uint32_t locate = get16(message + ITCH_A_stock_locate);
    book_look(&engine->book, message);
    prefetch(&engine->book.instruments[locate]);
    prefetch(&engine->instruments[locate]);
}

/* A message alone has nothing to look ahead to, but the lines it needs can be on their way together. */
ALWAYS_INLINE void apply_alone(struct engine *engine, const uint8_t *message, const struct transport_packet *packet)
{
    look(engine, message);
    book_look_at_best(&engine->book, message);
    applied(engine, message, book_apply(&engine->book, message), packet);
}

static void apply_all(struct engine *engine, const uint8_t *const messages[], uint32_t count,
                      const struct transport_packet *packet)
{
    struct book_walk walk;
    book_walk_begin(&walk, &engine->book, messages, count);
    while (walk.at < count) {
        const uint8_t *message = messages[walk.at];
        applied(engine, message, book_walk_next(&walk), packet);
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
        apply_alone(engine, at + 2, packet);
    return 1;
}

__attribute__((noinline)) static uint32_t walk(struct engine *engine, const struct transport_packet *packet,
                                               const struct mold_view *view)
{
    const uint8_t *messages[BOOK_HAND];
    const uint8_t *at = packet->bytes + MOLD_HEADER, *end = packet->bytes + packet->length;
    uint32_t taken = 0, held = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        if (UNLIKELY(end - at < 2 || end - at - 2 < get16(at)))
            break; /* a damaged tail: the feed counts it, and misses what was promised */
        uint32_t length = get16(at);
        if (LIKELY(i >= view->duplicates)) {
            taken++;
            if (is_whole(engine, at + 2, length)) {
                look(engine, at + 2);
                messages[held++] = at + 2;
            }
            if (UNLIKELY(held == BOOK_HAND)) {
                apply_all(engine, messages, held, packet);
                held = 0;
            }
        }
        at += 2 + length;
    }
    if (LIKELY(held > 0))
        apply_all(engine, messages, held, packet);
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

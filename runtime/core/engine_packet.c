/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "engine.h"
#include "itch.h"

#define END_GRACE_NS (200 * NS_PER_MS) /* for transmit stamps after the end of a feed session */

/* --- instruments --- */

/* The feed has named an instrument: everybody who goes by symbol learns its locate. */
static void name_instrument(struct engine *engine, uint16_t locate, const uint8_t stock[8])
{
    const struct tw_strategy *strategy = engine->settings.strategy;
    risk_name(engine->risk, locate, stock);
    bool watched = ledger_bind(&engine->ledger, locate, stock) &&
                   strategy->on_instrument(engine->strategy_state, locate, stock) != 0;
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

static void decide(struct engine *engine, uint16_t locate, uint64_t receive_ns)
{
    struct tw_event event;
    struct tw_order orders[TW_STRATEGY_ORDERS];
    const struct ledger_position *position = ledger_position(&engine->ledger, locate);
    book_event(&engine->book, locate, &event);
    event.time_ns = engine->time_ns;
    event.position = position != NULL ? position->shares : 0;
    uint32_t count = engine->settings.strategy->on_top(engine->strategy_state, &event, orders);
    if (count > 0)
        engine_ask(engine, orders, count, receive_ns);
}

static void on_message(struct engine *engine, const uint8_t *message, uint16_t length, uint64_t receive_ns)
{
    uint8_t expected = length > 0 ? itch_lengths[message[0]] : 0;
    if (UNLIKELY(expected != length || length == 0)) {
        if (expected == 0)
            BLOCK_COUNT(engine->block, unknown, 1);
        else
            engine->malformed++;
        return;
    }
    int32_t changed = book_apply(&engine->book, message);
    if (changed < 0) {
        uint16_t locate = get16(message + ITCH_A_stock_locate);
        if (UNLIKELY(message[0] == 'R') && locate < engine->settings.max_instruments)
            name_instrument(engine, locate, message + ITCH_R_stock);
        return;
    }
    uint8_t *known = &engine->instruments[changed];
    if (UNLIKELY(*known == ENGINE_UNNAMED)) /* no directory message, or it came before we listened: orders name the symbol too */
        name_instrument(engine, (uint16_t)changed, engine->book.instruments[changed].stock);
    if (*known == ENGINE_WATCHED && LIKELY(engine->trading)) {
        engine->time_ns = get48(message + ITCH_A_timestamp);
        decide(engine, (uint16_t)changed, receive_ns);
    }
}

/* --- packets --- */

static void take(struct engine *engine, const struct transport_packet *packet, const struct mold_view *view)
{
    if (UNLIKELY(view->new_session))
        begin_feed_session(engine);
    const uint8_t *at = packet->bytes + MOLD_HEADER;
    const uint8_t *end = packet->bytes + packet->length;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        if (UNLIKELY(end - at < 2 || end - at - 2 < get16(at)))
            break; /* a damaged tail: the feed counts it, and misses what was promised */
        uint16_t length = get16(at);
        if (LIKELY(i >= view->duplicates)) {
            on_message(engine, at + 2, length, packet->receive_ns);
            taken++;
        }
        at += 2 + length;
    }
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>

#include "clock.h"
#include "itch.h"

#define TICK_NS (10 * NS_PER_MS)
#define SPINS_PER_LOOK 16    /* empty polls of the feed between looks at clock and order connection */
#define PACKETS_PER_LOOK 64  /* the same while packets come without a pause */
#define ORDERS_PER_COLLECT 16
#define END_GRACE_NS (200 * NS_PER_MS) /* for transmit stamps after the end of a feed session */
#define WAIT_MAX_MS 50

/* --- memory --- */

static size_t engine_footprint(const struct engine_settings *settings)
{
    return book_footprint(settings->max_orders, settings->max_instruments) +
           arena_footprint(settings->strategy->footprint(&settings->strategy_settings)) +
           risk_footprint(settings->max_instruments) +
           arena_footprint(sizeof(struct stamps)) + arena_footprint(sizeof(struct orders)) + arena_footprint(MOLD_PACKET_MAX);
}

bool engine_init(struct engine *engine, const struct engine_settings *settings, struct failure *failure)
{
    memset(engine, 0, sizeof *engine);
    engine->settings = *settings;
    size_t need = engine_footprint(settings);
    if (!arena_open(&engine->arena, need))
        return failure_set(failure, ENOMEM,
                           "engine memory: %zu MB needed for engine.max_orders %u and engine.max_instruments %u cannot be had: "
                           "%s; lower them or free memory",
                           (need >> 20) + 1, settings->max_orders, settings->max_instruments, strerror(errno));
    bool fits = book_init(&engine->book, &engine->arena, settings->max_orders, settings->max_instruments);
    engine->strategy_state = arena_take(&engine->arena, settings->strategy->footprint(&settings->strategy_settings));
    engine->risk = risk_init(&engine->arena, &settings->risk_limits, settings->max_instruments);
    engine->stamps = arena_take(&engine->arena, sizeof *engine->stamps);
    engine->orders = arena_take(&engine->arena, sizeof *engine->orders);
    engine->receive_buffer = arena_take(&engine->arena, MOLD_PACKET_MAX);
    if (!fits || engine->arena.used > engine->arena.capacity) { /* footprint and use disagree: a defect, yet no overrun */
        engine_release(engine);
        return failure_set(failure, ENOMEM, "engine memory: arena of %zu bytes is too small", need);
    }
    settings->strategy->init(engine->strategy_state, &settings->strategy_settings);
    ouch_stage(&engine->order, OUCH_50, settings->orders.firm);
    return true;
}

void engine_release(struct engine *engine)
{
    block_unmap(engine->block);
    engine->block = NULL;
    arena_close(&engine->arena);
}

/* --- from message to order --- */

static void send_order(struct engine *engine, const struct tw_order *order, const uint8_t *stock, uint64_t receive_ns)
{
    uint32_t last_byte;
    uint32_t length = ouch_enter(&engine->order, engine->user_ref_num + 1, order->side, order->shares, stock, order->price, TW_IOC);
    int result = engine->transport.send(engine->transport.self, engine->order.enter, length, &last_byte);
    if (UNLIKELY(result != 0)) { /* a peer that does not read, or is gone: orders_receive finds out which */
        BLOCK_COUNT(engine->block, orders_unsent, 1);
        return;
    }
    engine->user_ref_num++;
    stamps_sent(engine->stamps, last_byte, receive_ns);
    BLOCK_COUNT(engine->block, orders_sent, 1);
    engine->orders->sent = true;
    engine->orders_unread++;
}

static void decide(struct engine *engine, uint16_t locate, uint64_t time_ns, uint64_t receive_ns)
{
    struct book_top top = book_top(&engine->book, locate);
    struct tw_event event = {.time_ns = time_ns,
                             .bid_shares = top.bid_shares,
                             .ask_shares = top.ask_shares,
                             .bid = top.bid,
                             .ask = top.ask,
                             .locate = locate};
    struct tw_order orders[TW_STRATEGY_ORDERS];
    uint32_t count = engine->settings.strategy->on_top(engine->strategy_state, &event, orders);
    struct risk_view view = {.top = top, .time_ns = time_ns, .trading_state = 'T'};
    for (uint32_t i = 0; i < count && i < TW_STRATEGY_ORDERS; i++) {
        switch (risk_check(engine->risk, &orders[i], &view)) {
        case RISK_PASSED:
            risk_sent(engine->risk, &orders[i], time_ns);
            send_order(engine, &orders[i], engine->book.instruments[locate].stock, receive_ns);
            break;
        case RISK_size:
            BLOCK_COUNT(engine->block, risk_size, 1);
            break;
        default:
            BLOCK_COUNT(engine->block, risk_collar, 1);
            break;
        }
    }
}

static void on_message(struct engine *engine, const uint8_t *message, uint16_t length, uint64_t receive_ns)
{
    uint8_t expected = length > 0 ? itch_lengths[message[0]] : 0;
    if (UNLIKELY(expected != length || length == 0)) {
        if (expected == 0)
            BLOCK_COUNT(engine->block, unknown, 1);
        else
            BLOCK_COUNT(engine->block, malformed, 1);
        return;
    }
    int32_t locate = book_apply(&engine->book, message);
    if (locate >= 0 && LIKELY(engine->trading))
        decide(engine, (uint16_t)locate, get48(message + ITCH_A_timestamp), receive_ns);
}

static void begin_feed_session(struct engine *engine)
{
    if (stamps_waiting(engine->stamps) > 0) {
        engine->transport.collect_stamps(engine->transport.self, engine->stamps);
        stamps_flush(engine->stamps);
    }
    book_clear(&engine->book);
    engine->settings.strategy->reset(engine->strategy_state);
    engine->feed_ending = false;
    block_begin_session(engine->block, engine->mold.session);
}

void engine_packet(struct engine *engine, const struct transport_packet *packet)
{
    struct mold_view view;
    struct block *block = engine->block;
    BLOCK_COUNT(block, packets, 1);
    enum mold_verdict verdict = mold_accept(&engine->mold, packet->bytes, packet->length, &view);
    if (UNLIKELY(verdict != MOLD_ACCEPTED)) {
        if (verdict == MOLD_MALFORMED)
            BLOCK_COUNT(block, malformed, 1);
        else
            BLOCK_COUNT(block, out_of_session, 1);
        return;
    }
    if (UNLIKELY(view.new_session))
        begin_feed_session(engine);
    if (UNLIKELY(view.lost > 0)) {
        BLOCK_COUNT(block, gaps, 1);
        BLOCK_COUNT(block, messages_lost, view.lost);
    }
    if (UNLIKELY(view.duplicates > 0))
        BLOCK_COUNT(block, duplicates, view.duplicates);
    const uint8_t *at = packet->bytes + MOLD_HEADER;
    const uint8_t *end = packet->bytes + packet->length;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < view.count; i++) {
        if (UNLIKELY(end - at < 2 || end - at - 2 < get16(at))) {
            BLOCK_COUNT(block, malformed, 1);
            break;
        }
        uint16_t length = get16(at);
        if (LIKELY(i >= view.duplicates)) {
            on_message(engine, at + 2, length, packet->receive_ns);
            taken++;
        }
        at += 2 + length;
    }
    engine->mold.next_sequence += taken;
    BLOCK_COUNT(block, messages, taken);
    BLOCK_SET(block, next_sequence, engine->mold.next_sequence);
    if (UNLIKELY(view.ends_session)) {
        engine->feed_ending = true;
        engine->end_deadline_ns = clock_now() + END_GRACE_NS;
    }
}

/* --- beside the path --- */

static void show_tops(struct engine *engine)
{
    const struct book *book = &engine->book;
    struct block_top tops[BLOCK_TOPS] = {0};
    uint32_t count = book->opened_count < BLOCK_TOPS ? book->opened_count : BLOCK_TOPS;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t locate = book->opened[i];
        struct book_top top = book_top(book, locate);
        tops[i] = (struct block_top){.bid = top.bid,
                                     .ask = top.ask,
                                     .bid_shares = top.bid_shares,
                                     .ask_shares = top.ask_shares,
                                     .locate = locate};
        memcpy(tops[i].stock, book->instruments[locate].stock, sizeof tops[i].stock);
    }
    block_put_tops(engine->block, tops, count);
    BLOCK_SET(engine->block, book_errors, book_errors_total(&book->errors));
}

static void end_feed_session(struct engine *engine)
{
    stamps_flush(engine->stamps);
    show_tops(engine);
    engine->feed_ending = false;
    BLOCK_SET(engine->block, feed_ended, 1); /* last: who waits for it finds everything else in place */
}

static void collect(struct engine *engine)
{
    engine->orders_unread = 0;
    engine->transport.collect_stamps(engine->transport.self, engine->stamps);
}

/* Everything that is not the feed. `quiet`: no packet is waiting. */
static void look_around(struct engine *engine, bool login, bool quiet, uint64_t now)
{
    if (quiet && stamps_waiting(engine->stamps) > 0)
        collect(engine);
    if (login) {
        orders_receive(engine->orders, &engine->transport, now);
        engine->trading = engine->orders->state == ORDERS_LIVE;
    }
    if (UNLIKELY(engine->feed_ending) && (stamps_waiting(engine->stamps) == 0 || now >= engine->end_deadline_ns))
        end_feed_session(engine);
    if (now >= engine->next_tick_ns) {
        engine->next_tick_ns = now + TICK_NS;
        show_tops(engine);
        if (login) {
            collect(engine); /* logins and heartbeats are stamped too; unread, they would fill the socket's buffer */
            orders_tick(engine->orders, &engine->transport, now);
        }
    }
    if (quiet && engine->settings.idle_after_ns != 0 && now - engine->last_packet_ns >= engine->settings.idle_after_ns) {
        collect(engine); /* a stamp left unread would end the wait at once */
        engine->transport.wait(engine->transport.self, WAIT_MAX_MS);
    }
}

static bool session_over(const struct engine *engine, enum engine_reason *reason, struct failure *failure)
{
    switch (engine->orders->state) {
    case ORDERS_SESSION_CLOSED:
        *reason = ENGINE_SESSION_CLOSED;
        return true;
    case ORDERS_LOGGED_OUT:
        *reason = ENGINE_LOGGED_OUT;
        return true;
    case ORDERS_REJECTED:
    case ORDERS_FAILED:
        *failure = engine->orders->failure;
        *reason = ENGINE_FAILED;
        return true;
    default:
        return false;
    }
}

enum engine_reason engine_run(struct engine *engine, bool login, struct failure *failure)
{
    enum engine_reason reason = ENGINE_STOPPED;
    struct transport *transport = &engine->transport;
    uint32_t polls = 0;
    uint64_t now = clock_now();
    engine->next_tick_ns = 0;
    engine->last_packet_ns = now;
    engine->trading = !login;
    if (login)
        orders_login(engine->orders, transport, now);
    while (!atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
        struct transport_packet packet;
        int got = transport->receive(transport->self, &packet);
        if (LIKELY(got == TRANSPORT_PACKET)) {
            engine_packet(engine, &packet);
            if (UNLIKELY(engine->orders_unread >= ORDERS_PER_COLLECT))
                collect(engine);
            engine->last_packet_ns = 0;
            if (++polls % PACKETS_PER_LOOK != 0 && !engine->feed_ending)
                continue;
        } else if (got == TRANSPORT_END) {
            reason = ENGINE_END;
            break;
        } else if (got < 0) {
            failure_set(failure, -got, "feed %s:%u on %s: %s", engine->settings.feed.group, engine->settings.feed.port,
                        engine->settings.feed.interface, strerror(-got));
            reason = ENGINE_FAILED;
            break;
        } else if (++polls % SPINS_PER_LOOK != 0) {
            continue;
        }
        now = clock_now();
        if (engine->last_packet_ns == 0)
            engine->last_packet_ns = now;
        look_around(engine, login, got == TRANSPORT_NOTHING, now);
        if (login && UNLIKELY(session_over(engine, &reason, failure)))
            break;
    }
    if (stamps_waiting(engine->stamps) > 0)
        collect(engine);
    if (engine->feed_ending || reason == ENGINE_END)
        stamps_flush(engine->stamps);
    if (engine->feed_ending)
        end_feed_session(engine);
    show_tops(engine);
    engine->trading = false;
    BLOCK_SET(engine->block, state, BLOCK_STOPPED);
    return reason;
}

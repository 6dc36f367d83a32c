/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>

#include "clock.h"

#define TICK_NS (10 * NS_PER_MS)
#define WARM_NS (5 * NS_PER_MS) /* without an order for that long, its way is walked without one */
#define SPINS_PER_LOOK 16    /* empty polls of the feed between looks at clock and order connection */
#define PACKETS_PER_LOOK 64  /* the same while packets come without a pause */
#define ORDERS_PER_COLLECT 16
#define CLOSING_NS NS_PER_S /* for the answers to the cancels of a clean stop */
#define OTHER_INSTRUMENTS 1024u /* positions in what the feed of this session does not name */
#define LEAST_OPEN_ORDERS 1024u
#define MOST_OPEN_ORDERS (1u << 21)
#define WAIT_MAX_MS 50

/* --- memory --- */

static struct ledger_settings ledger_settings(const struct engine_settings *settings)
{
    /* Limits may be raised while the engine runs; its memory may not. */
    uint64_t most = 2 * (uint64_t)settings->risk_limits.max_open_orders;
    uint64_t orders = most < LEAST_OPEN_ORDERS ? LEAST_OPEN_ORDERS : most > MOST_OPEN_ORDERS ? MOST_OPEN_ORDERS : most;
    return (struct ledger_settings){.max_open_orders = (uint32_t)orders,
                                    .max_instruments = settings->max_instruments + OTHER_INSTRUMENTS,
                                    .max_tags = settings->strategy->tags(&settings->strategy_settings),
                                    .self_match_is_unused = settings->orders.version == OUCH_42};
}

size_t engine_footprint(const struct engine_settings *settings)
{
    struct ledger_settings ledger = ledger_settings(settings);
    return book_footprint(settings->max_orders, settings->max_instruments) + feed_footprint(&settings->feed.policy) +
           arena_footprint(settings->max_instruments) +
           arena_footprint(settings->strategy->footprint(&settings->strategy_settings)) + arena_footprint(ledger.max_tags) +
           risk_footprint(settings->max_instruments) + ledger_footprint(&ledger) +
           arena_footprint(TW_STRATEGY_ORDERS * sizeof(struct ouch_staged)) + arena_footprint(sizeof(struct stamps)) +
           arena_footprint(sizeof(struct orders)) + arena_footprint(MOLD_PACKET_MAX);
}

bool engine_init(struct engine *engine, const struct engine_settings *settings, struct failure *failure)
{
    memset(engine, 0, sizeof *engine);
    engine->journal.fd = -1;
    engine->settings = *settings;
    size_t need = engine_footprint(settings);
    if (!arena_open_near(&engine->arena, need, settings->cpu))
        return failure_set(failure, ENOMEM,
                           "engine memory: %zu MB needed for engine.max_orders %u and engine.max_instruments %u cannot be had: "
                           "%s; lower them or free memory",
                           (need >> 20) + 1, settings->max_orders, settings->max_instruments, strerror(errno));
    struct arena *arena = &engine->arena;
    struct ledger_settings ledger = ledger_settings(settings);
    bool fits = book_init(&engine->book, arena, settings->max_orders, settings->max_instruments);
    engine->feed = feed_init(arena, &settings->feed.policy);
    engine->instruments = arena_take(arena, settings->max_instruments);
    engine->strategy_state = arena_take(arena, settings->strategy->footprint(&settings->strategy_settings));
    engine->untold = arena_take(arena, ledger.max_tags);
    engine->risk = risk_init(arena, &settings->risk_limits, settings->max_instruments);
    fits = ledger_init(&engine->ledger, arena, &ledger, &engine->journal) && fits;
    engine->staged = arena_take(arena, TW_STRATEGY_ORDERS * sizeof *engine->staged);
    engine->stamps = arena_take(arena, sizeof *engine->stamps);
    engine->orders = arena_take(arena, sizeof *engine->orders);
    engine->receive_buffer = arena_take(arena, MOLD_PACKET_MAX);
    if (!fits || arena->used > arena->capacity) { /* footprint and use disagree: a defect, yet no overrun */
        engine_release(engine);
        return failure_set(failure, ENOMEM, "engine memory: arena of %zu bytes is too small", need);
    }
    settings->strategy->init(engine->strategy_state, &settings->strategy_settings);
    for (unsigned i = 0; i < TW_STRATEGY_ORDERS; i++)
        ouch_stage(&engine->staged[i], settings->orders.version, settings->orders.firm);
    return true;
}

static void note_recovered(struct engine *engine)
{
    for (uint32_t tag = 0; tag < engine->ledger.settings.max_tags; tag++) {
        engine->untold[tag] = ledger_tagged(&engine->ledger, tag) != NULL;
        engine->untold_count += engine->untold[tag];
    }
}

static void on_update(void *context, const struct tw_update *update)
{
    engine_tell(context, update);
}

bool engine_attach(struct engine *engine, struct failure *failure)
{
    const struct engine_settings *settings = &engine->settings;
    char control_path[sizeof settings->block_path + 16] = "";
    if (settings->block_path[0] != '\0')
        snprintf(control_path, sizeof control_path, "%s.control", settings->block_path);
    engine->block = block_create(settings->block_path, settings->name, settings->max_samples, failure);
    if (engine->block == NULL)
        return false;
    memcpy(engine->block->strategy, settings->strategy_name, sizeof engine->block->strategy);
    engine->control = control_create(control_path, &settings->risk_limits, failure);
    if (engine->control == NULL)
        return false;
    control_put_restricted(engine->control, settings->restricted, settings->restricted_count);
    engine->control_seen = UINT64_MAX;
    if (settings->journal_path[0] != '\0' &&
        (!journal_open(&engine->journal, settings->journal_path, settings->journal_name, settings->journal_records, failure) ||
         !ledger_recover(&engine->ledger, failure)))
        return false;
    note_recovered(engine);
    BLOCK_SET(engine->block, hugepages, engine->arena.hugepages);
    stamps_init(engine->stamps, engine->block);
    orders_init(engine->orders, &settings->orders, engine->block, &engine->ledger, on_update, engine);
    engine_show(engine); /* what the journal had, before anything runs */
    return true;
}

void engine_release(struct engine *engine)
{
    block_unmap(engine->block);
    control_unmap(engine->control);
    journal_close(&engine->journal);
    engine->block = NULL;
    engine->control = NULL;
    arena_close(&engine->arena);
}

/* --- beside the path --- */

static void end_feed_session(struct engine *engine)
{
    stamps_flush(engine->stamps);
    engine_show(engine);
    engine->feed_ending = false;
    BLOCK_SET(engine->block, feed_ended, 1); /* last: who waits for it finds everything else in place */
}

static void collect(struct engine *engine)
{
    engine->orders_unread = 0;
    engine->transport.orders.collect_stamps(engine->transport.orders.self, engine->stamps);
}

/* What an operator may have changed. */
static void look_at_control(struct engine *engine)
{
    if (UNLIKELY(control_take(engine->control, engine->risk, &engine->control_seen)))
        BLOCK_SET(engine->block, limits_version, (uint32_t)engine->control_seen);
    bool killed = atomic_load_explicit(&engine->control->killed, memory_order_relaxed) != 0;
    if (LIKELY(killed == engine->killed))
        return;
    engine->killed = killed;
    BLOCK_SET(engine->block, killed, killed);
    engine->next_tick_ns = 0; /* the cancels of what is open go at once */
}

static void look_at_orders(struct engine *engine, bool login, uint64_t now)
{
    struct transport *transport = &engine->transport;
    struct orders *orders = engine->orders;
    if (login && UNLIKELY(orders_are_closed(orders)) && transport->orders.take(transport->orders.self)) {
        stamps_flush(engine->stamps); /* of the connection before */
        orders_login(orders, &transport->orders, now);
    }
    orders_receive(orders, &transport->orders, now);
    engine->trading = orders->state == ORDERS_LIVE && !engine->closing;
    if (UNLIKELY(engine->untold_count > 0) && engine->trading)
        engine_tell_recovered(engine);
}

static void look_at_feed(struct engine *engine, uint64_t now)
{
    if (feed_tick(engine->feed, &engine->transport.feed, now))
        BLOCK_SET(engine->block, stale, 1);
    if (feed_has_kept(engine->feed))
        engine_take_kept(engine);
}

static void tick(struct engine *engine, bool login, uint64_t now)
{
    if (LIKELY(!engine->feed_clock))
        risk_tick(engine->risk, now);
    look_at_feed(engine, now);
    engine_show(engine);
    if (login) {
        collect(engine); /* logins and heartbeats are stamped too; unread, they would fill the socket's buffer */
        orders_tick(engine->orders, &engine->transport.orders, now);
    }
    if (UNLIKELY(engine->killed || engine->closing) && engine->orders->state == ORDERS_LIVE && engine->ledger.open_orders > 0)
        engine_cancel_all(engine);
}

/* An order has warmed its way itself. */
static void keep_warm(struct engine *engine, bool quiet, uint64_t now)
{
    if (engine->warm_reference != engine->ledger.last_reference) {
        engine->warm_reference = engine->ledger.last_reference;
        engine->next_warm_ns = now + WARM_NS;
    } else if (quiet && now >= engine->next_warm_ns) {
        engine->next_warm_ns = now + WARM_NS;
        engine_warm(engine);
    }
}

/* Everything that is not the feed. `quiet`: no packet is waiting. */
static void look_around(struct engine *engine, bool login, bool quiet, uint64_t now)
{
    engine->now_ns = now;
    look_at_control(engine);
    if (quiet && stamps_waiting(engine->stamps) > 0)
        collect(engine);
    look_at_orders(engine, login, now);
    if (UNLIKELY(feed_gap_open(engine->feed)))
        look_at_feed(engine, now);
    if (UNLIKELY(engine->feed_ending) && (stamps_waiting(engine->stamps) == 0 || now >= engine->end_deadline_ns))
        end_feed_session(engine);
    if (now >= engine->next_tick_ns) {
        engine->next_tick_ns = now + TICK_NS;
        tick(engine, login, now);
    }
    if (engine->settings.warm_send && engine->trading)
        keep_warm(engine, quiet, now);
    if (quiet && engine->settings.idle_after_ns != 0 && now - engine->last_packet_ns >= engine->settings.idle_after_ns) {
        collect(engine); /* a stamp left unread would end the wait at once */
        engine->transport.wait(engine->transport.self, feed_gap_open(engine->feed) ? 1 : WAIT_MAX_MS);
    }
}

/* --- the loop --- */

/* Asked to stop: cancel what is open, wait for the answers, log out. True when that is done. */
static bool has_closed(struct engine *engine, uint64_t now)
{
    if (!engine->closing) {
        engine->closing = true;
        engine->trading = false;
        engine->closing_deadline_ns = now + CLOSING_NS;
        engine->next_tick_ns = now; /* the first cancels go at once */
    }
    bool live = engine->orders->state == ORDERS_LIVE;
    if (live && engine->ledger.open_orders > 0 && now < engine->closing_deadline_ns)
        return false;
    if (live)
        orders_logout(engine->orders, &engine->transport.orders);
    return true;
}

static void finish(struct engine *engine, enum engine_reason reason)
{
    if (stamps_waiting(engine->stamps) > 0)
        collect(engine);
    if (engine->feed_ending || reason == ENGINE_END)
        stamps_flush(engine->stamps);
    if (engine->feed_ending)
        end_feed_session(engine);
    engine_show(engine);
    engine->trading = false;
    BLOCK_SET(engine->block, state, BLOCK_STOPPED);
}

enum engine_reason engine_run(struct engine *engine, bool login, struct failure *failure)
{
    enum engine_reason reason = ENGINE_STOPPED;
    const struct feed_transport *feed = &engine->transport.feed;
    uint32_t orders_per_collect = login ? ORDERS_PER_COLLECT : 1; /* replay: the same answers at the same place every time */
    uint32_t polls = 0;
    uint64_t now = clock_now();
    engine->next_tick_ns = engine->next_warm_ns = 0;
    engine->last_packet_ns = now;
    engine->feed_clock = !login;
    if (!login)
        orders_open_unasked(engine->orders);
    look_around(engine, login, false, now); /* limits and the kill switch before the first packet */
    for (;;) {
        struct transport_packet packet;
        int got = feed->receive(feed->self, &packet);
        if (LIKELY(got == TRANSPORT_PACKET)) {
            engine_packet(engine, &packet);
            if (UNLIKELY(engine->orders_unread >= orders_per_collect)) {
                collect(engine);
                look_at_orders(engine, login, engine->now_ns);
            }
            engine->last_packet_ns = 0;
            if (++polls % PACKETS_PER_LOOK != 0 && !engine->feed_ending)
                continue;
        } else if (got == TRANSPORT_END) {
            reason = ENGINE_END;
            break;
        } else if (got < 0) {
            const char *why = feed->why != NULL ? feed->why(feed->self) : "";
            failure_set(failure, -got, "feed %s:%u on %s: %s", engine->settings.feed.group, engine->settings.feed.port,
                        engine->settings.feed.interface, why[0] != '\0' ? why : strerror(-got));
            reason = ENGINE_FAILED;
            break;
        } else if (++polls % SPINS_PER_LOOK != 0) {
            continue;
        }
        now = clock_now();
        if (engine->last_packet_ns == 0)
            engine->last_packet_ns = now;
        look_around(engine, login, got == TRANSPORT_NOTHING, now);
        if (UNLIKELY(engine->orders->state == ORDERS_REJECTED)) {
            *failure = engine->orders->failure;
            reason = ENGINE_FAILED;
            break;
        }
        if (UNLIKELY(atomic_load_explicit(&engine->stop, memory_order_relaxed)) && has_closed(engine, now))
            break;
    }
    finish(engine, reason);
    return reason;
}

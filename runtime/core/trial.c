/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include "clock.h"
#include "itch.h"

static size_t trial_footprint(const struct tw_strategy *strategy, const struct tw_strategy_settings *settings, uint32_t max_orders)
{
    size_t n = settings->max_instruments;
    return book_footprint(max_orders, settings->max_instruments) + arena_footprint(strategy->footprint(settings)) +
           arena_footprint(strategy->tags(settings) * sizeof(struct trial_order)) + arena_footprint(n * sizeof(uint32_t)) +
           arena_footprint(n * sizeof(int64_t)) + 2 * arena_footprint(n) + arena_footprint(TRIAL_BATCH * sizeof(struct tw_event)) +
           arena_footprint(TRIAL_BATCH * sizeof(struct trial_levels));
}

bool trial_open(struct trial *trial, const struct tw_strategy *strategy, const struct tw_strategy_settings *settings,
                uint32_t max_orders)
{
    size_t n = settings->max_instruments;
    memset(trial, 0, sizeof *trial);
    if (!arena_open(&trial->arena, trial_footprint(strategy, settings, max_orders)))
        return false;
    book_init(&trial->book, &trial->arena, max_orders, settings->max_instruments);
    trial->strategy = strategy;
    trial->tags = strategy->tags(settings);
    trial->state = arena_take(&trial->arena, strategy->footprint(settings));
    trial->orders = arena_take(&trial->arena, trial->tags * sizeof *trial->orders);
    trial->resting = arena_take(&trial->arena, n * sizeof *trial->resting);
    trial->positions = arena_take(&trial->arena, n * sizeof *trial->positions);
    trial->watched = arena_take(&trial->arena, n);
    trial->trading_states = arena_take(&trial->arena, n);
    trial->events = arena_take(&trial->arena, TRIAL_BATCH * sizeof *trial->events);
    trial->levels = arena_take(&trial->arena, TRIAL_BATCH * sizeof *trial->levels);
    if (trial->arena.used > trial->arena.capacity) { /* footprint and use disagree: a defect, yet no overrun */
        trial_close(trial);
        return false;
    }
    memset(trial->trading_states, 'T', n);
    for (size_t i = 0; i < n; i++)
        trial->resting[i] = TW_NO_TAG;
    strategy->init(trial->state, settings);
    return true;
}

void trial_close(struct trial *trial)
{
    arena_close(&trial->arena);
}

/* --- answers --- */

struct wave { /* orders that wait for their answers */
    struct tw_order orders[TRIAL_ANSWERS];
    uint32_t count;
};

static void put(struct trial *trial, struct wave *wave, const struct tw_order *orders, uint32_t count)
{
    if (count > TW_STRATEGY_ORDERS)
        count = TW_STRATEGY_ORDERS;
    if (wave->count + count > TRIAL_ANSWERS) {
        trial->counts.endless++;
        return;
    }
    memcpy(&wave->orders[wave->count], orders, count * sizeof *orders);
    wave->count += count;
}

static void tell(struct trial *trial, struct wave *wave, const struct tw_order *order, enum tw_update_kind kind, uint32_t shares,
                 uint32_t open)
{
    struct tw_order asked[TW_STRATEGY_ORDERS];
    struct tw_update update = {.position = trial->positions[order->locate],
                               .reference = kind == TW_REFUSED ? 0 : trial->reference,
                               .tag = order->tag,
                               .price = order->price,
                               .shares = shares,
                               .open_shares = open,
                               .locate = order->locate,
                               .side = order->side,
                               .kind = (uint8_t)kind};
    if (trial->strategy->on_update == NULL)
        return;
    trial->counts.updates++;
    put(trial, wave, asked, trial->strategy->on_update(trial->state, &update, asked));
}

static void link_order(struct trial *trial, const struct tw_order *order)
{
    trial->orders[order->tag] = (struct trial_order){order->price, order->shares, trial->resting[order->locate], order->locate,
                                                     order->side};
    trial->resting[order->locate] = order->tag;
}

static void unlink_order(struct trial *trial, uint32_t tag)
{
    struct trial_order *order = &trial->orders[tag];
    uint32_t *at = &trial->resting[order->locate];
    while (*at != tag)
        at = &trial->orders[*at].next;
    *at = order->next;
    order->shares = 0;
}

static void execute(struct trial *trial, struct wave *wave, const struct tw_order *order, uint32_t shares)
{
    trial->counts.executed++;
    trial->positions[order->locate] += order->side == 'B' ? (int64_t)shares : -(int64_t)shares;
    tell(trial, wave, order, TW_EXECUTED, shares, 0);
}

static bool reaches(const struct trial *trial, uint16_t locate, uint8_t side, uint32_t price)
{
    struct book_top top = book_top(&trial->book, locate);
    return side == 'B' ? top.ask != 0 && price >= top.ask : top.bid != 0 && price <= top.bid;
}

static void enter(struct trial *trial, struct wave *wave, const struct tw_order *order, bool open)
{
    bool tagged = order->tag != TW_NO_TAG;
    if (order->shares == 0 || open || (tagged && order->tag >= trial->tags)) {
        trial->counts.refused++;
        tell(trial, wave, order, TW_REFUSED, order->shares, open ? trial->orders[order->tag].shares : 0);
        return;
    }
    trial->reference++;
    tell(trial, wave, order, TW_ACCEPTED, order->shares, order->shares);
    if (reaches(trial, order->locate, order->side, order->price))
        execute(trial, wave, order, order->shares);
    else if (order->time_in_force == TW_IOC)
        tell(trial, wave, order, TW_CANCELED, order->shares, 0);
    else if (tagged)
        link_order(trial, order);
}

/* Replace or cancel. */
static void change(struct trial *trial, struct wave *wave, const struct tw_order *order, bool open)
{
    if (!open || (order->action == TW_REPLACE && order->shares == 0)) {
        trial->counts.refused++;
        tell(trial, wave, order, TW_REFUSED, order->shares, open ? trial->orders[order->tag].shares : 0);
        return;
    }
    struct trial_order old = trial->orders[order->tag];
    struct tw_order now = *order;
    now.locate = old.locate;
    now.side = old.side;
    unlink_order(trial, order->tag);
    if (order->action == TW_CANCEL) {
        tell(trial, wave, &now, TW_CANCELED, old.shares, 0);
        return;
    }
    trial->reference++;
    tell(trial, wave, &now, TW_REPLACED, now.shares, now.shares);
    if (reaches(trial, now.locate, now.side, now.price))
        execute(trial, wave, &now, now.shares);
    else
        link_order(trial, &now);
}

/* Answer the orders of the wave, and those the strategy asks for on that. */
static void answer(struct trial *trial, struct wave *wave)
{
    for (uint32_t i = 0; i < wave->count; i++) {
        struct tw_order order = wave->orders[i];
        bool open = order.tag < trial->tags && trial->orders[order.tag].shares != 0;
        if (order.locate >= trial->book.max_instruments) {
            trial->counts.refused++;
        } else if (order.action == TW_ENTER) {
            trial->counts.enters++;
            enter(trial, wave, &order, open);
        } else {
            trial->counts.replaces += order.action == TW_REPLACE;
            trial->counts.cancels += order.action == TW_CANCEL;
            change(trial, wave, &order, open);
        }
    }
    wave->count = 0;
}

/* The other side's best has come to orders that rest. */
static void fill_resting(struct trial *trial, struct wave *wave, uint16_t locate)
{
    uint32_t tag = trial->resting[locate];
    while (tag != TW_NO_TAG) {
        struct trial_order order = trial->orders[tag];
        if (reaches(trial, locate, order.side, order.price)) {
            struct tw_order filled = {.price = order.price, .tag = tag, .locate = locate, .side = order.side};
            unlink_order(trial, tag);
            execute(trial, wave, &filled, order.shares);
        }
        tag = order.next;
    }
}

/* --- events --- */

const struct tw_level *trial_level_at(const void *levels, uint32_t locate, uint32_t side, uint32_t nth)
{
    (void)locate;
    const struct trial_levels *shown = levels;
    return nth < shown->count[side] ? &shown->level[side][nth] : NULL;
}

uint32_t trial_level_count(const void *levels, uint32_t locate, uint32_t side)
{
    (void)locate;
    return ((const struct trial_levels *)levels)->count[side];
}

/* An event's levels are copied, since the book goes on before its call. */
static void copy_levels(const struct trial *trial, uint16_t locate, enum book_side_index side, struct trial_levels *levels)
{
    const struct tw_level *level;
    uint32_t n = 0;
    while (n < TRIAL_LEVELS && (level = book_level(&trial->book, locate, side, n)) != NULL)
        levels->level[side][n++] = *level;
    levels->count[side] = n;
}

static void put_event(struct trial *trial, uint32_t slot, uint16_t locate, uint64_t time_ns)
{
    struct tw_event *event = &trial->events[slot];
    struct trial_levels *levels = &trial->levels[slot];
    struct book_top top = book_top(&trial->book, locate);
    *event = (struct tw_event){.time_ns = time_ns,
                               .bid_shares = top.bid_shares,
                               .ask_shares = top.ask_shares,
                               .books = levels,
                               .level_at = trial_level_at,
                               .level_count = trial_level_count,
                               .position = trial->positions[locate],
                               .bid = top.bid,
                               .ask = top.ask,
                               .locate = locate,
                               .trading_state = trial->trading_states[locate]};
    copy_levels(trial, locate, BOOK_BID, levels);
    copy_levels(trial, locate, BOOK_ASK, levels);
}

static void name(struct trial *trial, uint16_t locate)
{
    const uint8_t *stock = trial->book.stocks[locate];
    trial->watched[locate] = trial->strategy->on_instrument(trial->state, locate, stock) != 0 ? 2 : 1;
}

static uint32_t nothing(void *state, const struct tw_event *event, struct tw_order *orders)
{
    (void)state, (void)event, (void)orders;
    return 0;
}

/* The batch through a function the compiler cannot see into; how long it took. */
static __attribute__((noinline)) uint64_t call_batch(struct trial *trial, struct wave *wave,
                                                     uint32_t (*on_top)(void *, const struct tw_event *, struct tw_order *))
{
    struct tw_order orders[TW_STRATEGY_ORDERS];
    uint64_t start = clock_now();
    for (uint32_t i = 0; i < trial->batched; i++) {
        uint32_t count = on_top(trial->state, &trial->events[i], orders);
        if (UNLIKELY(count > 0))
            put(trial, wave, orders, count);
    }
    return clock_now() - start;
}

static void note_failure(struct trial *trial)
{
    if (trial->counts.failed_at == 0 && trial->strategy == &tw_strategy_user && tw_user_failures(trial->state) != 0)
        trial->counts.failed_at = trial->counts.messages;
}

void trial_finish(struct trial *trial)
{
    uint32_t (*volatile empty)(void *, const struct tw_event *, struct tw_order *) = nothing;
    struct wave wave;
    wave.count = 0;
    trial->counts.elapsed_ns += call_batch(trial, &wave, trial->strategy->on_top);
    trial->counts.overhead_ns += call_batch(trial, &wave, empty);
    trial->counts.calls += trial->batched;
    trial->batched = 0;
    answer(trial, &wave);
    note_failure(trial);
}

void trial_message(struct trial *trial, const uint8_t *message, uint16_t length, bool measured)
{
    if (length == 0 || itch_lengths[message[0]] != length)
        return;
    trial->counts.messages++;
    int32_t changed = book_apply(&trial->book, message);
    uint16_t locate = get16(message + ITCH_A_stock_locate);
    if (locate < trial->book.max_instruments && message[0] == 'R')
        name(trial, locate);
    if (locate < trial->book.max_instruments && message[0] == 'H')
        trial->trading_states[locate] = message[ITCH_H_trading_state];
    if (changed < 0)
        return;
    locate = (uint16_t)changed;
    if (trial->watched[locate] == 0)
        name(trial, locate);
    if (trial->watched[locate] != 2)
        return;
    put_event(trial, trial->batched, locate, get48(message + ITCH_A_timestamp));
    if (measured) {
        if (++trial->batched == TRIAL_BATCH)
            trial_finish(trial);
        return;
    }
    struct wave wave;
    wave.count = 0;
    struct tw_order orders[TW_STRATEGY_ORDERS];
    fill_resting(trial, &wave, locate);
    answer(trial, &wave);
    trial->events[0].position = trial->positions[locate];
    trial->counts.calls++;
    put(trial, &wave, orders, trial->strategy->on_top(trial->state, &trial->events[0], orders));
    answer(trial, &wave);
    note_failure(trial);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits, names and time; the check is in risk_check.h. */
#include "risk_check.h"

#define NS_PER_S 1000000000ULL
#define COLLAR_MAX INT32_MAX /* bps; with more its product with a mid would not fit in 64 bits */

size_t risk_footprint(uint32_t max_instruments)
{
    return arena_footprint(sizeof(struct risk)) + arena_footprint(max_instruments) +
           arena_footprint(max_instruments * sizeof(uint64_t)) +
           arena_footprint(2 * (size_t)max_instruments * sizeof(struct risk_recent));
}

struct risk *risk_init(struct arena *arena, const struct risk_limits *limits, uint32_t max_instruments)
{
    struct risk *risk = arena_take(arena, sizeof *risk);
    uint8_t *off_limits = arena_take(arena, max_instruments);
    uint64_t *symbols = arena_take(arena, max_instruments * sizeof *symbols);
    struct risk_recent *recent = arena_take(arena, 2 * (size_t)max_instruments * sizeof *recent);
    if (risk == NULL || off_limits == NULL || symbols == NULL || recent == NULL)
        return NULL;
    risk->off_limits = off_limits;
    risk->symbols = symbols;
    risk->recent = recent;
    risk->max_instruments = max_instruments;
    risk->orders = limits->max_orders_per_s;
    risk_set_limits(risk, limits);
    return risk;
}

void risk_set_limits(struct risk *risk, const struct risk_limits *limits)
{
    risk->limits = *limits;
    if (limits->collar_bps > COLLAR_MAX)
        risk->limits.collar_bps = COLLAR_MAX;
    risk->duplicate_ns = limits->duplicate_ms * 1000000ULL;
    if (risk->orders >= limits->max_orders_per_s) {
        risk->orders = limits->max_orders_per_s;
        risk->credit = 0;
    }
}

void risk_set_killed(struct risk *risk, bool killed)
{
    risk->killed = killed;
}

/* --- instruments by name --- */

static uint64_t symbol_of(const uint8_t stock[8])
{
    uint64_t symbol;
    memcpy(&symbol, stock, sizeof symbol);
    return symbol;
}

static uint32_t slot_of(uint64_t symbol)
{
    return (uint32_t)(symbol * 0x9E3779B97F4A7C15ULL >> 32) % RISK_SYMBOL_SLOTS;
}

/* Under a list, an instrument whose name is not known cannot be told from one that is on it. */
static bool is_off_limits(const struct risk *risk, uint64_t symbol)
{
    uint32_t slot = slot_of(symbol);
    if (symbol == 0)
        return risk->restricted_count > 0;
    while (risk->restricted[slot] != 0 && risk->restricted[slot] != symbol)
        slot = (slot + 1) % RISK_SYMBOL_SLOTS;
    return risk->restricted[slot] == symbol;
}

void risk_set_restricted(struct risk *risk, const uint8_t symbols[][8], uint32_t count)
{
    memset(risk->restricted, 0, sizeof risk->restricted);
    risk->restricted_count = count < RISK_RESTRICTED_MAX ? count : RISK_RESTRICTED_MAX;
    for (uint32_t i = 0; i < risk->restricted_count; i++) {
        uint64_t symbol = symbol_of(symbols[i]);
        uint32_t slot = slot_of(symbol);
        while (risk->restricted[slot] != 0 && risk->restricted[slot] != symbol)
            slot = (slot + 1) % RISK_SYMBOL_SLOTS;
        risk->restricted[slot] = symbol;
    }
    for (uint32_t locate = 0; locate < risk->used; locate++)
        risk->off_limits[locate] = is_off_limits(risk, risk->symbols[locate]);
    memset(risk->off_limits + risk->used, is_off_limits(risk, 0), risk->max_instruments - risk->used);
}

void risk_name(struct risk *risk, uint16_t locate, const uint8_t stock[8])
{
    if (locate >= risk->max_instruments)
        return;
    risk->symbols[locate] = symbol_of(stock);
    risk->off_limits[locate] = is_off_limits(risk, risk->symbols[locate]);
    if (risk->used <= locate)
        risk->used = locate + 1u;
}

void risk_forget(struct risk *risk)
{
    memset(risk->symbols, 0, risk->used * sizeof *risk->symbols);
    memset(risk->off_limits, is_off_limits(risk, 0), risk->used);
    memset(risk->recent, 0, 2 * (size_t)risk->used * sizeof *risk->recent);
    risk->used = 0;
}

/* --- time --- */

void risk_tick(struct risk *risk, uint64_t now_ns)
{
    /* The first tick only starts the clock, and so does one after the clock went back. */
    uint64_t elapsed = risk->ticking && now_ns > risk->last_tick_ns ? now_ns - risk->last_tick_ns : 0;
    uint32_t most = risk->limits.max_orders_per_s;
    risk->ticking = true;
    risk->last_tick_ns = now_ns;
    risk->ticked_ns += elapsed;
    if (elapsed >= NS_PER_S) {
        risk->orders = most;
        risk->credit = 0;
        return;
    }
    uint64_t credit = risk->credit + elapsed * most;
    uint64_t orders = risk->orders + credit / NS_PER_S;
    risk->orders = orders < most ? (uint32_t)orders : most;
    risk->credit = orders < most ? credit % NS_PER_S : 0;
}

static struct risk_recent *recent_of(const struct risk *risk, const struct tw_order *order)
{
    return &risk->recent[2 * (size_t)order->locate + (order->side == 'S')];
}

/* Message time decides. While it is behind that of the order remembered, which happens when it was wrong or went back, the time the
 * ticks have counted decides instead: the check goes on, and ends. */
bool risk_is_duplicate(const struct risk *risk, const struct tw_order *order, uint64_t time_ns)
{
    const struct risk_recent *recent = recent_of(risk, order);
    bool found = false;
    for (uint32_t i = 0; i < RISK_REMEMBERED; i++) {
        if (LIKELY(recent->order[i].price != order->price || recent->order[i].shares != order->shares))
            continue;
        uint64_t sent_ns = recent->order[i].time_ns;
        uint64_t since = time_ns >= sent_ns ? time_ns - sent_ns : risk->ticked_ns - recent->ticked_ns[i];
        found |= since < risk->duplicate_ns;
    }
    return found;
}

void risk_warm(const struct risk *risk, uint16_t locate)
{
    prefetch(&risk->limits);
    prefetch(&risk->killed);
    prefetch(&risk->off_limits[locate]);
}

void risk_sent(struct risk *risk, const struct tw_order *order, uint64_t time_ns)
{
    risk_count(risk, order, time_ns);
}

void risk_remember(struct risk *risk, const struct tw_order *order, uint64_t time_ns)
{
    if (order->locate >= risk->max_instruments)
        return;
    struct risk_recent *recent = recent_of(risk, order);
    uint32_t at = (uint32_t)(recent->next++ % RISK_REMEMBERED);
    recent->order[at].time_ns = time_ns;
    recent->order[at].price = order->price;
    recent->order[at].shares = order->shares;
    recent->ticked_ns[at] = risk->ticked_ns;
    if (UNLIKELY(risk->used <= order->locate))
        risk->used = order->locate + 1u;
}

/* --- the check --- */

enum risk_verdict risk_check_nth(const struct risk *risk, const struct tw_order *order, const struct risk_view *view, uint32_t nth)
{
    return risk_judge(risk, order, view, nth);
}

enum risk_verdict risk_check(const struct risk *risk, const struct tw_order *order, const struct risk_view *view)
{
    return risk_check_nth(risk, order, view, 0);
}

const char *risk_name_of(enum risk_verdict verdict)
{
    static const char *const names[] = {
        "passed",
#define RISK_NAME(name) #name,
        RISK_REASONS(RISK_NAME)
#undef RISK_NAME
    };
    return (unsigned)verdict < RISK_VERDICTS ? names[verdict] : "unknown";
}

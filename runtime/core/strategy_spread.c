/* SPDX-License-Identifier: Apache-2.0
 *
 * Spread taker. One unit of the spread is `weight` shares of every leg, bought where the weight is positive, sold where it is
 * negative. From the tops of the legs, all sums over the legs:
 *
 *     mid   = sum of weight * mid        value   = sum of |weight| * mid
 *     cost  = sum of weight * price, at the ask where a unit buys and at the bid where it sells; yield the other way round
 *     fair  = exponentially weighted mean of `mid`: with every change of a leg's top it goes 1/256 of the way to the new mid,
 *             beginning at the first; nothing is sent before 256 changes
 *
 * A unit is bought when fair - cost is at least edge_bps of value, and sold when yield - fair is. Then one IOC order goes to every
 * leg, in the order of the configuration and in one group (TW_LEG), so that risk lets all of them pass or none. Their units are the
 * least of `size`, what the tops show, and what keeps every leg's position within max_position * |weight| shares. A single leg is
 * never sent, also not to complete a group of which one leg was filled and another was not: what is open then stays in the
 * position, and counts against the limit.
 *
 * One group at a time: the next waits until every order of the last is over, and after a refusal or rejection also until a leg's
 * best price has changed. Tags are the indexes of the legs. All books must be two-sided, uncrossed and trading. */
#include <string.h>

#include "strategy.h"

#define SCALE 10000000 /* edge in 1/1000 bps */
#define MEMORY 256     /* changes the mean looks back on */
#define MOST_SHARES 999999 /* that an order may have */

typedef __int128 wide; /* four legs of a million times the highest price, scaled twice, pass 64 bits */

struct leg {
    int64_t position;
    uint64_t bid_shares, ask_shares;
    uint32_t bid, ask;
    int32_t weight;
    uint16_t locate;
    uint8_t named;   /* in this feed session */
    uint8_t trading_state;
    uint8_t pending; /* its order of the last group is not over */
    uint8_t stock[8];
};

struct spread {
    wide mean;       /* of twice the mid, times MEMORY */
    uint64_t changes;
    int64_t edge;    /* of SCALE */
    uint32_t size;
    uint32_t max_position;
    uint32_t leg_count;
    uint32_t max_instruments;
    uint32_t blocked; /* after a refusal, until a best price has changed */
    struct leg legs[TW_STRATEGY_LEGS];
    uint8_t leg_of[]; /* per stock locate: 1 + index, 0: no leg */
};

static size_t footprint(const struct tw_strategy_settings *settings)
{
    return sizeof(struct spread) + settings->max_instruments;
}

static uint32_t tags(const struct tw_strategy_settings *settings)
{
    return settings->leg_count;
}

static void reset(void *memory)
{
    struct spread *state = memory;
    memset(state->leg_of, 0, state->max_instruments);
    state->changes = 0;
    state->blocked = 0;
    for (uint32_t i = 0; i < state->leg_count; i++)
        state->legs[i].named = state->legs[i].bid = state->legs[i].ask = 0;
}

static void init(void *memory, const struct tw_strategy_settings *settings)
{
    struct spread *state = memory;
    state->edge = tw_scaled(settings->edge_bps, 1000);
    state->size = settings->size;
    state->max_position = settings->max_position;
    state->max_instruments = settings->max_instruments;
    state->leg_count = settings->leg_count;
    for (uint32_t i = 0; i < settings->leg_count; i++) {
        state->legs[i].weight = settings->legs[i].weight;
        memcpy(state->legs[i].stock, settings->legs[i].stock, 8);
    }
    reset(state);
}

static uint32_t on_instrument(void *memory, uint16_t locate, const uint8_t stock[8])
{
    struct spread *state = memory;
    for (uint32_t i = 0; i < state->leg_count; i++) {
        if (memcmp(state->legs[i].stock, stock, 8) == 0) {
            state->leg_of[locate] = (uint8_t)(1 + i);
            state->legs[i].locate = locate;
            state->legs[i].named = 1;
            return 1;
        }
    }
    return 0;
}

struct value {
    wide twice_mid, cost, yield, twice_gross;
};

/* What one unit is worth now; false when a book cannot say. */
static int appraise(const struct spread *state, struct value *value)
{
    *value = (struct value){0};
    for (uint32_t i = 0; i < state->leg_count; i++) {
        const struct leg *leg = &state->legs[i];
        if (!leg->named || leg->trading_state != 'T' || leg->bid == 0 || leg->ask <= leg->bid)
            return 0;
        wide weight = leg->weight;
        value->twice_mid += weight * ((int64_t)leg->bid + leg->ask);
        value->twice_gross += (weight < 0 ? -weight : weight) * ((int64_t)leg->bid + leg->ask);
        value->cost += weight * (weight > 0 ? leg->ask : leg->bid);
        value->yield += weight * (weight > 0 ? leg->bid : leg->ask);
    }
    return state->leg_count > 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many units may be bought (direction 1) or sold (-1); 0: none. */
static uint64_t units(const struct spread *state, int64_t direction)
{
    uint64_t most = state->size;
    for (uint32_t i = 0; i < state->leg_count; i++) {
        const struct leg *leg = &state->legs[i];
        int64_t change = direction * leg->weight; /* of the position, per unit */
        uint64_t weight = (uint64_t)(change < 0 ? -change : change);
        int64_t room = (int64_t)(state->max_position * weight) - (change > 0 ? leg->position : -leg->position);
        most = least(most, MOST_SHARES / weight);
        most = least(most, (change > 0 ? leg->ask_shares : leg->bid_shares) / weight);
        most = least(most, room < 0 ? 0 : (uint64_t)room / weight);
    }
    return most;
}

static uint32_t take(struct spread *state, int64_t direction, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    uint64_t count = units(state, direction);
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < state->leg_count; i++) {
        struct leg *leg = &state->legs[i];
        int64_t change = direction * leg->weight;
        orders[i] = (struct tw_order){.price = change > 0 ? leg->ask : leg->bid,
                                      .shares = (uint32_t)(count * (uint64_t)(change < 0 ? -change : change)),
                                      .tag = i,
                                      .locate = leg->locate,
                                      .side = change > 0 ? 'B' : 'S',
                                      .action = TW_ENTER,
                                      .time_in_force = TW_IOC,
                                      .flags = TW_LEG};
        leg->pending = 1;
    }
    return state->leg_count;
}

static int under_way(const struct spread *state)
{
    for (uint32_t i = 0; i < state->leg_count; i++)
        if (state->legs[i].pending)
            return 1;
    return 0;
}

static uint32_t on_top(void *memory, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct spread *state = memory;
    if (state->leg_of[event->locate] == 0)
        return 0;
    struct leg *leg = &state->legs[state->leg_of[event->locate] - 1];
    if (event->bid != leg->bid || event->ask != leg->ask)
        state->blocked = 0;
    leg->bid = event->bid;
    leg->ask = event->ask;
    leg->bid_shares = event->bid_shares;
    leg->ask_shares = event->ask_shares;
    leg->trading_state = event->trading_state;
    leg->position = event->position;
    struct value now;
    if (!appraise(state, &now))
        return 0;
    uint32_t count = 0;
    if (state->changes >= MEMORY && !state->blocked && !under_way(state)) {
        wide twice_fair = state->mean / MEMORY;
        if ((twice_fair - 2 * now.cost) * SCALE >= state->edge * now.twice_gross)
            count = take(state, 1, orders);
        else if ((2 * now.yield - twice_fair) * SCALE >= state->edge * now.twice_gross)
            count = take(state, -1, orders);
    }
    state->mean = state->changes == 0 ? now.twice_mid * MEMORY : state->mean + now.twice_mid - state->mean / MEMORY;
    state->changes++;
    return count;
}

static uint32_t on_update(void *memory, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct spread *state = memory;
    (void)orders;
    if (update->tag >= state->leg_count)
        return 0;
    struct leg *leg = &state->legs[update->tag];
    leg->position = update->position;
    switch (update->kind) {
    case TW_REFUSED:
    case TW_REJECTED:
        state->blocked = 1;
        leg->pending = 0;
        break;
    case TW_BROKEN:
        break;
    default:
        leg->pending = update->open_shares != 0;
        break;
    }
    return 0;
}

const struct tw_strategy tw_strategy_spread = {
    "spread", TW_STRATEGY_ABI, footprint, tags, init, reset, on_instrument, on_top, on_update};

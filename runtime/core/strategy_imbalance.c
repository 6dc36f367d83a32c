/* SPDX-License-Identifier: Apache-2.0
 *
 * Top-of-book imbalance taker. When the shares bid are at least `ratio` times the shares offered it buys `size` at the ask, the
 * other way round it sells at the bid; once per change of side per instrument, so that a lasting imbalance is taken once. */
#include <string.h>

#include "strategy.h"

struct imbalance {
    uint64_t ratio_ppm; /* integers: the same decision on every machine */
    uint32_t size;
    uint32_t max_instruments;
    struct tw_strategy_settings settings; /* for the symbols */
    uint8_t last_side[]; /* per stock locate: 0, 'B' or 'S' */
};

static size_t footprint(const struct tw_strategy_settings *settings)
{
    return sizeof(struct imbalance) + settings->max_instruments;
}

static uint32_t tags(const struct tw_strategy_settings *settings)
{
    (void)settings;
    return 0;
}

static void init(void *memory, const struct tw_strategy_settings *settings)
{
    struct imbalance *state = memory;
    state->settings = *settings;
    state->ratio_ppm = (uint64_t)tw_scaled(settings->ratio, 1e6);
    state->size = settings->size;
    state->max_instruments = settings->max_instruments;
}

static void reset(void *memory)
{
    struct imbalance *state = memory;
    memset(state->last_side, 0, state->max_instruments);
}

/* a >= ratio * b. In 128 bits: a level may hold 2^28 orders of 2^32 shares. */
static int outweighs(const struct imbalance *state, uint64_t a, uint64_t b)
{
    return (unsigned __int128)a * 1000000 >= (unsigned __int128)b * state->ratio_ppm;
}

static uint32_t on_top(void *memory, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct imbalance *state = memory;
    if (event->bid == 0 || event->ask == 0)
        return 0;
    uint8_t side;
    if (outweighs(state, event->bid_shares, event->ask_shares))
        side = 'B';
    else if (outweighs(state, event->ask_shares, event->bid_shares))
        side = 'S';
    else
        return 0;
    uint8_t *last = &state->last_side[event->locate];
    if (*last == side)
        return 0;
    *last = side;
    orders[0] = (struct tw_order){.price = side == 'B' ? event->ask : event->bid,
                                  .shares = state->size,
                                  .tag = TW_NO_TAG,
                                  .locate = event->locate,
                                  .side = side,
                                  .action = TW_ENTER,
                                  .time_in_force = TW_IOC};
    return 1;
}

static uint32_t on_instrument(void *memory, uint16_t locate, const uint8_t stock[8])
{
    const struct imbalance *state = memory;
    (void)locate;
    return tw_strategy_names(&state->settings, stock);
}

const struct tw_strategy tw_strategy_imbalance = {
    "imbalance", TW_STRATEGY_ABI, footprint, tags, init, reset, on_instrument, on_top, NULL};

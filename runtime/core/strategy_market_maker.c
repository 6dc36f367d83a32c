/* SPDX-License-Identifier: Apache-2.0
 *
 * Market maker with inventory skew, in the instruments strategy.symbols names. Around the mid of the book
 *
 *     buy  = mid * (1 - edge_bps/10000 - shift), down to a tick        shift = skew_bps/10000 * position / max_position
 *     sell = mid * (1 + edge_bps/10000 - shift), up to a tick          (position beyond max_position counts as max_position)
 *
 * each for `size` shares: long inventory moves both down, so that it is sold and not added to. The buy stays a tick below the best
 * ask and below any own sell price that may be in the market, the sell likewise above: neither takes, nor meets the other.
 *
 * A quote is replaced when its price is off by requote_ticks ticks or more, or when some of it was executed. A side that could
 * bring the position beyond max_position is not quoted. Both quotes go when the book is one-sided or crossed or the instrument does
 * not trade. The worst case counts: a quote being replaced may still be filled whole, and then the new one too; without room for
 * both it is canceled, and entered again after that.
 *
 * The state of a quote is what updates say of its tag, 2 * index in strategy.symbols + side; one request is under way at a time.
 * What was refused, rejected or canceled unasked is not tried again before best prices or trading state have changed, and an order
 * whose replacement failed is canceled first. So a request that keeps failing costs one message per move of the book. When the very
 * first order of a tag is refused, that tag may have an order from before a restart: it is canceled once, there or not. */
#include <string.h>

#include "strategy.h"

#define SCALE 10000000 /* edge and skew in 1/1000 bps */
#define LAST_PRICE 1999999900u /* the highest an order may have: $199,999.99 */
#define NOWHERE UINT32_MAX

enum phase { NONE, ENTERING, LIVE, REPLACING, CANCELING };
enum { BLOCK_QUOTE = 1, BLOCK_CANCEL = 2 };

struct quote {
    uint32_t price;     /* in the market, or on its way there; 0: nobody told */
    uint32_t open;
    uint32_t new_price; /* of a replacement under way */
    uint8_t phase;
    uint8_t blocked;    /* until the book has moved */
    uint8_t doubtful;   /* what is open is not what it should be, or is not known: cancel it before anything else */
    uint8_t known;      /* what is open is known: an answer came since the start */
};

struct maker {
    int64_t position;
    uint32_t locate;    /* NOWHERE: not named in this feed session */
    uint32_t bid, ask;
    uint8_t trading_state;
    struct quote quotes[2];
};

struct market_maker {
    int64_t edge, skew; /* of SCALE */
    int64_t max_position;
    uint32_t size;
    uint32_t requote_ticks;
    uint32_t max_instruments;
    struct tw_strategy_settings settings; /* for the symbols */
    struct maker makers[TW_STRATEGY_SYMBOLS];
    uint8_t maker_of[]; /* per stock locate: 1 + index, 0: not quoted */
};

static size_t footprint(const struct tw_strategy_settings *settings)
{
    return sizeof(struct market_maker) + settings->max_instruments;
}

static uint32_t tags(const struct tw_strategy_settings *settings)
{
    return 2 * settings->symbol_count;
}

static void reset(void *memory)
{
    struct market_maker *state = memory;
    memset(state->maker_of, 0, state->max_instruments);
    for (uint32_t i = 0; i < TW_STRATEGY_SYMBOLS; i++) {
        state->makers[i].locate = NOWHERE;
        state->makers[i].bid = state->makers[i].ask = 0;
    }
}

static void init(void *memory, const struct tw_strategy_settings *settings)
{
    struct market_maker *state = memory;
    state->settings = *settings;
    state->edge = tw_scaled(settings->edge_bps, 1000);
    state->skew = tw_scaled(settings->skew_bps, 1000);
    state->max_position = settings->max_position;
    state->size = settings->size;
    state->requote_ticks = settings->requote_ticks;
    state->max_instruments = settings->max_instruments;
    reset(state);
}

static uint32_t on_instrument(void *memory, uint16_t locate, const uint8_t stock[8])
{
    struct market_maker *state = memory;
    for (uint32_t i = 0; i < state->settings.symbol_count; i++) {
        if (memcmp(state->settings.symbols[i], stock, 8) == 0) {
            state->maker_of[locate] = (uint8_t)(1 + i);
            state->makers[i].locate = locate;
            return 1;
        }
    }
    return 0;
}

/* --- prices --- */

/* The highest price on a tick at or below; 0 when there is none. */
static int64_t down(int64_t price)
{
    if (price > LAST_PRICE)
        return LAST_PRICE;
    return price <= 0 ? 0 : price - price % tw_tick((uint32_t)price);
}

/* The lowest price on a tick at or above; 0 when there is none. */
static int64_t up(int64_t price)
{
    if (price <= 0)
        return 1;
    int64_t tick = price > 10000 ? 100 : 1;
    price = (price + tick - 1) / tick * tick;
    return price > LAST_PRICE ? 0 : price;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The lowest price a quote may have in the market, whatever becomes of the request under way; and the highest. */
static int64_t lowest(const struct quote *quote)
{
    return quote->phase == REPLACING && quote->new_price < quote->price ? quote->new_price : quote->price;
}

static int64_t highest(const struct quote *quote)
{
    return quote->phase == REPLACING && quote->new_price > quote->price ? quote->new_price : quote->price;
}

/* Where both quotes should be; 0: nowhere. */
static void aim(const struct market_maker *state, const struct maker *maker, int64_t prices[2])
{
    prices[0] = prices[1] = 0;
    if (maker->bid == 0 || maker->ask <= maker->bid || maker->trading_state != 'T')
        return;
    int64_t position = maker->position;
    position = position > state->max_position ? state->max_position : position;
    position = position < -state->max_position ? -state->max_position : position;
    int64_t shift = state->skew * position / state->max_position;
    int64_t twice_mid = (int64_t)maker->bid + maker->ask;
    int64_t buy = floor_divide(twice_mid * (SCALE - state->edge - shift), 2 * SCALE);
    int64_t sell = -floor_divide(-twice_mid * (SCALE + state->edge - shift), 2 * SCALE);
    int64_t below = maker->ask, above = maker->bid;
    if (maker->quotes[1].phase != NONE && maker->quotes[1].price != 0 && lowest(&maker->quotes[1]) < below)
        below = lowest(&maker->quotes[1]);
    if (maker->quotes[0].phase != NONE && highest(&maker->quotes[0]) > above)
        above = highest(&maker->quotes[0]);
    sell = up(sell > above ? sell : above + 1);
    if (sell != 0 && sell < below)
        below = sell;
    prices[0] = down(buy < below ? buy : below - 1);
    prices[1] = sell;
}

/* --- requests --- */

static struct tw_order request(const struct market_maker *state, uint32_t index, uint32_t side, uint8_t action, int64_t price)
{
    return (struct tw_order){.price = (uint32_t)price,
                             .shares = state->size,
                             .tag = 2 * index + side,
                             .locate = (uint16_t)state->makers[index].locate,
                             .side = side == 0 ? 'B' : 'S',
                             .action = action,
                             .time_in_force = TW_DAY};
}

/* The next request for one quote that should be at `price`; 0: none. */
static uint8_t next_action(const struct market_maker *state, const struct maker *maker, uint32_t side, int64_t price)
{
    const struct quote *quote = &maker->quotes[side];
    int64_t room = state->max_position - (side == 0 ? maker->position : -maker->position);
    if (quote->phase == NONE && quote->doubtful)
        return quote->blocked != 0 ? 0 : TW_CANCEL;
    if (quote->phase == NONE)
        return price == 0 || room < state->size || quote->blocked & BLOCK_QUOTE ? 0 : TW_ENTER;
    if (quote->phase != LIVE)
        return 0;
    uint8_t cancel = quote->blocked & BLOCK_CANCEL ? 0 : TW_CANCEL;
    if (price == 0 || room < quote->open || quote->doubtful)
        return cancel;
    int64_t off = price > quote->price ? price - quote->price : quote->price - price;
    if (off < (int64_t)state->requote_ticks * tw_tick((uint32_t)price) && quote->open == state->size)
        return 0;
    if (quote->blocked & BLOCK_QUOTE)
        return 0;
    if (room >= (int64_t)quote->open + state->size)
        return TW_REPLACE;
    return off == 0 && room < state->size ? 0 : cancel; /* the rest of a quote that could not be entered again stays */
}

static uint32_t requote(struct market_maker *state, uint32_t index, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct maker *maker = &state->makers[index];
    uint32_t count = 0;
    int64_t prices[2];
    if (maker->locate == NOWHERE)
        return 0;
    aim(state, maker, prices);
    for (uint32_t side = 0; side < 2; side++) {
        struct quote *quote = &maker->quotes[side];
        uint8_t action = next_action(state, maker, side, prices[side]);
        if (action == 0)
            continue;
        orders[count++] = request(state, index, side, action, action == TW_CANCEL ? quote->price : prices[side]);
        if (action == TW_ENTER)
            *quote = (struct quote){
                .price = (uint32_t)prices[side], .open = state->size, .phase = ENTERING, .known = quote->known};
        else
            quote->phase = action == TW_REPLACE ? REPLACING : CANCELING;
        if (action == TW_REPLACE)
            quote->new_price = (uint32_t)prices[side];
    }
    return count;
}

static uint32_t on_top(void *memory, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct market_maker *state = memory;
    if (state->maker_of[event->locate] == 0)
        return 0;
    uint32_t index = state->maker_of[event->locate] - 1u;
    struct maker *maker = &state->makers[index];
    if (event->bid != maker->bid || event->ask != maker->ask || event->trading_state != maker->trading_state)
        maker->quotes[0].blocked = maker->quotes[1].blocked = 0;
    maker->bid = event->bid;
    maker->ask = event->ask;
    maker->trading_state = event->trading_state;
    maker->position = event->position;
    return requote(state, index, orders);
}

/* --- answers --- */

/* No order with this tag any more. */
static void gone(struct quote *quote, uint8_t blocked)
{
    *quote = (struct quote){.blocked = blocked, .known = 1};
}

/* A request came to nothing; before it, and so after it, `open` shares were in the market. */
static void failed(struct quote *quote, uint32_t open)
{
    uint8_t blocked = quote->blocked | (quote->phase == CANCELING ? BLOCK_CANCEL : BLOCK_QUOTE);
    if (open == 0) {
        gone(quote, blocked);
        return;
    }
    quote->doubtful |= quote->phase != CANCELING;
    quote->phase = LIVE;
    quote->open = open;
    quote->blocked = blocked;
}

static uint32_t on_update(void *memory, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct market_maker *state = memory;
    if (update->tag / 2 >= state->settings.symbol_count)
        return 0;
    uint32_t index = update->tag / 2;
    struct maker *maker = &state->makers[index];
    struct quote *quote = &maker->quotes[update->tag % 2];
    switch (update->kind) {
    case TW_ACCEPTED:
    case TW_REPLACED:
        if (update->open_shares == 0)
            gone(quote, BLOCK_QUOTE);
        else
            *quote = (struct quote){
                .price = update->price, .open = update->open_shares, .phase = LIVE, .blocked = quote->blocked, .known = 1};
        break;
    case TW_EXECUTED: /* of an order that is being replaced: its replacement has yet to be rejected */
        quote->open = update->open_shares;
        if (update->open_shares == 0)
            gone(quote, quote->phase == REPLACING ? BLOCK_QUOTE : quote->blocked);
        break;
    case TW_CANCELED:
        quote->open = update->open_shares;
        if (update->open_shares == 0)
            gone(quote, quote->phase == CANCELING ? quote->blocked : BLOCK_QUOTE);
        break;
    case TW_REJECTED:
        failed(quote, quote->phase == REPLACING || quote->phase == CANCELING ? update->open_shares : 0);
        break;
    case TW_REFUSED: { /* tells what stands under the tag all the same */
        uint8_t doubtful = quote->phase == ENTERING && !quote->known;
        failed(quote, update->open_shares);
        quote->doubtful |= doubtful;
        break;
    }
    default: /* TW_BROKEN: only the position */
        break;
    }
    maker->position = update->position;
    return requote(state, index, orders);
}

const struct tw_strategy tw_strategy_market_maker = {
    "market_maker", TW_STRATEGY_ABI, footprint, tags, init, reset, on_instrument, on_top, on_update};

/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "strategy.h"

#define CENT 100

/* A strategy over memory of exactly its footprint, and the orders of its last call. */
struct bench {
    const struct tw_strategy *strategy;
    void *state;
    struct tw_order orders[TW_STRATEGY_ORDERS];
    uint32_t count;
};

static struct bench start(const struct tw_strategy *strategy, const struct tw_strategy_settings *settings)
{
    size_t bytes = (strategy->footprint(settings) + 63) / 64 * 64;
    struct bench bench = {.strategy = strategy, .state = aligned_alloc(64, bytes)};
    memset(bench.state, 0, bytes);
    strategy->init(bench.state, settings);
    CHECK(strategy->abi == TW_STRATEGY_ABI);
    return bench;
}

static void top(struct bench *bench, struct tw_event event)
{
    if (event.trading_state == 0)
        event.trading_state = 'T';
    if (event.bid_shares == 0)
        event.bid_shares = event.ask_shares = 1000;
    bench->count = bench->strategy->on_top(bench->state, &event, bench->orders);
}

static void book(struct bench *bench, uint16_t locate, uint32_t bid, uint32_t ask, int64_t position)
{
    top(bench, (struct tw_event){.locate = locate, .bid = bid, .ask = ask, .position = position});
}

static void tell(struct bench *bench, enum tw_update_kind kind, uint32_t tag, uint32_t price, uint32_t open, int64_t position)
{
    struct tw_update update = {.kind = (uint8_t)kind, .tag = tag, .price = price, .open_shares = open, .position = position};
    bench->count = bench->strategy->on_update(bench->state, &update, bench->orders);
}

static int is(const struct tw_order *order, uint8_t action, uint8_t side, uint32_t price, uint32_t shares, uint32_t tag)
{
    return order->action == action && order->side == side && order->price == price && order->shares == shares && order->tag == tag;
}

static void set_symbol(uint8_t to[8], const char *text)
{
    memset(to, ' ', 8);
    memcpy(to, text, strlen(text));
}

static uint32_t name(struct bench *bench, uint16_t locate, const char *text)
{
    uint8_t stock[8];
    set_symbol(stock, text);
    return bench->strategy->on_instrument(bench->state, locate, stock);
}

/* --- imbalance --- */

static void test_imbalance(void)
{
    struct tw_strategy_settings settings = {.max_instruments = 4, .size = 100, .ratio = 3.0};
    struct bench b = start(tw_strategy_find("imbalance"), &settings);
    CHECK(name(&b, 3, "ANY") != 0);
    top(&b, (struct tw_event){.locate = 3, .bid = 10000, .ask = 10100, .bid_shares = 299, .ask_shares = 100});
    CHECK(b.count == 0);
    top(&b, (struct tw_event){.locate = 3, .bid = 10000, .ask = 10100, .bid_shares = 300, .ask_shares = 100});
    CHECK(b.count == 1 && is(&b.orders[0], TW_ENTER, 'B', 10100, 100, TW_NO_TAG) && b.orders[0].time_in_force == TW_IOC);
    top(&b, (struct tw_event){.locate = 3, .bid = 10000, .ask = 10100, .bid_shares = 900, .ask_shares = 100});
    CHECK(b.count == 0);
    top(&b, (struct tw_event){.locate = 3, .bid = 10000, .ask = 10100, .bid_shares = 100, .ask_shares = 300});
    CHECK(b.count == 1 && is(&b.orders[0], TW_ENTER, 'S', 10000, 100, TW_NO_TAG));
    top(&b, (struct tw_event){.locate = 3, .bid = 0, .ask = 10100, .bid_shares = 900, .ask_shares = 100});
    CHECK(b.count == 0);
    b.strategy->reset(b.state);
    top(&b, (struct tw_event){.locate = 3, .bid = 10000, .ask = 10100, .bid_shares = 100, .ask_shares = 300});
    CHECK(b.count == 1);
    /* products past 64 bits */
    settings.ratio = 1e6;
    struct bench wide = start(tw_strategy_find("imbalance"), &settings);
    top(&wide, (struct tw_event){.locate = 0, .bid = 1, .ask = 2, .bid_shares = 999999ULL << 40, .ask_shares = 1ULL << 40});
    CHECK(wide.count == 0);
    top(&wide, (struct tw_event){.locate = 0, .bid = 1, .ask = 2, .bid_shares = 1000000ULL << 40, .ask_shares = 1ULL << 40});
    CHECK(wide.count == 1);
    settings.symbol_count = 1;
    set_symbol(settings.symbols[0], "TICK");
    struct bench filtered = start(tw_strategy_find("imbalance"), &settings);
    CHECK(name(&filtered, 1, "TICK") != 0 && name(&filtered, 2, "TICKS") == 0 && name(&filtered, 2, "TIC") == 0);
    free(b.state), free(wide.state), free(filtered.state);
}

/* --- market maker --- */

static struct tw_strategy_settings maker_settings(void)
{
    struct tw_strategy_settings settings = {.max_instruments = 8,
                                            .size = 100,
                                            .edge_bps = 10.0,
                                            .skew_bps = 20.0,
                                            .max_position = 1000,
                                            .requote_ticks = 2,
                                            .symbol_count = 2};
    set_symbol(settings.symbols[0], "TICK");
    set_symbol(settings.symbols[1], "TOCK");
    return settings;
}

/* TOCK at locate 5, so tags 2 and 3; a book of 99.90 to 100.10 and both quotes live at 99.90 and 100.10. */
static struct bench quoting(const struct tw_strategy_settings *settings)
{
    struct bench b = start(tw_strategy_find("market_maker"), settings);
    CHECK(name(&b, 5, "TOCK") != 0 && name(&b, 6, "OTHER") == 0);
    book(&b, 5, 999000, 1001000, 0);
    CHECK(b.count == 2 && is(&b.orders[0], TW_ENTER, 'B', 999000, 100, 2) && is(&b.orders[1], TW_ENTER, 'S', 1001000, 100, 3));
    CHECK(b.orders[0].time_in_force == TW_DAY && b.orders[0].locate == 5);
    book(&b, 5, 989000, 991000, 0);
    CHECK(b.count == 0); /* nothing on top of what is under way */
    book(&b, 5, 999000, 1001000, 0);
    tell(&b, TW_ACCEPTED, 2, 999000, 100, 0);
    CHECK(b.count == 0);
    tell(&b, TW_ACCEPTED, 3, 1001000, 100, 0);
    CHECK(b.count == 0);
    return b;
}

static void test_maker_moves(void)
{
    struct tw_strategy_settings settings = maker_settings();
    struct bench b = quoting(&settings);
    CHECK(b.strategy->tags(&settings) == 4);
    book(&b, 6, 1, 2, 0);
    CHECK(b.count == 0);
    book(&b, 5, 999200, 1001000, 0); /* mid 100.01: quotes 99.90 and 100.12, off by 0 and 2 cents */
    CHECK(b.count == 1 && is(&b.orders[0], TW_REPLACE, 'S', 1001200, 100, 3));
    tell(&b, TW_REPLACED, 3, 1001200, 100, 0);
    CHECK(b.count == 0);
    book(&b, 5, 999200, 1001200, 0); /* mid 100.02: 99.91 and 100.13, off by 1 each */
    CHECK(b.count == 0);
    book(&b, 5, 999200, 0, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_CANCEL && b.orders[0].tag == 2 && b.orders[1].action == TW_CANCEL);
    tell(&b, TW_CANCELED, 2, 999000, 0, 0);
    tell(&b, TW_CANCELED, 3, 1001200, 0, 0);
    CHECK(b.count == 0);
    top(&b, (struct tw_event){.locate = 5, .bid = 999000, .ask = 1001000, .trading_state = 'H'});
    CHECK(b.count == 0);
    book(&b, 5, 1001000, 999000, 0); /* crossed */
    CHECK(b.count == 0);
    book(&b, 5, 999000, 1001000, 0);
    CHECK(b.count == 2);
    free(b.state);
}

static void test_maker_inventory(void)
{
    struct tw_strategy_settings settings = maker_settings();
    struct bench b = quoting(&settings);
    /* The buy is filled: 100 long shift both by 2 bps, to 99.88 and 100.08, yet the sell is off by two cents only then. */
    tell(&b, TW_EXECUTED, 2, 999000, 0, 100);
    CHECK(b.count == 2 && is(&b.orders[0], TW_ENTER, 'B', 998800, 100, 2) && is(&b.orders[1], TW_REPLACE, 'S', 1000800, 100, 3));
    tell(&b, TW_ACCEPTED, 2, 998800, 100, 100);
    tell(&b, TW_REPLACED, 3, 1000800, 100, 100);
    /* Some of the sell: it is made whole again. */
    tell(&b, TW_EXECUTED, 3, 1000800, 40, 40);
    CHECK(b.count == 1 && b.orders[0].action == TW_REPLACE && b.orders[0].tag == 3 && b.orders[0].shares == 100);
    tell(&b, TW_REPLACED, 3, 1000800, 100, 40);
    /* At the limit the buy goes; with room for one, but not for two in the worst case, it is canceled to be moved. */
    book(&b, 5, 999000, 1001000, 1000);
    CHECK(b.count >= 1 && b.orders[0].action == TW_CANCEL && b.orders[0].tag == 2);
    tell(&b, TW_CANCELED, 2, 998800, 0, 1000);
    for (uint32_t i = 0; i < b.count; i++)
        CHECK(b.orders[i].tag != 2);
    book(&b, 5, 999000, 1001000, 900);
    CHECK(b.count == 1 && b.orders[0].action == TW_ENTER && b.orders[0].tag == 2);
    tell(&b, TW_ACCEPTED, 2, b.orders[0].price, 100, 900);
    book(&b, 5, 989000, 991000, 900);
    CHECK(b.orders[0].action == TW_CANCEL && b.orders[0].tag == 2);
    free(b.state);
}

static void test_maker_failures(void)
{
    struct tw_strategy_settings settings = maker_settings();
    struct bench b = quoting(&settings);
    book(&b, 5, 995000, 997000, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_REPLACE && b.orders[1].action == TW_REPLACE);
    tell(&b, TW_REFUSED, 2, 995000, 100, 0); /* a quote where it should not be, and cannot be moved */
    CHECK(b.count == 1 && b.orders[0].action == TW_CANCEL && b.orders[0].tag == 2);
    tell(&b, TW_REJECTED, 3, 997000, 100, 0);
    CHECK(b.count == 1 && b.orders[0].action == TW_CANCEL && b.orders[0].tag == 3);
    top(&b, (struct tw_event){.locate = 5, .bid = 995000, .ask = 997000, .bid_shares = 5, .ask_shares = 5});
    CHECK(b.count == 0);
    tell(&b, TW_CANCELED, 2, 999000, 0, 0);
    CHECK(b.count == 0); /* the move of the book is what unblocks it */
    tell(&b, TW_REFUSED, 3, 997000, 100, 0); /* the cancel could not be sent: the quote stands, and is canceled later */
    CHECK(b.count == 0);
    book(&b, 5, 995000, 997100, 0);
    CHECK(b.count == 2 && b.orders[1].action == TW_CANCEL && b.orders[1].tag == 3);
    tell(&b, TW_REFUSED, 2, 0, 0, 0);
    tell(&b, TW_REFUSED, 3, 0, 0, 0); /* there is none any more */
    CHECK(b.count == 1 && b.orders[0].action == TW_ENTER && b.orders[0].tag == 3);
    tell(&b, TW_REFUSED, 3, 0, 0, 0);
    book(&b, 5, 995000, 997100, 0);
    CHECK(b.count == 0);
    book(&b, 5, 995100, 997000, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_ENTER && b.orders[1].action == TW_ENTER);
    tell(&b, TW_REJECTED, 2, 995000, 0, 0);
    tell(&b, TW_CANCELED, 3, 997000, 0, 0); /* unasked */
    CHECK(b.count == 0);
    book(&b, 5, 995100, 997000, 0);
    CHECK(b.count == 0);
    /* An order from before a restart: the engine tells of it, and it is taken over. */
    tell(&b, TW_ACCEPTED, 3, 1100000, 100, 0);
    book(&b, 5, 995200, 997200, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_ENTER && b.orders[1].action == TW_REPLACE);
    /* A new feed session: nothing is sent before the instrument is named and has a book, then what is out of place moves. */
    tell(&b, TW_ACCEPTED, 2, 995200, 100, 0);
    tell(&b, TW_REPLACED, 3, 997200, 100, 0);
    b.strategy->reset(b.state);
    book(&b, 5, 999000, 1001000, 0);
    CHECK(b.count == 0);
    CHECK(name(&b, 7, "TOCK") != 0);
    book(&b, 7, 999000, 1001000, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_REPLACE && b.orders[0].locate == 7);
    tell(&b, TW_REPLACED, 77, 1, 1, 0);
    CHECK(b.count == 0);
    free(b.state);
}

/* The tag has an order from before a restart, of which nobody told: its first order is refused. */
static void test_maker_restarts(void)
{
    struct tw_strategy_settings settings = maker_settings();
    struct bench b = start(tw_strategy_find("market_maker"), &settings);
    CHECK(name(&b, 5, "TICK") != 0);
    book(&b, 5, 999000, 1001000, 0);
    CHECK(b.count == 2);
    tell(&b, TW_REFUSED, 0, 999000, 0, 0);
    tell(&b, TW_REFUSED, 1, 1001000, 0, 0);
    CHECK(b.count == 0);
    book(&b, 5, 999100, 1001000, 0);
    CHECK(b.count == 2 && b.orders[0].action == TW_CANCEL && b.orders[1].action == TW_CANCEL);
    tell(&b, TW_CANCELED, 0, 999000, 0, 0);
    CHECK(b.count == 1 && b.orders[0].action == TW_ENTER && b.orders[0].tag == 0);
    tell(&b, TW_REFUSED, 1, 0, 0, 0); /* this one had none */
    CHECK(b.count == 1 && b.orders[0].action == TW_ENTER && b.orders[0].tag == 1);
    tell(&b, TW_REFUSED, 1, 1001000, 0, 0);
    book(&b, 5, 999200, 1001000, 0);
    CHECK(b.count == 1 && b.orders[0].action == TW_ENTER && b.orders[0].tag == 1); /* and that is known now */
    free(b.state);
}

static void test_maker_prices(void)
{
    struct tw_strategy_settings settings = maker_settings();
    settings.edge_bps = 0.0;
    struct bench b = start(&tw_strategy_market_maker, &settings);
    CHECK(name(&b, 1, "TICK") != 0);
    book(&b, 1, 10000, 10200, 0); /* the mid is a tick: both would be there */
    CHECK(b.count == 2 && b.orders[0].price == 10000 && b.orders[1].price == 10100);
    struct bench penny = start(&tw_strategy_market_maker, &settings);
    CHECK(name(&penny, 1, "TICK") != 0);
    book(&penny, 1, 9990, 9991, 0); /* below one dollar a tick is 1/10000 */
    CHECK(penny.count == 2 && penny.orders[0].price == 9990 && penny.orders[1].price == 9991);
    struct bench border = start(&tw_strategy_market_maker, &settings);
    CHECK(name(&border, 1, "TICK") != 0);
    book(&border, 1, 9999, 10000, 0);
    CHECK(border.count == 2 && border.orders[0].price == 9999 && border.orders[1].price == 10000);
    settings.edge_bps = 10000.0;
    struct bench far = start(&tw_strategy_market_maker, &settings);
    CHECK(name(&far, 1, "TICK") != 0);
    book(&far, 1, 1500000000, 1500000100, 0); /* a buy at nothing and a sell above all prices */
    CHECK(far.count == 0);
    book(&far, 1, UINT32_MAX - 1, UINT32_MAX, 0);
    CHECK(far.count == 0);
    free(b.state), free(penny.state), free(border.state), free(far.state);
}

/* --- spread --- */

static struct tw_strategy_settings spread_settings(void)
{
    struct tw_strategy_settings settings = {
        .max_instruments = 8, .size = 100, .edge_bps = 10.0, .max_position = 250, .leg_count = 2};
    set_symbol(settings.legs[0].stock, "AAA");
    set_symbol(settings.legs[1].stock, "BBB");
    settings.legs[0].weight = 2;
    settings.legs[1].weight = -1;
    return settings;
}

/* AAA at 50.00, BBB at 100.00, a cent wide, and the mean settled: a unit is worth 0, its legs together 200.00. */
static struct bench settled(const struct tw_strategy_settings *settings)
{
    struct bench b = start(tw_strategy_find("spread"), settings);
    CHECK(name(&b, 1, "AAA") != 0 && name(&b, 2, "BBB") != 0 && name(&b, 3, "CCC") == 0);
    for (int i = 0; i < 300; i++) {
        book(&b, 1, 499950, 500050, 0);
        CHECK(b.count == 0);
        book(&b, 2, 999950, 1000050, 0);
        CHECK(b.count == 0);
    }
    return b;
}

static void test_spread(void)
{
    struct tw_strategy_settings settings = spread_settings();
    struct bench b = settled(&settings);
    CHECK(b.strategy->tags(&settings) == 2);
    /* 10 bps of 200.00 are 20 cents. Buying costs 2 * 50.005 - 99.995 = 1.5 cents; BBB has to rise by 21.5 cents. */
    book(&b, 2, 1002090, 1002190, 0);
    CHECK(b.count == 0);
    book(&b, 2, 1002200, 1002300, 0);
    CHECK(b.count == 2 && is(&b.orders[0], TW_ENTER, 'B', 500050, 200, 0) && is(&b.orders[1], TW_ENTER, 'S', 1002200, 100, 1));
    CHECK(b.orders[0].flags == TW_LEG && b.orders[1].flags == TW_LEG && b.orders[0].time_in_force == TW_IOC);
    CHECK(b.orders[0].locate == 1 && b.orders[1].locate == 2);
    /* One group at a time: until both orders are over. */
    tell(&b, TW_ACCEPTED, 0, 500050, 200, 0);
    tell(&b, TW_EXECUTED, 0, 500050, 0, 200);
    book(&b, 2, 1002300, 1002400, 0);
    CHECK(b.count == 0);
    tell(&b, TW_EXECUTED, 1, 1002200, 60, -40);
    book(&b, 2, 1002300, 1002400, -40);
    CHECK(b.count == 0);
    tell(&b, TW_CANCELED, 1, 1002200, 0, -40);
    book(&b, 2, 1002300, 1002400, -40);
    CHECK(b.count == 2 && b.orders[0].shares == 200 && b.orders[1].shares == 100);
    /* Refused: not before a best price changes. 450 long of 500 leaves room for 25 units. */
    tell(&b, TW_REFUSED, 0, 500050, 0, 450);
    tell(&b, TW_REFUSED, 1, 1002300, 0, -40);
    top(&b, (struct tw_event){.locate = 2, .bid = 1002300, .ask = 1002400, .bid_shares = 7, .ask_shares = 7, .position = -40});
    CHECK(b.count == 0);
    book(&b, 2, 1002400, 1002500, -40);
    CHECK(b.count == 2 && b.orders[0].shares == 50 && b.orders[1].shares == 25);
    tell(&b, TW_CANCELED, 0, 500050, 0, 500);
    tell(&b, TW_CANCELED, 1, 1002400, 0, -40);
    book(&b, 2, 1002500, 1002600, -40);
    CHECK(b.count == 0); /* AAA is at its limit */
    free(b.state);
}

static void test_spread_sells_and_waits(void)
{
    struct tw_strategy_settings settings = spread_settings();
    struct bench b = settled(&settings);
    top(&b, (struct tw_event){.locate = 2, .bid = 990000, .ask = 990100, .trading_state = 'P'});
    CHECK(b.count == 0);
    top(&b, (struct tw_event){.locate = 2, .bid = 990000, .ask = 990100, .bid_shares = 500, .ask_shares = 30});
    CHECK(b.count == 2 && is(&b.orders[0], TW_ENTER, 'S', 499950, 60, 0) && is(&b.orders[1], TW_ENTER, 'B', 990100, 30, 1));
    tell(&b, TW_REJECTED, 0, 499950, 0, 0);
    tell(&b, TW_REJECTED, 1, 990100, 0, 0);
    b.strategy->reset(b.state);
    CHECK(name(&b, 4, "AAA") != 0);
    book(&b, 4, 499950, 500050, 0);
    book(&b, 2, 1, 2, 0);
    CHECK(b.count == 0);
    /* The widest numbers there are stay inside. */
    for (uint32_t i = 0; i < 2; i++)
        settings.legs[i].weight = i == 0 ? 999999 : -999999;
    settings.edge_bps = 10000.0;
    settings.max_position = 1000000000;
    struct bench wide = start(&tw_strategy_spread, &settings);
    CHECK(name(&wide, 0, "AAA") != 0 && name(&wide, 7, "BBB") != 0);
    for (int i = 0; i < 300; i++) {
        book(&wide, 0, UINT32_MAX - 1, UINT32_MAX, INT32_MAX);
        book(&wide, 7, i % 2 == 0 ? 1 : UINT32_MAX - 1, i % 2 == 0 ? 2 : UINT32_MAX, INT32_MIN);
        for (uint32_t k = 0; k < wide.count; k++)
            CHECK(wide.orders[k].shares == 999999);
        for (uint32_t k = 0; wide.count > 0 && k < 2; k++)
            tell(&wide, TW_CANCELED, k, 1, 0, 0);
    }
    free(b.state), free(wide.state);
}

/* --- a user's functions --- */

static uint32_t user_calls, user_answer;

static uint32_t user_top(void *state, const struct tw_event *event, struct tw_order *orders)
{
    CHECK((uintptr_t)state % 64 == 0);
    orders[0] = (struct tw_order){.price = event->ask, .shares = ++*(uint32_t *)state};
    user_calls++;
    return user_answer;
}

static void test_user(void)
{
    struct tw_strategy_settings settings = {
        .max_instruments = 4, .symbol_count = 1, .user = {.state_bytes = 4, .on_top = user_top}};
    set_symbol(settings.symbols[0], "TICK");
    struct bench b = start(&tw_strategy_user, &settings);
    CHECK(name(&b, 1, "TICK") != 0 && name(&b, 2, "OTHER") == 0);
    b.strategy->reset(b.state);
    user_answer = 1;
    book(&b, 1, 10, 20, 0);
    book(&b, 1, 10, 20, 0);
    CHECK(b.count == 1 && b.orders[0].shares == 2 && user_calls == 2);
    tell(&b, TW_ACCEPTED, 0, 1, 1, 0);
    CHECK(b.count == 0 && tw_user_failures(b.state) == 0);
    user_answer = TW_STRATEGY_ORDERS + 1;
    book(&b, 1, 10, 20, 0);
    CHECK(b.count == 0 && tw_user_failures(b.state) == 1 && user_calls == 3);
    user_answer = 1;
    book(&b, 1, 10, 20, 0);
    CHECK(b.count == 0 && user_calls == 3 && name(&b, 1, "TICK") == 0);
    free(b.state);
}

int main(void)
{
    CHECK(tw_strategy_find("magic") == NULL && tw_strategy_find("user") == NULL);
    CHECK(tw_tick(9999) == 1 && tw_tick(10000) == CENT);
    test_imbalance();
    test_maker_moves();
    test_maker_inventory();
    test_maker_failures();
    test_maker_restarts();
    test_maker_prices();
    test_spread();
    test_spread_sells_and_waits();
    test_user();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks at their limits and beyond, one by one; time that stands still, jumps and goes back; the largest numbers there are.
 * The same against a model in Python, at random: test_core_risk.py. */
#include "check.h"
#include "risk.h"

#define MS 1000000ULL
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)

static const struct risk_limits open_limits = {.max_notional = UINT64_MAX,
                                               .max_size = UINT32_MAX,
                                               .collar_bps = UINT32_MAX,
                                               .max_position = UINT32_MAX,
                                               .max_open_orders = UINT32_MAX,
                                               .max_orders_per_s = UINT32_MAX};
static const struct risk_view calm = {.top = {.bid = 9990, .ask = 10010, .bid_shares = 1, .ask_shares = 1}, .trading_state = 'T'};
static const struct tw_order plain = {.price = 10000, .shares = 100, .side = 'B', .action = TW_ENTER};

static struct arena arena;

static struct risk *with(struct risk_limits limits)
{
    arena_close(&arena);
    CHECK(arena_open(&arena, risk_footprint(4)));
    return risk_init(&arena, &limits, 4);
}

static enum risk_verdict priced(uint32_t price, uint32_t shares, uint32_t bid, uint32_t ask, uint32_t max_size, uint32_t collar_bps)
{
    struct risk_limits limits = open_limits;
    struct risk_view view = calm;
    struct tw_order order = plain;
    limits.max_size = max_size;
    limits.collar_bps = collar_bps;
    view.top.bid = bid;
    view.top.ask = ask;
    order.price = price;
    order.shares = shares;
    return risk_check(with(limits), &order, &view);
}

static void size_and_price(void)
{
    CHECK(priced(10000, 1000, 9990, 10010, 1000, 500) == RISK_PASSED);
    CHECK(priced(10000, 1001, 9990, 10010, 1000, 500) == RISK_size);
    CHECK(priced(10000, UINT32_MAX, 9990, 10010, 1000, 500) == RISK_size);
    CHECK(priced(10000, 0, 9990, 10010, 1000, 500) == RISK_size);
    CHECK(priced(10500, 1, 9990, 10010, 1000, 500) == RISK_PASSED);
    CHECK(priced(10501, 1, 9990, 10010, 1000, 500) == RISK_collar);
    CHECK(priced(9500, 1, 9990, 10010, 1000, 500) == RISK_PASSED);
    CHECK(priced(9499, 1, 9990, 10010, 1000, 500) == RISK_collar);
    CHECK(priced(10000, 1, 0, 10010, 1000, 500) == RISK_collar);
    CHECK(priced(10000, 1, 9990, 0, 1000, 500) == RISK_collar);
    /* the mid of odd sums is a half, not rounded: mid 3, 2/3 of a price away from it is 6667 bps */
    CHECK(priced(5, 1, 3, 3, 1, 6667) == RISK_PASSED);
    CHECK(priced(5, 1, 3, 3, 1, 6666) == RISK_collar);
    CHECK(priced(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX) == RISK_PASSED);
    CHECK(priced(UINT32_MAX, 1, 1, 1, 1, UINT32_MAX) == RISK_collar);
    CHECK(priced(1, 1, UINT32_MAX, UINT32_MAX, 1, 0x80000001) == RISK_PASSED); /* no product wraps */
    CHECK(priced(1, 1, UINT32_MAX, UINT32_MAX, 1, 9999) == RISK_collar);
    CHECK(priced(1, 1, UINT32_MAX, UINT32_MAX, 1, 10000) == RISK_PASSED);
    CHECK(priced(0, 1, UINT32_MAX, UINT32_MAX, 1, UINT32_MAX) == RISK_collar); /* a sell for nothing */
}

static void notional(void)
{
    struct risk_limits limits = open_limits;
    struct tw_order order = plain;
    limits.max_notional = 1000000;
    CHECK(risk_check(with(limits), &order, &calm) == RISK_PASSED);
    order.shares = 101;
    CHECK(risk_check(with(limits), &order, &calm) == RISK_notional);
    struct risk_view view = calm;
    view.top.bid = view.top.ask = order.price = order.shares = UINT32_MAX;
    limits.max_notional = (uint64_t)UINT32_MAX * UINT32_MAX;
    CHECK(risk_check(with(limits), &order, &view) == RISK_PASSED);
    limits.max_notional--;
    CHECK(risk_check(with(limits), &order, &view) == RISK_notional);
}

static enum risk_verdict placed(char side, int64_t position, uint64_t open_buys, uint64_t open_sells, uint32_t replaced)
{
    struct risk_limits limits = open_limits;
    struct tw_order order = plain;
    struct risk_view view = calm;
    limits.max_position = 1000;
    order.side = (uint8_t)side;
    order.action = replaced != 0 ? TW_REPLACE : TW_ENTER;
    view.position = position;
    view.open_buys = open_buys;
    view.open_sells = open_sells;
    view.replaced_open = replaced;
    return risk_check(with(limits), &order, &view);
}

static void position(void)
{
    CHECK(placed('B', 900, 0, 5000, 0) == RISK_PASSED);
    CHECK(placed('B', 901, 0, 0, 0) == RISK_position);
    CHECK(placed('B', 400, 500, 0, 0) == RISK_PASSED);
    CHECK(placed('B', 400, 501, 0, 0) == RISK_position);
    CHECK(placed('B', 400, 501, 0, 1) == RISK_PASSED);
    CHECK(placed('B', 900, 50, 0, 70) == RISK_PASSED); /* takes away no more than is open */
    CHECK(placed('B', 901, 50, 0, 70) == RISK_position);
    CHECK(placed('S', -900, 5000, 0, 0) == RISK_PASSED);
    CHECK(placed('S', -901, 0, 0, 0) == RISK_position);
    CHECK(placed('S', -400, 0, 501, 0) == RISK_position);
    CHECK(placed('S', -400, 0, 501, 1) == RISK_PASSED);
    CHECK(placed('B', -90000, 0, 0, 0) == RISK_PASSED); /* back towards zero */
    CHECK(placed('S', 90000, 0, 0, 0) == RISK_PASSED);
    CHECK(placed('?', 0, 0, 0, 0) == RISK_position);
    CHECK(placed('B', INT64_MAX, UINT64_MAX, 0, 0) == RISK_position);
    CHECK(placed('B', 0, UINT64_MAX, 0, 0) == RISK_position && placed('S', 0, 0, UINT64_MAX, 0) == RISK_position);
    CHECK(placed('S', INT64_MIN, 0, UINT64_MAX, 0) == RISK_position);
    CHECK(placed('B', INT64_MIN, 0, UINT64_MAX, UINT32_MAX) == RISK_PASSED);
    CHECK(placed('S', INT64_MIN, UINT64_MAX, 0, 0) == RISK_position);
}

static void open_orders_and_groups(void)
{
    struct risk_limits limits = open_limits;
    struct risk_view view = calm;
    struct tw_order order = plain;
    limits.max_open_orders = 3;
    struct risk *risk = with(limits);
    view.open_orders = 2;
    CHECK(risk_check(risk, &order, &view) == RISK_PASSED);
    CHECK(risk_check_nth(risk, &order, &view, 1) == RISK_open_orders);
    view.open_orders = 3;
    CHECK(risk_check(risk, &order, &view) == RISK_open_orders);
    view.replaced_open = 5;
    CHECK(risk_check(risk, &order, &view) == RISK_PASSED);
    limits.max_open_orders = UINT32_MAX;
    risk = with(limits);
    view.replaced_open = 0;
    view.open_orders = UINT32_MAX;
    CHECK(risk_check_nth(risk, &order, &view, UINT32_MAX - 1) == RISK_open_orders);

    limits.max_orders_per_s = 2;
    risk = with(limits);
    CHECK(risk_check_nth(risk, &order, &calm, 1) == RISK_PASSED);
    CHECK(risk_check_nth(risk, &order, &calm, 2) == RISK_rate);
}

static uint32_t drain(struct risk *risk)
{
    uint32_t sent = 0;
    while (risk_check(risk, &plain, &calm) == RISK_PASSED) {
        risk_sent(risk, &plain, 0);
        CHECK(++sent <= 2000);
    }
    CHECK(risk_check(risk, &plain, &calm) == RISK_rate);
    return sent;
}

static void rate(void)
{
    struct risk_limits limits = open_limits;
    struct tw_order cancel = plain;
    cancel.action = TW_CANCEL;
    limits.max_orders_per_s = 1000;
    struct risk *risk = with(limits);
    for (int i = 0; i < 10; i++)
        risk_sent(risk, &cancel, 0); /* counts for nothing */
    CHECK(drain(risk) == 1000);
    risk_sent(risk, &plain, 0); /* one too many does not wrap */
    CHECK(drain(risk) == 0);
    risk_tick(risk, 5 * HOUR);
    CHECK(drain(risk) == 0); /* the first tick starts the clock */
    risk_tick(risk, 5 * HOUR + MS - 1);
    CHECK(drain(risk) == 0);
    risk_tick(risk, 5 * HOUR + MS);
    CHECK(drain(risk) == 1);
    uint64_t now = 5 * HOUR + MS;
    uint32_t sent = 0;
    for (int i = 0; i < 3000; i++) { /* three seconds in steps that fit no order */
        risk_tick(risk, now += 999999 + (uint64_t)(i % 3));
        sent += drain(risk);
    }
    CHECK(sent == 3000);
    risk_tick(risk, now += HOUR);
    risk_tick(risk, now += 900 * MS);
    CHECK(drain(risk) == 1000); /* a bucket is a second's worth */
    risk_tick(risk, 1); /* the clock steps back: nothing is filled, and it goes on from there */
    CHECK(drain(risk) == 0);
    risk_tick(risk, 1 + 500 * MS);
    CHECK(drain(risk) == 500);
    risk_tick(risk, UINT64_MAX);
    CHECK(drain(risk) == 1000);

    risk_tick(risk, 0);
    risk_tick(risk, 300 * MS);
    limits.max_orders_per_s = 100;
    risk_set_limits(risk, &limits);
    CHECK(drain(risk) == 100); /* no more than the new size */
    limits.max_orders_per_s = 1500;
    risk_set_limits(risk, &limits);
    CHECK(drain(risk) == 0); /* keeps what it has */
    risk_tick(risk, 400 * MS);
    CHECK(drain(risk) == 150);
    limits.max_orders_per_s = UINT32_MAX;
    risk_set_limits(risk, &limits);
    risk_tick(risk, 400 * MS + SECOND - 1);
    CHECK(risk_check_nth(risk, &plain, &calm, UINT32_MAX - 10) == RISK_PASSED);
    limits.max_orders_per_s = 0;
    risk_set_limits(risk, &limits);
    CHECK(drain(risk) == 0);
}

static enum risk_verdict again(struct risk *risk, uint64_t time_ns)
{
    struct risk_view view = calm;
    view.time_ns = time_ns;
    return risk_check(risk, &plain, &view);
}

static void duplicates(void)
{
    struct risk_limits limits = open_limits;
    struct risk *risk = with(limits);
    risk_sent(risk, &plain, HOUR);
    CHECK(again(risk, HOUR) == RISK_PASSED); /* off */
    limits.duplicate_ms = 10;
    risk = with(limits);
    risk_sent(risk, &plain, HOUR);
    CHECK(again(risk, HOUR) == RISK_duplicate);
    CHECK(again(risk, HOUR + 10 * MS - 1) == RISK_duplicate);
    CHECK(again(risk, HOUR + 10 * MS) == RISK_PASSED);
    struct risk_view view = calm;
    view.time_ns = HOUR;
    struct tw_order other[] = {plain, plain, plain, plain};
    other[0].side = 'S', other[1].price++, other[2].shares++, other[3].locate++;
    for (int i = 0; i < 4; i++)
        CHECK(risk_check(risk, &other[i], &view) == RISK_PASSED);
    risk_sent(risk, &other[0], HOUR);
    risk_sent(risk, &other[1], HOUR);
    risk_sent(risk, &other[2], HOUR);
    CHECK(again(risk, HOUR) == RISK_duplicate); /* others in between do not hide it */
    for (int i = 0; i < 3; i++)
        CHECK(risk_check(risk, &other[i], &view) == RISK_duplicate);

    /* Message time goes back: refused still, until the ticks have counted the time; and then from the new time on. */
    risk = with(limits);
    risk_tick(risk, 7 * HOUR);
    risk_sent(risk, &plain, HOUR);
    CHECK(again(risk, HOUR - 1) == RISK_duplicate && again(risk, 0) == RISK_duplicate);
    risk_tick(risk, 7 * HOUR + 10 * MS - 1);
    CHECK(again(risk, 0) == RISK_duplicate);
    risk_tick(risk, 3 * HOUR); /* and the clock too */
    CHECK(again(risk, 0) == RISK_duplicate);
    risk_tick(risk, 3 * HOUR + 1);
    CHECK(again(risk, 0) == RISK_PASSED && again(risk, HOUR - 1) == RISK_PASSED);
    risk_sent(risk, &plain, 0);
    CHECK(again(risk, 0) == RISK_duplicate);
    CHECK(again(risk, 10 * MS) == RISK_PASSED);
    limits.duplicate_ms = UINT32_MAX;
    risk_set_limits(risk, &limits);
    CHECK(again(risk, 24 * HOUR) == RISK_duplicate);
    CHECK(again(risk, UINT64_MAX) == RISK_PASSED);
    risk_forget(risk);
    CHECK(again(risk, 1) == RISK_PASSED);
}

static void restricted(void)
{
    struct risk *risk = with(open_limits);
    struct tw_order order = plain;
    uint8_t list[RISK_RESTRICTED_MAX][8];
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED); /* no list: the name does not matter */
    order.locate = 4;
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted); /* no such instrument */
    order.locate = UINT16_MAX;
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted);
    risk_name(risk, UINT16_MAX, (const uint8_t *)"FAR     ");
    order.locate = 2;
    risk_name(risk, 2, (const uint8_t *)"BAD     ");
    risk_name(risk, 3, (const uint8_t *)"GOOD    ");
    risk_set_restricted(risk, (const uint8_t(*)[8])"WORSE   BAD     ", 2);
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted);
    order.locate = 3;
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED);
    order.locate = 0;
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted); /* not named */
    risk_name(risk, 0, (const uint8_t *)"WORSE   ");
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted);
    risk_name(risk, 0, (const uint8_t *)"BETTER  ");
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED);
    risk_set_restricted(risk, NULL, 0);
    order.locate = 2;
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED);

    for (int i = 0; i < RISK_RESTRICTED_MAX; i++) {
        char symbol[16];
        snprintf(symbol, sizeof symbol, "S%-7d", i);
        memcpy(list[i], symbol, 8);
    }
    risk_set_restricted(risk, (const uint8_t(*)[8])list, RISK_RESTRICTED_MAX);
    for (int i = 0; i < RISK_RESTRICTED_MAX; i++) {
        risk_name(risk, 1, list[i]);
        order.locate = 1;
        CHECK(risk_check(risk, &order, &calm) == RISK_restricted);
    }
    risk_name(risk, 1, (const uint8_t *)"S256    ");
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED);
    risk_forget(risk);
    CHECK(risk_check(risk, &order, &calm) == RISK_restricted);
}

static void states(void)
{
    struct risk *risk = with(open_limits);
    struct risk_view view = calm;
    struct tw_order order = plain;
    view.stale = 1;
    CHECK(risk_check(risk, &order, &view) == RISK_stale);
    view.stale = 0;
    for (const char *state = "HPQ \x01"; *state; state++) {
        view.trading_state = (uint8_t)*state;
        CHECK(risk_check(risk, &order, &view) == RISK_halted);
    }
    view.trading_state = 0;
    CHECK(risk_check(risk, &order, &view) == RISK_halted);
    view = calm;
    view.lower_band = view.upper_band = 10000;
    CHECK(risk_check(risk, &order, &view) == RISK_PASSED);
    view.lower_band = 10001;
    CHECK(risk_check(risk, &order, &view) == RISK_band);
    view.lower_band = 0, view.upper_band = 9999;
    CHECK(risk_check(risk, &order, &view) == RISK_band);
    view.upper_band = 0;
    CHECK(risk_check(risk, &order, &view) == RISK_PASSED);

    risk_set_killed(risk, true);
    CHECK(risk_check(risk, &order, &calm) == RISK_killed);
    order.action = TW_CANCEL;
    CHECK(risk_check(risk, &order, &(struct risk_view){0}) == RISK_PASSED);
    order.locate = UINT16_MAX;
    CHECK(risk_check(risk, &order, &(struct risk_view){0}) == RISK_PASSED);
    risk_sent(risk, &order, 0);
    order = plain;
    risk_set_killed(risk, false);
    CHECK(risk_check(risk, &order, &calm) == RISK_PASSED);
}

int main(void)
{
    size_and_price();
    notional();
    position();
    open_orders_and_groups();
    rate();
    duplicates();
    restricted();
    states();
    CHECK(strcmp(risk_name_of(RISK_PASSED), "passed") == 0 && strcmp(risk_name_of(RISK_open_orders), "open_orders") == 0);
    CHECK(strcmp(risk_name_of(RISK_full), "full") == 0 && strcmp(risk_name_of(RISK_VERDICTS), "unknown") == 0);
    arena_close(&arena);
    return DONE();
}

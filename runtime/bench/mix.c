/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a length-framed ITCH file to measure with: mix messages=N seed=N instruments=N live=N deep=0|1 > FILE
 *
 * The same seed gives the same file. The mix is that of `tickwire generate`: the published counters of CppTrader over Nasdaq's
 * 01302017.NASDAQ_ITCH50 as runtime/tickwire/generate.py reads them. What is different is the size: hundreds of thousands of live
 * orders, ten million messages in seconds.
 *
 * - Instruments are drawn by Zipf's law, for orders that arrive; all others follow the order they are about.
 * - The live orders ramp up over the first 30 % of the messages to `live` and stay there.
 * - 85 % of executions, cancels, deletes and replaces are about one of the 20,000 newest live orders, the others about any.
 * - Prices improve, join or stand behind the best price; books never cross. deep=0: tens of levels. deep=1: a fifth of the orders
 *   stands far behind, up to DEEP_TICKS, so that the busiest books have some 2,400 levels on a side, as on the real day.
 *
 * Histories are valid. Who is at the top is asked of the book under test, everything else is kept here. */
#include <math.h>

#include "bench.h"
#include "book.h"

#define TICK 100u /* one cent */
#define NEWEST 20000u
#define OPEN_NS ((9 * 60 + 30) * 60 * 1000000000ull)
#define DEEP_TICKS 2600u
#define DEEP_FLOOR (DEEP_TICKS + 400u) /* ticks: no price of a deep book is cut off at zero */
#define VICTIM_TRIES 12

struct order {
    uint64_t reference;
    uint32_t price, shares;
    uint32_t old_place; /* in old[], once it is not among the newest; else UINT32_MAX */
    uint16_t locate;
    uint8_t side;
};

static struct {
    uint64_t messages, instruments, live;
    bool deep;
    uint64_t state, now_ns, mean_gap_ns, next_match;
    struct order *orders; /* by age, dead ones (no shares) included */
    uint64_t count, window, newest_live, live_now;
    uint32_t *old;
    uint64_t old_count;
    double *zipf;
    uint32_t *anchor;
    uint32_t *live_on; /* per locate and side */
    struct arena arena;
    struct book book;
    uint64_t written[256];
} mix;

/* --- draws --- */

static uint64_t draw(void)
{
    mix.state ^= mix.state >> 12;
    mix.state ^= mix.state << 25;
    mix.state ^= mix.state >> 27;
    return mix.state * 0x2545F4914F6CDD1Dull;
}

static double fraction(void)
{
    return (double)(draw() >> 11) * 0x1p-53;
}

static uint64_t below(uint64_t n)
{
    return (uint64_t)(((unsigned __int128)draw() * n) >> 64);
}

static uint32_t geometric(double p)
{
    uint32_t n = 0;
    while (n < 200 && fraction() >= p)
        n++;
    return n;
}

static uint16_t draw_locate(void)
{
    double wanted = fraction() * mix.zipf[mix.instruments - 1];
    uint64_t low = 0, high = mix.instruments - 1;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (mix.zipf[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint16_t)(low + 1);
}

static uint32_t draw_shares(void)
{
    return fraction() < 0.15 ? 1 + (uint32_t)below(99) : 100 * (1 + geometric(0.35));
}

/* Ticks behind the best price. */
static uint32_t draw_distance(void)
{
    double roll = mix.deep ? fraction() : 1;
    if (roll < 0.33)
        return 1 + (uint32_t)below(DEEP_TICKS);
    if (roll < 0.43)
        return (uint32_t)pow(DEEP_TICKS, fraction());
    return 1 + geometric(0.25);
}

static uint32_t draw_price(uint16_t locate, uint8_t side)
{
    struct book_top top = book_top(&mix.book, locate);
    uint32_t own = (side == BOOK_BID ? top.bid : top.ask) / TICK, other = (side == BOOK_BID ? top.ask : top.bid) / TICK;
    int32_t away = side == BOOK_BID ? -1 : 1; /* from the other side */
    if (own == 0)
        own = other != 0 ? other + (uint32_t)(2 * away) : mix.anchor[locate] + (uint32_t)away;
    else {
        uint32_t room = other == 0 ? 1 : (uint32_t)((int32_t)(own - other) * away - 1);
        double roll = fraction();
        if (room > 0 && roll < 0.15 + 0.1 * (room < 5 ? room : 5))
            own -= (uint32_t)(away * (int32_t)(1 + below(room / 2 + 1)));
        else if (roll >= 0.5)
            own += (uint32_t)(away * (int32_t)draw_distance());
    }
    return (int32_t)own < 1 ? TICK : own * TICK;
}

/* --- live orders --- */

static void remember(uint16_t locate, uint8_t side, uint32_t price, uint32_t shares)
{
    mix.orders[mix.count] = (struct order){mix.count + 1, price, shares, UINT32_MAX, locate, side};
    mix.count++;
    mix.live_now++;
    mix.live_on[2 * locate + side]++;
    for (mix.newest_live++; mix.newest_live > NEWEST; mix.window++) {
        struct order *order = &mix.orders[mix.window];
        if (order->shares == 0)
            continue;
        order->old_place = (uint32_t)mix.old_count;
        mix.old[mix.old_count++] = (uint32_t)mix.window;
        mix.newest_live--;
    }
}

static void forget(struct order *order)
{
    if (order->old_place == UINT32_MAX) {
        mix.newest_live--;
    } else {
        uint32_t last = mix.old[--mix.old_count];
        mix.old[order->old_place] = last;
        mix.orders[last].old_place = order->old_place;
    }
    order->shares = 0;
    mix.live_now--;
    mix.live_on[2 * order->locate + order->side]--;
}

/* A live order that may leave its book (each side keeps two), or NULL: no luck. */
static struct order *victim(void)
{
    for (int i = 0; i < VICTIM_TRIES; i++) {
        struct order *order;
        if (mix.old_count == 0 || fraction() < 0.85) {
            do
                order = &mix.orders[mix.window + below(mix.count - mix.window)];
            while (mix.newest_live > 0 && order->shares == 0);
        } else {
            order = &mix.orders[mix.old[below(mix.old_count)]];
        }
        if (order->shares > 0 && mix.live_on[2 * order->locate + order->side] > 2)
            return order;
    }
    return NULL;
}

/* --- messages --- */

static uint8_t out[2 + ITCH_MESSAGE_MAX];
static uint8_t *const body = out + 2;

static void begin(char type, uint16_t locate)
{
    mix.now_ns += 1 + (uint64_t)(-log(1 - fraction()) * (double)mix.mean_gap_ns);
    memset(out, 0, sizeof out);
    body[0] = (uint8_t)type;
    put16(body + ITCH_A_stock_locate, locate);
    put48(body + ITCH_A_timestamp, mix.now_ns);
}

static void finish(void)
{
    uint16_t length = itch_lengths[body[0]];
    put16(out, length);
    book_apply(&mix.book, body);
    mix.written[body[0]]++;
    if (fwrite(out, 1, 2u + length, stdout) != 2u + length)
        bench_fail("standard output: %s", strerror(errno));
}

static void put_stock(uint8_t *at, uint16_t locate)
{
    char text[9] = "TAAAA   ";
    for (uint32_t i = 4, n = locate - 1u; i > 0; i--, n /= 26)
        text[i] = (char)('A' + n % 26);
    memcpy(at, text, 8);
}

static void write_add(void)
{
    uint16_t locate = draw_locate();
    uint8_t side = (uint8_t)(draw() >> 63);
    if (mix.live_on[2 * locate + (side ^ 1)] < 2 && mix.live_on[2 * locate + side] >= 2)
        side ^= 1;
    uint32_t price = draw_price(locate, side), shares = draw_shares();
    bool named = fraction() < 0.01;
    begin(named ? 'F' : 'A', locate);
    put64(body + ITCH_A_order_reference, mix.count + 1);
    body[ITCH_A_side] = side == BOOK_BID ? 'B' : 'S';
    put32(body + ITCH_A_shares, shares);
    put_stock(body + ITCH_A_stock, locate);
    put32(body + ITCH_A_price, price);
    if (named)
        memcpy(body + ITCH_F_attribution, "TWMM", 4);
    finish();
    remember(locate, side, price, shares);
}

static bool write_delete(void)
{
    struct order *order = victim();
    if (order == NULL)
        return false;
    begin('D', order->locate);
    put64(body + ITCH_D_order_reference, order->reference);
    finish();
    forget(order);
    return true;
}

static bool write_cancel(void)
{
    struct order *order = victim();
    if (order == NULL || order->shares < 2)
        return false;
    uint32_t shares = 1 + (uint32_t)below(order->shares - 1);
    begin('X', order->locate);
    put64(body + ITCH_X_order_reference, order->reference);
    put32(body + ITCH_X_cancelled_shares, shares);
    finish();
    order->shares -= shares;
    return true;
}

static bool write_replace(void)
{
    struct order *order = victim();
    if (order == NULL)
        return false;
    uint32_t price = draw_price(order->locate, order->side), shares = draw_shares();
    begin('U', order->locate);
    put64(body + ITCH_U_original_reference, order->reference);
    put64(body + ITCH_U_new_reference, mix.count + 1);
    put32(body + ITCH_U_shares, shares);
    put32(body + ITCH_U_price, price);
    finish();
    forget(order);
    remember(order->locate, order->side, price, shares);
    return true;
}

static bool write_execution(void)
{
    struct order *order = NULL;
    for (int i = 0; i < VICTIM_TRIES; i++) { /* what trades is at the best price */
        order = victim();
        if (order == NULL)
            return false;
        struct book_top top = book_top(&mix.book, order->locate);
        if (order->price == (order->side == BOOK_BID ? top.bid : top.ask))
            break;
        order = NULL;
    }
    if (order == NULL)
        return false;
    bool whole = order->shares < 2 || fraction() < 0.7, priced = fraction() < 0.05;
    uint32_t shares = whole ? order->shares : 1 + (uint32_t)below(order->shares - 1);
    begin(priced ? 'C' : 'E', order->locate);
    put64(body + ITCH_E_order_reference, order->reference);
    put32(body + ITCH_E_executed_shares, shares);
    put64(body + ITCH_E_match_number, mix.next_match++);
    if (priced) {
        body[ITCH_C_printable] = 'Y';
        put32(body + ITCH_C_execution_price, order->price);
    }
    finish();
    if (whole)
        forget(order);
    else
        order->shares -= shares;
    return true;
}

static void write_trade(void)
{
    uint16_t locate = draw_locate();
    struct book_top top = book_top(&mix.book, locate);
    if (fraction() < 0.7) {
        begin('I', locate);
        put64(body + ITCH_I_paired_shares, draw_shares());
        body[ITCH_I_imbalance_direction] = 'N';
        put_stock(body + ITCH_I_stock, locate);
        put32(body + ITCH_I_far_price, top.bid);
        put32(body + ITCH_I_near_price, top.ask);
        put32(body + ITCH_I_reference_price, top.bid);
        body[ITCH_I_cross_type] = 'O';
        body[ITCH_I_price_variation] = 'L';
    } else {
        begin('P', locate);
        body[ITCH_P_side] = 'B';
        put32(body + ITCH_P_shares, draw_shares());
        put_stock(body + ITCH_P_stock, locate);
        put32(body + ITCH_P_price, (top.bid + top.ask) / 2);
        put64(body + ITCH_P_match_number, mix.next_match++);
    }
    finish();
}

static void write_start(void)
{
    begin('S', 0);
    body[ITCH_S_event_code] = 'O';
    finish();
    for (uint16_t locate = 1; locate <= mix.instruments; locate++) {
        begin('R', locate);
        put_stock(body + ITCH_R_stock, locate);
        memcpy(body + ITCH_R_market_category, "QN", 2);
        put32(body + ITCH_R_round_lot_size, 100);
        memcpy(body + ITCH_R_round_lots_only, "NCZ PNN1N", 9);
        body[ITCH_R_inverse] = 'N';
        finish();
    }
    for (uint16_t locate = 1; locate <= mix.instruments; locate++) {
        begin('H', locate);
        put_stock(body + ITCH_H_stock, locate);
        memcpy(body + ITCH_H_trading_state, "T     ", 6);
        finish();
    }
    begin('S', 0);
    body[ITCH_S_event_code] = 'Q';
    finish();
}

/* One message of the mix. Orders come and leave equally often but for the ramp. */
static void write_next(uint64_t nth)
{
    double target = (double)mix.live * ((double)nth / (0.3 * (double)mix.messages));
    double missing = (target < (double)mix.live ? target : (double)mix.live) - (double)mix.live_now;
    double lean = missing / 4000 > 0.25 ? 0.25 : missing / 4000 < -0.25 ? -0.25 : missing / 4000;
    double roll = 100 * fraction();
    bool done = true;
    if (roll < 9.7)
        done = write_replace();
    else if (roll < 11.6)
        done = write_execution();
    else if (roll < 12.6)
        done = write_cancel();
    else if (roll < 13.9)
        write_trade();
    else if (fraction() < 0.5 + lean)
        write_add();
    else
        done = write_delete();
    if (!done) /* nothing that may be taken off: a young market */
        write_add();
}

static void prepare(void)
{
    uint64_t n = mix.instruments;
    mix.orders = malloc((mix.messages + 1) * sizeof *mix.orders);
    mix.old = malloc((mix.messages + 1) * sizeof *mix.old);
    mix.zipf = malloc(n * sizeof *mix.zipf);
    mix.anchor = malloc((n + 1) * sizeof *mix.anchor);
    mix.live_on = calloc(2 * (n + 1), sizeof *mix.live_on);
    uint32_t max_orders = (uint32_t)(2 * mix.live + 65536);
    if (mix.orders == NULL || mix.old == NULL || mix.zipf == NULL || mix.anchor == NULL || mix.live_on == NULL ||
        !arena_open(&mix.arena, book_footprint(max_orders, (uint32_t)n + 1)) ||
        !book_init(&mix.book, &mix.arena, max_orders, (uint32_t)n + 1))
        bench_fail("no memory for %llu messages", (unsigned long long)mix.messages);
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        mix.zipf[i] = sum += 1.0 / (double)(i + 1);
        mix.anchor[i + 1] = (mix.deep ? DEEP_FLOOR : 0) + (uint32_t)(500 * exp(3.5 * fraction()));
    }
    mix.now_ns = OPEN_NS;
    mix.mean_gap_ns = (uint64_t)(6.4 * 3600e9 / (double)mix.messages);
    mix.mean_gap_ns = mix.mean_gap_ns < 82000 ? mix.mean_gap_ns : 82000;
    mix.next_match = 1;
}

int main(int count, char **arguments)
{
    mix.messages = bench_number(count, arguments, "messages", 1000000);
    mix.instruments = bench_number(count, arguments, "instruments", 8371);
    mix.live = bench_number(count, arguments, "live", 400000);
    mix.deep = bench_number(count, arguments, "deep", 0) != 0;
    mix.state = bench_number(count, arguments, "seed", 1) * 0x9E3779B97F4A7C15ull | 1;
    uint64_t start = 2 + 2 * mix.instruments;
    if (mix.instruments < 1 || mix.instruments > 16384 || mix.messages < start || mix.messages > 1u << 30 || mix.live > 1u << 26)
        bench_fail("mix: messages must be 2 + 2 * instruments to 2^30, instruments 1 to 16384, live up to 2^26");
    prepare();
    write_start();
    for (uint64_t i = start; i < mix.messages; i++)
        write_next(i);
    if (fflush(stdout) != 0 || book_errors_total(&mix.book.errors) != 0)
        bench_fail("mix: %s", errno != 0 ? strerror(errno) : "the history is not valid: a defect");
    fprintf(stderr, "{\"live\": %llu, \"types\": {", (unsigned long long)mix.live_now);
    const char *separator = "";
    for (const char *type = ITCH_TYPES; *type != '\0'; type++)
        if (mix.written[(uint8_t)*type] > 0) {
            fprintf(stderr, "%s\"%c\": %llu", separator, *type, (unsigned long long)mix.written[(uint8_t)*type]);
            separator = ", ";
        }
    fprintf(stderr, "}}\n");
    return 0;
}

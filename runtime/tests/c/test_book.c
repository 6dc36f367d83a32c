/* SPDX-License-Identifier: Apache-2.0
 *
 * Books against a naive one under the sanitizers: 200,000 events, valid and not, over several days, with every limit hit. */
#include "check.h"
#include "book_walk.h"
#include "itch.h"

#define REFERENCES 400
#define INSTRUMENTS 3
#define MAX_ORDERS 100

struct naive {
    uint32_t shares, price;
    uint16_t locate;
    uint8_t side;
};

static struct naive orders[REFERENCES];
static unsigned live;

static void message(uint8_t *out, char type, uint16_t locate)
{
    memset(out, 0, ITCH_MESSAGE_MAX);
    out[0] = (uint8_t)type;
    put16(out + ITCH_A_stock_locate, locate);
}

static void naive_take(unsigned reference, uint32_t shares)
{
    struct naive *order = &orders[reference];
    if (order->shares == 0)
        return;
    order->shares = shares < order->shares ? order->shares - shares : 0;
    live -= order->shares == 0;
}

static void naive_add(unsigned reference, uint16_t locate, uint8_t side, uint32_t shares, uint32_t price)
{
    if (locate < INSTRUMENTS && shares > 0 && live < MAX_ORDERS && orders[reference].shares == 0) {
        orders[reference] = (struct naive){shares, price, locate, side};
        live++;
    }
}

/* Prices of all kinds: around a level that drifts, so that the near levels must follow; far from it; at both ends of what a price
 * can be; and, in the last instrument from the second day on, of fractions of a cent. */
static uint32_t draw_price(uint64_t *seed, int day, uint16_t locate)
{
    static uint32_t around = 1000;
    around += (uint32_t)(chance(seed) % 3) - 1;
    if (chance(seed) % 1000 == 0)
        around = 200 + (uint32_t)(chance(seed) % 3000);
    if (day > 0 && locate == INSTRUMENTS - 1 && chance(seed) % 500 == 0)
        return around * 100 + 1 + (uint32_t)(chance(seed) % 99);
    switch (chance(seed) % 20) {
    case 0:
        return 100 * (1 + (uint32_t)(chance(seed) % 4000));
    case 1:
        return day == 2 ? 100 * (SIDE_LAST - (uint32_t)(chance(seed) % 100)) : 100 * (uint32_t)(chance(seed) % 100);
    default:
        return 100 * (around + (uint32_t)(chance(seed) % 40) - 20);
    }
}

static void step(struct book *book, uint64_t *seed, int day)
{
    uint8_t out[ITCH_MESSAGE_MAX];
    unsigned reference = (unsigned)(chance(seed) % REFERENCES);
    uint16_t locate = (uint16_t)(chance(seed) % (INSTRUMENTS + 1));
    uint32_t shares = (uint32_t)(chance(seed) % 50), price = draw_price(seed, day, locate);
    uint8_t side = chance(seed) % 2 ? BOOK_BID : BOOK_ASK;
    switch (chance(seed) % 8) {
    case 0:
        message(out, 'X', locate);
        put64(out + ITCH_X_order_reference, reference + 1);
        put32(out + ITCH_X_cancelled_shares, shares);
        naive_take(reference, shares);
        break;
    case 1:
        message(out, 'E', locate);
        put64(out + ITCH_E_order_reference, reference + 1);
        put32(out + ITCH_E_executed_shares, shares);
        naive_take(reference, shares);
        break;
    case 2:
        message(out, 'D', locate);
        put64(out + ITCH_D_order_reference, reference + 1);
        naive_take(reference, UINT32_MAX);
        break;
    case 3: {
        unsigned next = (unsigned)(chance(seed) % REFERENCES);
        message(out, 'U', locate);
        put64(out + ITCH_U_original_reference, reference + 1);
        put64(out + ITCH_U_new_reference, next + 1);
        put32(out + ITCH_U_shares, shares);
        put32(out + ITCH_U_price, price);
        struct naive old = orders[reference];
        if (old.shares > 0) {
            naive_take(reference, UINT32_MAX);
            naive_add(next, old.locate, old.side, shares, price);
        }
        break;
    }
    default:
        message(out, 'A', locate);
        put64(out + ITCH_A_order_reference, reference + 1);
        out[ITCH_A_side] = side == BOOK_BID ? 'B' : 'S';
        put32(out + ITCH_A_shares, shares);
        put32(out + ITCH_A_price, price);
        memcpy(out + ITCH_A_stock, "TICK    ", 8);
        naive_add(reference, locate, side, shares, price);
    }
    uint8_t *exact = exactly(out, itch_lengths[out[0]]);
    struct book_top before[INSTRUMENTS], after;
    for (uint16_t i = 0; i < INSTRUMENTS; i++)
        before[i] = book_top(book, i);
    int32_t changed = book_apply(book, exact);
    for (uint16_t i = 0; i < INSTRUMENTS; i++) {
        after = book_top(book, i);
        if (memcmp(&before[i], &after, sizeof after) != 0)
            CHECK(changed == i); /* a top that moved is always told */
        else if (out[0] != 'U' && shares != 0)
            CHECK(changed != i); /* and no other */
    }
    free(exact);
}

static void compare(const struct book *book)
{
    CHECK(book->live_orders == live);
    for (uint16_t locate = 0; locate < INSTRUMENTS; locate++)
        for (int side = BOOK_BID; side <= BOOK_ASK; side++) {
            uint32_t last = side == BOOK_BID ? UINT32_MAX : 0, total = 0;
            const struct tw_level *level;
            uint32_t n = 0;
            for (; (level = book_level(book, locate, side, n)) != NULL; n++) {
                uint32_t price = level->price;
                uint64_t shares = 0;
                uint32_t count = 0;
                for (unsigned r = 0; r < REFERENCES; r++)
                    if (orders[r].shares > 0 && orders[r].locate == locate && orders[r].side == side && orders[r].price == price) {
                        shares += orders[r].shares;
                        count++;
                    }
                CHECK(count == level->orders && shares == level->shares && count > 0);
                CHECK(side == BOOK_BID ? price < last : price > last);
                last = price;
                total += count;
            }
            CHECK(n == book_level_count(book, locate, side));
            for (unsigned r = 0; r < REFERENCES; r++)
                total -= orders[r].shares > 0 && orders[r].locate == locate && orders[r].side == side;
            CHECK(total == 0);
        }
}

static void random_days(void)
{
    struct arena arena;
    struct book book;
    uint64_t seed = 20240917;
    CHECK(arena_open(&arena, book_footprint(MAX_ORDERS, INSTRUMENTS)));
    CHECK(book_init(&book, &arena, MAX_ORDERS, INSTRUMENTS));
    for (int day = 0; day < 4; day++) {
        for (int i = 0; i < 50000; i++) {
            step(&book, &seed, day);
            if (i % 100 == 0)
                compare(&book);
        }
        CHECK(book.errors.overflow_orders > 0 && book.errors.overflow_levels == 0 && book.errors.unknown_orders > 0);
        book_clear(&book);
        memset(orders, 0, sizeof orders);
        live = 0;
        compare(&book);
    }
    arena_close(&arena);
}

/* Few references, some of them with the same slot in the window, so that orders come and go and come again within a packet. */
static void draw_message(uint8_t *out, uint64_t *seed, int day)
{
    const char *types = chance(seed) % 4 == 0 ? ITCH_TYPES : "AAAAAADDDDUUX";
    char type = types[chance(seed) % strlen(types)];
    uint16_t locate = (uint16_t)(chance(seed) % (INSTRUMENTS + 1));
    uint64_t first = 1 + chance(seed) % 12 + (chance(seed) % 4 << 30), next = 1 + chance(seed) % 12 + (chance(seed) % 4 << 30);
    uint32_t price = chance(seed) % 3 == 0 ? draw_price(seed, day, locate) : 100000, shares = (uint32_t)(chance(seed) % 6);
    message(out, type, locate);
    for (unsigned at = ITCH_A_order_reference; at < ITCH_MESSAGE_MAX; at++)
        out[at] = (uint8_t)(chance(seed) % 40);
    if (strchr("AFECXDU", type) == NULL)
        return;
    put64(out + ITCH_A_order_reference, first);
    if (type == 'A' || type == 'F') {
        out[ITCH_A_side] = chance(seed) % 2 ? 'B' : 'S';
        put32(out + ITCH_A_shares, shares);
        put32(out + ITCH_A_price, price);
    } else if (type == 'U') {
        put64(out + ITCH_U_new_reference, next);
        put32(out + ITCH_U_shares, shares);
        put32(out + ITCH_U_price, price);
    } else if (type != 'D') {
        put32(out + ITCH_X_cancelled_shares, shares);
    }
}

static void same_books(const struct book *one, const struct book *two)
{
    CHECK(one->live_orders == two->live_orders);
    CHECK(memcmp(&one->errors, &two->errors, sizeof one->errors) == 0);
    CHECK(memcmp(&one->trades, &two->trades, sizeof one->trades) == 0);
    for (uint32_t place = 0; place < 2 * INSTRUMENTS; place++)
        for (uint32_t n = 0;; n++) {
            const struct tw_level *left = book_level(one, place / 2, place % 2, n);
            const struct tw_level *right = book_level(two, place / 2, place % 2, n);
            CHECK((left == NULL) == (right == NULL));
            if (left == NULL)
                break;
            CHECK(memcmp(left, right, sizeof *left) == 0);
        }
}

/* Every type at its exact length, in packets: a walk reads nothing past a message, and does what book_apply does. */
static void a_walk_gives_the_same_answers(void)
{
    struct arena arena;
    struct book plain, walked;
    const uint32_t max_orders = 20;
    uint64_t seed = 3;
    CHECK(arena_open(&arena, book_footprint(max_orders, INSTRUMENTS) * 2));
    CHECK(book_init(&plain, &arena, max_orders, INSTRUMENTS) && book_init(&walked, &arena, max_orders, INSTRUMENTS));
    for (int packet = 0; packet < 6000; packet++) {
        const uint8_t *messages[BOOK_HAND];
        struct book_walk walk;
        uint32_t count = 1 + (uint32_t)(chance(&seed) % BOOK_HAND);
        for (uint32_t i = 0; i < count; i++) {
            uint8_t out[ITCH_MESSAGE_MAX];
            draw_message(out, &seed, packet / 2000);
            messages[i] = exactly(out, itch_lengths[out[0]]);
            book_look(&walked, messages[i]);
        }
        book_walk_begin(&walk, &walked, messages, count);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(book_walk_next(&walk) == book_apply(&plain, messages[i]));
            CHECK(walked.news == plain.news);
            walked.news = plain.news = 0;
        }
        CHECK(walk.at == count);
        same_books(&plain, &walked);
        for (uint32_t i = 0; i < count; i++)
            free((void *)(uintptr_t)messages[i]);
    }
    CHECK(plain.live_orders > 0 && plain.trades.broken > 0);
    CHECK(plain.errors.overflow_orders > 0 && plain.errors.duplicate_orders > 0 && plain.errors.bad_quantities > 0);
    arena_close(&arena);
}

static uint32_t news_of(struct book *book, char type, uint16_t locate, unsigned offset, const char *text)
{
    uint8_t out[ITCH_MESSAGE_MAX];
    message(out, type, locate);
    if (type != 'S')
        memcpy(out + ITCH_R_stock, "TICK    ", 8);
    memcpy(out + offset, text, strlen(text));
    uint8_t *exact = exactly(out, itch_lengths[out[0]]);
    book->news = 0;
    CHECK(book_apply(book, exact) == -1);
    free(exact);
    return book->news;
}

static void halts_and_names_are_news(void)
{
    struct arena arena;
    struct book book;
    const struct book_instrument *one, *two;
    CHECK(arena_open(&arena, book_footprint(16, 4)) && book_init(&book, &arena, 16, 4));
    one = &book.instruments[1];
    two = &book.instruments[2];
    CHECK(one->trading_state == 'T'); /* nothing said */
    CHECK(news_of(&book, 'S', 0, ITCH_S_event_code, "O") == BOOK_NEWS_SYSTEM && book.system_event == 'O');
    CHECK(news_of(&book, 'R', 1, ITCH_R_stock, "ONE     ") == BOOK_NEWS_NAMED && book.news_locate == 1);
    CHECK(news_of(&book, 'R', 1, ITCH_R_stock, "ONE     ") == 0);
    CHECK(news_of(&book, 'R', 2, ITCH_R_stock, "TWO     ") == BOOK_NEWS_NAMED && book.news_locate == 2);
    CHECK(news_of(&book, 'H', 1, ITCH_H_stock, "ONE     T") == 0 && one->trading_state == 'T');
    CHECK(two->trading_state == 'T');
    CHECK(news_of(&book, 'S', 0, ITCH_S_event_code, "S") & BOOK_NEWS_SYSTEM);
    CHECK(one->trading_state == 'T' && two->trading_state == 'H'); /* left out of the spin */
    CHECK(book.instruments[3].trading_state == 'T');               /* not in the directory */
    CHECK(news_of(&book, 'H', 2, ITCH_H_stock, "TWO     T") == BOOK_NEWS_STATUS && two->trading_state == 'T');
    CHECK(news_of(&book, 'H', 1, ITCH_H_stock, "ONE     P") == BOOK_NEWS_STATUS && one->trading_state == 'P');
    CHECK(news_of(&book, 'J', 1, ITCH_J_stock, "ONE     \1\1\1\1\2\2\2\2\1\1\1\1") == BOOK_NEWS_STATUS && book.news_locate == 1);
    CHECK(one->upper_band == 0x02020202 && one->lower_band == 0x01010101);
    CHECK(news_of(&book, 'H', 1, ITCH_H_stock, "ONE     T") == BOOK_NEWS_STATUS && one->trading_state == 'T');
    CHECK(news_of(&book, 'h', 1, ITCH_h_stock, "ONE     QH") == BOOK_NEWS_STATUS && one->trading_state == 'H');
    CHECK(news_of(&book, 'h', 1, ITCH_h_stock, "ONE     BH") == 0);
    CHECK(news_of(&book, 'h', 1, ITCH_h_stock, "ONE     QT") == 0 && one->trading_state == 'H');
    CHECK(news_of(&book, 'h', 1, ITCH_h_stock, "ONE     BT") == BOOK_NEWS_STATUS && one->trading_state == 'T');
    CHECK(news_of(&book, 'H', 4, ITCH_H_stock, "FOUR    H") == 0 && book.errors.overflow_instruments == 1);
    book_clear(&book);
    CHECK(one->trading_state == 'T' && one->upper_band == 0 && book.system_event == 0 && !one->named);
    arena_close(&arena);
}

static uint32_t free_units(const struct pool *pool)
{
    uint32_t units = 0;
    for (uint32_t unit = 0; unit < pool->units; unit++)
        if (pool->free_class[unit] != 0)
            units += 1u << (pool->free_class[unit] - 1);
    return units;
}

/* Deep sides, one after the other, each emptied before the next: together more levels than the pool has. */
static void empty_sides_give_their_levels_back(void)
{
    struct arena arena;
    struct book book;
    uint8_t out[ITCH_MESSAGE_MAX];
    CHECK(arena_open(&arena, book_footprint(100, 20)) && book_init(&book, &arena, 100, 20));
    for (uint16_t locate = 0; locate < 20; locate++) {
        for (uint32_t i = 1; i <= 100; i++) {
            message(out, 'A', locate);
            put64(out + ITCH_A_order_reference, i);
            put32(out + ITCH_A_shares, 10);
            put32(out + ITCH_A_price, 10 * i);
            out[ITCH_A_side] = locate % 2 ? 'B' : 'S';
            book_apply(&book, out);
        }
        CHECK(book.live_orders == 100 && free_units(&book.pool) == book.pool.units - 16 - locate);
        for (uint32_t i = 100; i >= 1; i--) {
            message(out, 'D', locate);
            put64(out + ITCH_D_order_reference, i);
            book_apply(&book, out);
            if (i == 2)
                CHECK(free_units(&book.pool) == book.pool.units - locate - 1); /* the one level left is in the smallest block */
        }
        CHECK(free_units(&book.pool) == book.pool.units - locate - 1); /* which an empty side keeps */
    }
    CHECK(book_errors_total(&book.errors) == 0);
    arena_close(&arena);
}

static void a_pool_without_room_drops_the_order(void)
{
    struct arena arena;
    struct book book;
    uint8_t out[ITCH_MESSAGE_MAX];
    uint32_t unit;
    CHECK(arena_open(&arena, book_footprint(64, 1)) && book_init(&book, &arena, 64, 1));
    while (pool_take(&book.pool, 1, &unit)) /* nothing left for a side that needs 16 levels */
        ;
    pool_give(&book.pool, 0, unit);
    for (uint32_t i = 1; i <= 12; i++) {
        message(out, 'A', 0);
        put64(out + ITCH_A_order_reference, i);
        put32(out + ITCH_A_shares, 10);
        put32(out + ITCH_A_price, 10 * i);
        out[ITCH_A_side] = 'S';
        book_apply(&book, out);
    }
    CHECK(book.live_orders == 8 && book.errors.overflow_levels == 4);
    CHECK(book_top(&book, 0).ask == 10);
    arena_close(&arena);
}

int main(void)
{
    random_days();
    a_walk_gives_the_same_answers();
    halts_and_names_are_news();
    empty_sides_give_their_levels_back();
    a_pool_without_room_drops_the_order();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"

#include <assert.h>

#include "book_walk.h"
#include "far.h"

#define REFERENCE(type) ITCH_##type##_order_reference
const uint8_t book_ways[256] = {
    ['A'] = REFERENCE(A) | BOOK_WAY_ADD, ['F'] = REFERENCE(F) | BOOK_WAY_ADD, ['D'] = REFERENCE(D) | BOOK_WAY_DELETE,
    ['E'] = REFERENCE(E), ['C'] = REFERENCE(C), ['X'] = REFERENCE(X),
    ['U'] = ITCH_U_original_reference | BOOK_WAY_DELETE | BOOK_WAY_REPLACE,
};

const uint8_t book_no_message[ITCH_MESSAGE_MAX];

static uint32_t levels_needed(uint32_t max_orders, uint32_t max_instruments)
{
    return 2 * max_orders + 2 * POOL_UNIT * max_instruments;
}

static size_t near_bytes(uint32_t max_instruments)
{
    return (size_t)max_instruments * 2 * SIDE_NEAR * sizeof(struct tw_level);
}

size_t book_footprint(uint32_t max_orders, uint32_t max_instruments)
{
    size_t n = max_instruments;
    return order_table_footprint(max_orders) + pool_footprint(levels_needed(max_orders, max_instruments)) +
           arena_footprint(2 * n * sizeof(struct side)) + arena_footprint(near_bytes(max_instruments)) +
           arena_footprint(n * sizeof(struct book_instrument)) + arena_footprint(n * 8);
}

static void empty_books(struct book *book)
{
    book->live_orders = 0;
    book->opened_count = 0;
    book->news = 0;
    book->system_event = 0;
    book->spin = false;
    pool_clear(&book->pool);
    memset(book->instruments, 0, (size_t)book->max_instruments * sizeof *book->instruments);
    memset(book->near, 0, near_bytes(book->max_instruments));
    memset(book->stocks, 0, (size_t)book->max_instruments * sizeof *book->stocks);
    const struct side empty = {.first = SIDE_UNUSED, .far_best = -1, .far_class = SIDE_NO_BLOCK};
    for (uint32_t place = 0; place < 2 * book->max_instruments; place++)
        book->sides[place] = empty;
    for (uint32_t locate = 0; locate < book->max_instruments; locate++)
        book->instruments[locate].trading_state = 'T';
}

bool book_init(struct book *book, struct arena *arena, uint32_t max_orders, uint32_t max_instruments)
{
    assert(max_orders >= 1 && max_orders <= BOOK_ORDERS_LIMIT);
    assert(max_instruments >= 1 && max_instruments <= BOOK_INSTRUMENTS_LIMIT);
    memset(book, 0, sizeof *book);
    book->max_orders = max_orders;
    book->max_instruments = max_instruments;
    bool tabled = order_table_init(&book->orders, arena, max_orders);
    book->sides = arena_take(arena, 2 * (size_t)max_instruments * sizeof *book->sides);
    book->instruments = arena_take(arena, (size_t)max_instruments * sizeof *book->instruments);
    book->near = arena_take(arena, near_bytes(max_instruments));
    book->stocks = arena_take(arena, (size_t)max_instruments * sizeof *book->stocks);
    bool pooled = pool_init(&book->pool, arena, levels_needed(max_orders, max_instruments));
    if (!tabled || book->sides == NULL || book->instruments == NULL || book->near == NULL || book->stocks == NULL || !pooled)
        return false;
    empty_books(book);
    return true;
}

void book_clear(struct book *book)
{
    if (book->live_orders > 0)
        order_table_clear(&book->orders);
    empty_books(book);
}

/* --- orders on and off the book --- */

static void note_opened(struct book *book, uint16_t locate)
{
    for (uint32_t i = 0; i < book->opened_count; i++)
        if (book->opened[i] == locate)
            return;
    if (book->opened_count < BOOK_OPENED)
        book->opened[book->opened_count++] = locate;
}

/* An order at a price that is not near. Returns whether the best level was touched, -1 when there is no room for a new level. */
static __attribute__((noinline)) int add_far(struct book *book, uint32_t place, uint32_t price, uint32_t shares)
{
    struct side *side = &book->sides[place];
    struct tw_level *levels = book_near(book, place);
    if (UNLIKELY(side->first == SIDE_UNUSED))
        note_opened(book, (uint16_t)(place >> 1));
    if (UNLIKELY(!side_admit(side, levels, &book->pool, place & 1, price)))
        return -1;
    uint32_t rank = side_rank(place & 1, price);
    if (side_is_near(side, rank))
        return side_change(side, &levels[rank % SIDE_NEAR], rank, price, shares, 1);
    int64_t better = far_add(side, &book->pool, place & 1, price, shares);
    return better < 0 ? -1 : better == 0 && side->width == 0;
}

static __attribute__((noinline)) bool take_far(struct book *book, uint32_t place, uint32_t price, uint32_t shares, bool order_gone)
{
    struct side *side = &book->sides[place];
    return far_take(side, &book->pool, place & 1, price, shares, order_gone) && side->width == 0;
}

static inline int level_add(struct book *book, uint32_t place, uint32_t price, uint32_t shares)
{
    struct side *side = &book->sides[place];
    uint32_t rank = side_rank(place & 1, price);
    if (LIKELY(side_is_near(side, rank)))
        return side_change(side, &book_near(book, place)[rank % SIDE_NEAR], rank, price, shares, 1);
    return add_far(book, place, price, shares);
}

/* Shares off the level of an order. Returns whether the best level was touched. */
static inline bool level_take(struct book *book, const struct order_slot *order, uint32_t shares, bool order_gone)
{
    uint32_t place = order_place(order->key), rank = side_rank(place & 1, order->price);
    struct side *side = &book->sides[place];
    if (UNLIKELY(!side_is_near(side, rank)))
        return take_far(book, place, order->price, shares, order_gone);
    struct tw_level *levels = book_near(book, place);
    bool top = side_change(side, &levels[rank % SIDE_NEAR], rank, order->price, -(int64_t)shares, -(int32_t)order_gone);
    if (UNLIKELY(side_starved(side)))
        side_feed(side, levels, &book->pool, place & 1);
    return top;
}

/* Returns whether the top of the book changed. */
static inline bool add_order(struct book *book, uint32_t place, uint64_t reference, uint32_t shares, uint32_t price)
{
    if (UNLIKELY(shares == 0)) {
        book->errors.bad_quantities++;
        return false;
    }
    if (UNLIKELY(book->live_orders == book->max_orders)) {
        book->errors.overflow_orders++;
        return false;
    }
    if (UNLIKELY(order_table_find(&book->orders, reference) != NULL)) {
        book->errors.duplicate_orders++;
        return false;
    }
    int top = level_add(book, place, price, shares);
    if (UNLIKELY(top < 0)) {
        book->errors.overflow_levels++;
        return false;
    }
    order_table_put(&book->orders, reference, place, price, shares);
    book->live_orders++;
    return top;
}

static void name_instrument(struct book *book, uint16_t locate, const uint8_t *stock)
{
    uint8_t *name = book->stocks[locate];
    book->instruments[locate].named = true;
    if (memcmp(name, stock, 8) == 0)
        return;
    memcpy(name, stock, 8);
    book->news |= BOOK_NEWS_NAMED;
    book->news_locate = locate;
}

static inline int32_t apply_add(struct book *book, const uint8_t *message)
{
    uint16_t locate = get16(message + ITCH_A_stock_locate);
    if (UNLIKELY(locate >= book->max_instruments)) {
        book->errors.overflow_instruments++;
        return -1;
    }
    if (UNLIKELY(!book->instruments[locate].named)) /* a feed joined after its stock directory */
        name_instrument(book, locate, message + ITCH_A_stock);
    uint32_t place = book_place(locate, message[ITCH_A_side] == 'B' ? BOOK_BID : BOOK_ASK);
    bool top = add_order(book, place, get64(message + ITCH_A_order_reference), get32(message + ITCH_A_shares),
                         get32(message + ITCH_A_price));
    return top ? locate : -1;
}

static inline int32_t apply_delete(struct book *book, uint64_t reference)
{
    struct order_slot *order = order_table_find(&book->orders, reference);
    if (UNLIKELY(order == NULL)) {
        book->errors.unknown_orders++;
        return -1;
    }
    uint16_t locate = order_locate(order);
    bool top = level_take(book, order, order->shares, true);
    order_table_erase(&book->orders, order, reference);
    book->live_orders--;
    return top ? locate : -1;
}

/* Executions and cancels. */
static inline int32_t apply_take(struct book *book, uint64_t reference, uint32_t shares)
{
    struct order_slot *order = order_table_find(&book->orders, reference);
    if (LIKELY(order != NULL) && shares < order->shares) {
        bool top = level_take(book, order, shares, false);
        order->shares -= shares;
        return top ? order_locate(order) : -1;
    }
    if (UNLIKELY(order != NULL && shares > order->shares))
        book->errors.bad_quantities++;
    return apply_delete(book, reference);
}

bool book_put_instead(struct book *book, uint32_t place, const uint8_t *message)
{
    return add_order(book, place, get64(message + ITCH_U_new_reference), get32(message + ITCH_U_shares),
                     get32(message + ITCH_U_price));
}

static inline int32_t apply_replace(struct book *book, const uint8_t *message)
{
    uint64_t reference = get64(message + ITCH_U_original_reference);
    struct order_slot *order = order_table_find(&book->orders, reference);
    if (UNLIKELY(order == NULL)) {
        book->errors.unknown_orders++;
        return -1;
    }
    uint32_t place = order_place(order->key);
    bool top = level_take(book, order, order->shares, true);
    order_table_erase(&book->orders, order, reference);
    book->live_orders--;
    top |= book_put_instead(book, place, message);
    return top ? (int32_t)(place >> 1) : -1;
}

/* --- status --- */

static void set_state(struct book *book, uint16_t locate)
{
    struct book_instrument *instrument = &book->instruments[locate];
    bool left_out = book->spin && instrument->listed && book->system_event != 'O' && instrument->said_state == 0;
    uint8_t said = instrument->said_state != 0 ? instrument->said_state : 'T';
    uint8_t state = left_out || instrument->halts != 0 ? 'H' : said;
    if (state == instrument->trading_state)
        return;
    instrument->trading_state = state;
    book->news |= BOOK_NEWS_STATUS;
    book->news_locate = locate;
}

static void apply_system_event(struct book *book, uint8_t code)
{
    book->system_event = code;
    if (code == 'S') /* whoever was left out of the spin is halted */
        for (uint32_t locate = 0; locate < book->max_instruments; locate++)
            set_state(book, (uint16_t)locate);
    book->news |= BOOK_NEWS_SYSTEM;
}

static uint8_t market_bit(uint8_t market_code)
{
    const char codes[] = "QBX"; /* Nasdaq, BX, PSX */
    const char *found = memchr(codes, market_code, sizeof codes - 1);
    return (uint8_t)(1 << (found != NULL ? found - codes : 7));
}

/* Messages about an instrument that leave its book as it is. */
static __attribute__((noinline)) void apply_status(struct book *book, const uint8_t *message)
{
    uint16_t locate = get16(message + ITCH_R_stock_locate);
    if (locate >= book->max_instruments) {
        book->errors.overflow_instruments++;
        return;
    }
    struct book_instrument *instrument = &book->instruments[locate];
    switch (message[0]) {
    case 'R':
        name_instrument(book, locate, message + ITCH_R_stock);
        instrument->listed = true;
        set_state(book, locate);
        break;
    case 'H':
        name_instrument(book, locate, message + ITCH_H_stock);
        instrument->said_state = message[ITCH_H_trading_state];
        book->spin |= book->system_event == 'O';
        set_state(book, locate);
        break;
    case 'h': {
        uint8_t bit = market_bit(message[ITCH_h_market_code]);
        instrument->halts = (uint8_t)(message[ITCH_h_halt_action] == 'H' ? instrument->halts | bit : instrument->halts & ~bit);
        set_state(book, locate);
        break;
    }
    default: /* J */
        instrument->lower_band = get32(message + ITCH_J_lower_price);
        instrument->upper_band = get32(message + ITCH_J_upper_price);
        book->news |= BOOK_NEWS_STATUS;
        book->news_locate = locate;
    }
}

int32_t book_apply(struct book *book, const uint8_t *message)
{
    switch (message[0]) {
    case 'A':
    case 'F':
        return apply_add(book, message);
    case 'D':
        return apply_delete(book, get64(message + ITCH_D_order_reference));
    case 'U':
        return apply_replace(book, message);
    case 'E':
    case 'C': /* at another price, yet the shares come off the order where it stands */
        return apply_take(book, get64(message + ITCH_E_order_reference), get32(message + ITCH_E_executed_shares));
    case 'X':
        return apply_take(book, get64(message + ITCH_X_order_reference), get32(message + ITCH_X_cancelled_shares));
    case 'P':
        book->trades.hidden++;
        return -1;
    case 'Q':
        book->trades.crosses++;
        return -1;
    case 'B':
        book->trades.broken++;
        return -1;
    case 'R':
    case 'H':
    case 'h':
    case 'J':
        apply_status(book, message);
        return -1;
    case 'S':
        apply_system_event(book, message[ITCH_S_event_code]);
        return -1;
    default:
        return -1;
    }
}

/* --- reading --- */

const struct order_slot *book_order(const struct book *book, uint64_t reference)
{
    return order_table_find(&book->orders, reference);
}

uint64_t book_errors_total(const struct book_errors *errors)
{
    return errors->unknown_orders + errors->duplicate_orders + errors->bad_quantities + errors->overflow_orders +
           errors->overflow_levels + errors->overflow_instruments;
}

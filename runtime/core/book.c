/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"

#include <assert.h>

#include "itch.h"

#define NO_BLOCK 0xFF
#define LINEAR_SEARCH 16 /* levels from the best before a binary search pays */
#define NO_SLOT UINT32_MAX

_Static_assert(sizeof(struct book_order) == 24, "an order takes 24 bytes");

static uint32_t table_slots(uint32_t max_orders)
{
    uint32_t slots = 16;
    while (slots < 2 * max_orders)
        slots *= 2;
    return slots;
}

/* A side of n levels has a block of at most 2n, and at least one unit. */
static uint32_t levels_needed(uint32_t max_orders, uint32_t max_instruments)
{
    return 2 * max_orders + 2 * POOL_UNIT * max_instruments;
}

size_t book_footprint(uint32_t max_orders, uint32_t max_instruments)
{
    return arena_footprint((size_t)table_slots(max_orders) * sizeof(struct book_order)) +
           pool_footprint(levels_needed(max_orders, max_instruments)) +
           arena_footprint((size_t)max_instruments * sizeof(struct book_instrument));
}

bool book_init(struct book *book, struct arena *arena, uint32_t max_orders, uint32_t max_instruments)
{
    assert(max_orders >= 1 && max_orders <= BOOK_ORDERS_LIMIT);
    assert(max_instruments >= 1 && max_instruments <= BOOK_INSTRUMENTS_LIMIT);
    memset(book, 0, sizeof *book);
    uint32_t slots = table_slots(max_orders);
    book->max_orders = max_orders;
    book->max_instruments = max_instruments;
    book->order_mask = slots - 1;
    book->order_shift = 64 - (uint32_t)__builtin_ctz(slots);
    book->orders = arena_take(arena, (size_t)slots * sizeof *book->orders);
    book->instruments = arena_take(arena, (size_t)max_instruments * sizeof *book->instruments);
    bool pooled = pool_init(&book->pool, arena, levels_needed(max_orders, max_instruments));
    if (book->orders == NULL || book->instruments == NULL || !pooled)
        return false;
    book_clear(book);
    return true;
}

void book_clear(struct book *book)
{
    book->epoch++;
    if (book->epoch == 0) { /* four billion days later: old slots could look taken again */
        memset(book->orders, 0, ((size_t)book->order_mask + 1) * sizeof *book->orders);
        book->epoch = 1;
    }
    book->live_orders = 0;
    book->opened_count = 0;
    pool_clear(&book->pool);
    memset(book->instruments, 0, (size_t)book->max_instruments * sizeof *book->instruments);
    for (uint32_t i = 0; i < book->max_instruments; i++)
        book->instruments[i].side[BOOK_BID].class = book->instruments[i].side[BOOK_ASK].class = NO_BLOCK;
}

/* --- the order table --- */

static uint32_t home_slot(const struct book *book, uint64_t reference)
{
    return (uint32_t)(reference * 0x9E3779B97F4A7C15ULL >> book->order_shift); /* Fibonacci hashing: references are dense */
}

static uint32_t find_order(const struct book *book, uint64_t reference)
{
    for (uint32_t slot = home_slot(book, reference);; slot = (slot + 1) & book->order_mask) {
        const struct book_order *order = &book->orders[slot];
        if (order->epoch != book->epoch)
            return NO_SLOT;
        if (order->reference == reference)
            return slot;
    }
}

static void erase_order(struct book *book, uint32_t slot)
{
    uint32_t mask = book->order_mask;
    for (uint32_t next = (slot + 1) & mask; book->orders[next].epoch == book->epoch; next = (next + 1) & mask) {
        uint32_t home = home_slot(book, book->orders[next].reference);
        if (((next - home) & mask) >= ((next - slot) & mask)) { /* its search would pass `slot` */
            book->orders[slot] = book->orders[next];
            slot = next;
        }
    }
    book->orders[slot].epoch = book->epoch - 1;
    book->live_orders--;
}

/* --- levels --- */

static uint32_t level_key(uint8_t side, uint32_t price)
{
    return side == BOOK_BID ? price : ~price;
}

/* How many levels have a key not above `key`; the level itself, if there is one, is the last of them. */
static uint32_t levels_up_to(const struct book_level *levels, uint32_t count, uint32_t key)
{
    uint32_t stop = count > LINEAR_SEARCH ? count - LINEAR_SEARCH : 0;
    uint32_t n = count;
    while (n > stop && levels[n - 1].key > key)
        n--;
    if (n > stop || stop == 0)
        return n;
    uint32_t low = 0; /* all below low are not above key, all from n on are */
    while (low < n) {
        uint32_t middle = low + (n - low) / 2;
        if (levels[middle].key <= key)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

static void note_opened(struct book *book, uint16_t locate)
{
    for (uint32_t i = 0; i < book->opened_count; i++)
        if (book->opened[i] == locate)
            return;
    if (book->opened_count < BOOK_OPENED)
        book->opened[book->opened_count++] = locate;
}

/* Move a side to a block of another class; false when the pool has none. */
static bool resize_side(struct book *book, struct book_side *side, uint8_t class)
{
    uint32_t block;
    if (!pool_take(&book->pool, class, &block))
        return false;
    if (side->class != NO_BLOCK) {
        memcpy(pool_levels(&book->pool, block), pool_levels(&book->pool, side->block), side->count * sizeof(struct book_level));
        pool_give(&book->pool, side->class, side->block);
    }
    side->block = block;
    side->class = class;
    return true;
}

/* Give back what a side no longer needs. At a quarter, to a half: it must double before it grows again. */
static void shrink_side(struct book *book, struct book_side *side)
{
    if (side->count == 0) {
        pool_give(&book->pool, side->class, side->block);
        side->class = NO_BLOCK;
    } else if (side->class > 0 && side->count <= (POOL_UNIT << side->class) / 4) {
        resize_side(book, side, (uint8_t)(side->class - 1));
    }
}

/* Both return whether the best level was touched, level_add fails by -1. */
static int level_add(struct book *book, uint16_t locate, uint8_t side_index, uint32_t price, uint32_t shares)
{
    struct book_side *side = &book->instruments[locate].side[side_index];
    uint32_t key = level_key(side_index, price);
    struct book_level *levels = pool_levels(&book->pool, side->block);
    uint32_t n = levels_up_to(levels, side->count, key);
    if (n > 0 && levels[n - 1].key == key) {
        levels[n - 1].shares += shares;
        levels[n - 1].orders++;
        return n == side->count;
    }
    if (UNLIKELY(side->class == NO_BLOCK)) {
        if (!resize_side(book, side, 0))
            return -1;
        note_opened(book, locate);
    } else if (UNLIKELY(side->count == POOL_UNIT << side->class)) {
        if (!resize_side(book, side, (uint8_t)(side->class + 1)))
            return -1;
    }
    levels = pool_levels(&book->pool, side->block);
    memmove(&levels[n + 1], &levels[n], (side->count - n) * sizeof *levels);
    levels[n] = (struct book_level){.key = key, .orders = 1, .shares = shares};
    side->count++;
    return n + 1 == side->count;
}

static bool level_take(struct book *book, const struct book_order *order, uint32_t shares, bool order_gone)
{
    struct book_side *side = &book->instruments[order->locate].side[order->side];
    struct book_level *levels = pool_levels(&book->pool, side->block);
    uint32_t n = levels_up_to(levels, side->count, level_key(order->side, order->price));
    assert(n > 0 && levels[n - 1].key == level_key(order->side, order->price));
    bool best = n == side->count;
    struct book_level *level = &levels[n - 1];
    assert(level->shares >= shares && level->orders >= 1);
    level->shares -= shares;
    level->orders -= order_gone;
    if (level->orders == 0) {
        memmove(level, level + 1, (side->count - n) * sizeof *levels);
        side->count--;
        shrink_side(book, side);
    }
    return best;
}

/* --- what messages do --- */

/* Each returns whether the top of the book changed. */
static bool add_order(struct book *book, uint16_t locate, uint8_t side, uint64_t reference, uint32_t shares, uint32_t price)
{
    if (UNLIKELY(shares == 0)) {
        book->errors.bad_quantities++;
        return false;
    }
    if (UNLIKELY(book->live_orders == book->max_orders)) {
        book->errors.overflow_orders++;
        return false;
    }
    uint32_t slot = home_slot(book, reference);
    for (; book->orders[slot].epoch == book->epoch; slot = (slot + 1) & book->order_mask) {
        if (UNLIKELY(book->orders[slot].reference == reference)) {
            book->errors.duplicate_orders++;
            return false;
        }
    }
    int top = level_add(book, locate, side, price, shares);
    if (UNLIKELY(top < 0)) {
        book->errors.overflow_levels++;
        return false;
    }
    book->orders[slot] = (struct book_order){
        .reference = reference, .price = price, .shares = shares, .epoch = book->epoch, .locate = locate, .side = side};
    book->live_orders++;
    return top;
}

static int32_t apply_add(struct book *book, const uint8_t *message)
{
    uint16_t locate = get16(message + ITCH_A_stock_locate);
    if (UNLIKELY(locate >= book->max_instruments)) {
        book->errors.overflow_instruments++;
        return -1;
    }
    struct book_instrument *instrument = &book->instruments[locate];
    if (UNLIKELY(instrument->stock[0] == 0)) /* a feed joined after its stock directory */
        memcpy(instrument->stock, message + ITCH_A_stock, 8);
    uint8_t side = message[ITCH_A_side] == 'B' ? BOOK_BID : BOOK_ASK;
    bool top = add_order(book, locate, side, get64(message + ITCH_A_order_reference), get32(message + ITCH_A_shares),
                         get32(message + ITCH_A_price));
    return top ? locate : -1;
}

/* Executions, cancels and deletes: `shares` off the order, UINT32_MAX for all of them. */
static int32_t apply_take(struct book *book, uint64_t reference, uint32_t shares)
{
    uint32_t slot = find_order(book, reference);
    if (UNLIKELY(slot == NO_SLOT)) {
        book->errors.unknown_orders++;
        return -1;
    }
    struct book_order *order = &book->orders[slot];
    uint16_t locate = order->locate;
    bool top;
    if (shares < order->shares) {
        top = level_take(book, order, shares, false);
        order->shares -= shares;
    } else {
        if (UNLIKELY(shares != UINT32_MAX && shares > order->shares))
            book->errors.bad_quantities++;
        top = level_take(book, order, order->shares, true);
        erase_order(book, slot);
    }
    return top ? locate : -1;
}

static int32_t apply_replace(struct book *book, const uint8_t *message)
{
    uint32_t slot = find_order(book, get64(message + ITCH_U_original_reference));
    if (UNLIKELY(slot == NO_SLOT)) {
        book->errors.unknown_orders++;
        return -1;
    }
    struct book_order old = book->orders[slot];
    bool top = level_take(book, &old, old.shares, true);
    erase_order(book, slot);
    top |= add_order(book, old.locate, old.side, get64(message + ITCH_U_new_reference), get32(message + ITCH_U_shares),
                     get32(message + ITCH_U_price));
    return top ? old.locate : -1;
}

int32_t book_apply(struct book *book, const uint8_t *message)
{
    switch (message[0]) {
    case 'A':
    case 'F':
        return apply_add(book, message);
    case 'E':
    case 'C': /* at another price, yet the shares come off the order where it stands */
        return apply_take(book, get64(message + ITCH_E_order_reference), get32(message + ITCH_E_executed_shares));
    case 'X':
        return apply_take(book, get64(message + ITCH_X_order_reference), get32(message + ITCH_X_cancelled_shares));
    case 'D':
        return apply_take(book, get64(message + ITCH_D_order_reference), UINT32_MAX);
    case 'U':
        return apply_replace(book, message);
    case 'R': {
        uint16_t locate = get16(message + ITCH_R_stock_locate);
        if (locate < book->max_instruments)
            memcpy(book->instruments[locate].stock, message + ITCH_R_stock, 8);
        else
            book->errors.overflow_instruments++;
        return -1;
    }
    default: /* trades of hidden orders, crosses, broken trades and status messages leave the book as it is */
        return -1;
    }
}

/* --- reading --- */

struct book_top book_top(const struct book *book, uint16_t locate)
{
    struct book_top top = {0};
    const struct book_side *side = book->instruments[locate].side;
    if (side[BOOK_BID].count > 0) {
        const struct book_level *best = pool_levels(&book->pool, side[BOOK_BID].block) + side[BOOK_BID].count - 1;
        top.bid = best->key;
        top.bid_shares = best->shares;
    }
    if (side[BOOK_ASK].count > 0) {
        const struct book_level *best = pool_levels(&book->pool, side[BOOK_ASK].block) + side[BOOK_ASK].count - 1;
        top.ask = ~best->key;
        top.ask_shares = best->shares;
    }
    return top;
}

bool book_level_at(const struct book *book, uint16_t locate, enum book_side_index side_index, uint32_t nth, uint32_t *price,
                   struct book_level *level)
{
    const struct book_side *side = &book->instruments[locate].side[side_index];
    if (nth >= side->count)
        return false;
    *level = pool_levels(&book->pool, side->block)[side->count - 1 - nth];
    *price = side_index == BOOK_BID ? level->key : ~level->key;
    return true;
}

uint64_t book_errors_total(const struct book_errors *errors)
{
    return errors->unknown_orders + errors->duplicate_orders + errors->bad_quantities + errors->overflow_orders +
           errors->overflow_levels + errors->overflow_instruments;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ITCH messages, one after the other, into small books and into a model that is a plain list of orders. References, locates and
 * prices are folded into few values, so that orders meet; bytes that are no type's are stepped over. After every message the book's
 * levels must be the sums over the list, sorted, and the answer of book_apply must be whether the best level changed. */
#include "book_walk.h"
#include "fuzz.h"

#define ORDERS 24
#define INSTRUMENTS 3

struct model_order {
    uint64_t reference;
    uint32_t price, shares;
    uint16_t locate;
    uint8_t side;
};

struct model {
    struct model_order orders[ORDERS];
    uint32_t count;
    struct book_errors errors;
};

/* --- the model --- */

static struct model_order *find(struct model *model, uint64_t reference)
{
    for (uint32_t i = 0; i < model->count; i++)
        if (model->orders[i].reference == reference)
            return &model->orders[i];
    return NULL;
}

static void drop(struct model *model, struct model_order *order)
{
    *order = model->orders[--model->count];
}

static void add(struct model *model, struct model_order order)
{
    if (order.shares == 0)
        model->errors.bad_quantities++;
    else if (model->count == ORDERS)
        model->errors.overflow_orders++;
    else if (find(model, order.reference) != NULL)
        model->errors.duplicate_orders++;
    else
        model->orders[model->count++] = order;
}

static void reduce(struct model *model, uint64_t reference, uint32_t shares, bool whole)
{
    struct model_order *order = find(model, reference);
    if (order == NULL) {
        model->errors.unknown_orders++;
        return;
    }
    model->errors.bad_quantities += !whole && shares > order->shares;
    if (whole || shares >= order->shares)
        drop(model, order);
    else
        order->shares -= shares;
}

static void apply(struct model *model, const uint8_t *m)
{
    switch (m[0]) {
    case 'A':
    case 'F': {
        uint16_t locate = get16(m + ITCH_A_stock_locate);
        if (locate >= INSTRUMENTS)
            model->errors.overflow_instruments++;
        else
            add(model, (struct model_order){.reference = get64(m + ITCH_A_order_reference),
                                            .price = get32(m + ITCH_A_price),
                                            .shares = get32(m + ITCH_A_shares),
                                            .locate = locate,
                                            .side = m[ITCH_A_side] == 'B' ? BOOK_BID : BOOK_ASK});
        break;
    }
    case 'E':
    case 'C':
    case 'X': /* reference and shares are at the same place in all three */
        reduce(model, get64(m + ITCH_E_order_reference), get32(m + ITCH_E_executed_shares), false);
        break;
    case 'D':
        reduce(model, get64(m + ITCH_D_order_reference), 0, true);
        break;
    case 'U': {
        struct model_order *old = find(model, get64(m + ITCH_U_original_reference));
        if (old == NULL) {
            model->errors.unknown_orders++;
            break;
        }
        struct model_order order = *old;
        drop(model, old);
        order.reference = get64(m + ITCH_U_new_reference);
        order.shares = get32(m + ITCH_U_shares);
        order.price = get32(m + ITCH_U_price);
        add(model, order);
        break;
    }
    case 'R':
    case 'H':
    case 'h':
    case 'J':
        model->errors.overflow_instruments += get16(m + ITCH_R_stock_locate) >= INSTRUMENTS;
        break;
    default:
        break;
    }
}

/* --- the comparison --- */

static struct tw_level sum(const struct model *model, uint16_t locate, uint8_t side, uint32_t price)
{
    struct tw_level level = {.price = price};
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_order *order = &model->orders[i];
        if (order->locate == locate && order->side == side && order->price == price) {
            level.orders++;
            level.shares += order->shares;
        }
    }
    return level;
}

static uint32_t check_side(const struct book *book, const struct model *model, uint16_t locate, uint8_t side)
{
    const struct tw_level *level, *last = NULL;
    uint32_t orders = 0;
    for (uint32_t n = 0; (level = book_level(book, locate, side, n)) != NULL; n++) {
        struct tw_level wanted = sum(model, locate, side, level->price);
        MUST(level->orders == wanted.orders && level->shares == wanted.shares && level->orders > 0);
        MUST(n == 0 || (side == BOOK_BID ? level->price < last->price : level->price > last->price));
        orders += level->orders;
        last = level;
    }
    return orders;
}

static void check_book(const struct book *book, struct model *model)
{
    uint32_t orders = 0;
    for (uint16_t locate = 0; locate < INSTRUMENTS; locate++)
        orders += check_side(book, model, locate, BOOK_BID) + check_side(book, model, locate, BOOK_ASK);
    MUST(orders == model->count && book->live_orders == model->count);
    for (uint32_t i = 0; i < model->count; i++) {
        const struct order_slot *order = book_order(book, model->orders[i].reference);
        MUST(order != NULL && order->shares == model->orders[i].shares && order->price == model->orders[i].price);
        MUST(order_locate(order) == model->orders[i].locate && order_side(order) == model->orders[i].side);
    }
    MUST(memcmp(&book->errors, &model->errors, sizeof model->errors) == 0);
}

static bool same_top(struct book_top a, struct book_top b)
{
    return a.bid == b.bid && a.ask == b.ask && a.bid_shares == b.bid_shares && a.ask_shares == b.ask_shares;
}

/* --- input --- */

/* Few references, of the kinds the order table treats in its own ways: neighbours, and such with the same low bits. */
static void fold(uint8_t *m, unsigned offset)
{
    uint64_t value = get64(m + offset);
    put64(m + offset, (value & 15) | (value >> 4 & 3) << 12 | (value >> 6 & 1) << 40);
}

/* Few prices, of the kinds a side treats in its own ways: near each other, far away, at both ends, of fractions of a cent. */
static uint32_t fold_price(uint32_t value)
{
    uint32_t cents = value & 15;
    switch (value >> 4 & 7) {
    case 0:
        return 100 * (cents * 40);
    case 1:
        return 100 * (SIDE_LAST - cents * 8);
    case 2:
        return (value >> 7 & 7) == 0 ? 50000 + value % 100 : 100 * (480 + cents * 4);
    default:
        return 100 * (500 + cents);
    }
}

static void fold_fields(uint8_t *m)
{
    put16(m + ITCH_A_stock_locate, get16(m + ITCH_A_stock_locate) % (INSTRUMENTS + 1));
    if (strchr("AFECXDU", m[0]) != NULL)
        fold(m, ITCH_A_order_reference);
    if (m[0] == 'A' || m[0] == 'F')
        put32(m + ITCH_A_price, fold_price(get32(m + ITCH_A_price)));
    if (m[0] == 'U') {
        fold(m, ITCH_U_new_reference);
        put32(m + ITCH_U_price, fold_price(get32(m + ITCH_U_price)));
    }
}

/* --- the same messages in packets --- */

#define HAND 7

struct hand {
    const uint8_t *messages[HAND];
    int32_t touched[HAND];
    uint32_t count;
};

static void walk_hand(struct book *walked, struct hand *hand)
{
    struct book_walk walk;
    for (uint32_t i = 0; i < hand->count; i++)
        book_look(walked, hand->messages[i]);
    book_walk_begin(&walk, walked, hand->messages, hand->count);
    while (walk.at < hand->count) {
        int32_t touched = hand->touched[walk.at];
        MUST(book_walk_next(&walk) == touched);
    }
    for (uint32_t i = 0; i < hand->count; i++)
        free((void *)(uintptr_t)hand->messages[i]);
    hand->count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct book book, walked;
    static struct arena arena;
    static bool ready;
    if (!ready) {
        MUST(arena_open(&arena, 2 * book_footprint(ORDERS, INSTRUMENTS)) && book_init(&book, &arena, ORDERS, INSTRUMENTS) &&
             book_init(&walked, &arena, ORDERS, INSTRUMENTS));
        ready = true;
    }
    struct model model = {0};
    struct hand hand = {0};
    book_clear(&book);
    book_clear(&walked);
    memset(&book.errors, 0, sizeof book.errors);
    memset(&walked.errors, 0, sizeof walked.errors);
    struct input input = {bytes, size};
    while (input.left > 0) {
        size_t length = itch_lengths[input.at[0]];
        if (length == 0 || length > input.left) {
            take8(&input);
            continue;
        }
        uint8_t *message = exactly(take(&input, &length), length);
        fold_fields(message);
        struct book_top before[INSTRUMENTS];
        for (uint16_t locate = 0; locate < INSTRUMENTS; locate++)
            before[locate] = book_top(&book, locate);
        int32_t touched = book_apply(&book, message);
        apply(&model, message);
        check_book(&book, &model);
        for (uint16_t locate = 0; locate < INSTRUMENTS; locate++)
            MUST(touched == locate || same_top(before[locate], book_top(&book, locate)));
        hand.touched[hand.count] = touched;
        hand.messages[hand.count++] = message;
        if (hand.count == HAND) {
            walk_hand(&walked, &hand);
            check_book(&walked, &model);
        }
    }
    walk_hand(&walked, &hand);
    check_book(&walked, &model);
    return 0;
}

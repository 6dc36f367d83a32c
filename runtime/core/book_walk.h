/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking a packet. What a message needs is a few cache lines that are far away, and its bytes tell which. Whoever has several
 * messages in hand works on all of them in three steps, so that lines are on their way while others are worked on: look asks for
 * the order's line and the sides', find reads them and asks for the line of the level, next does what the message says.
 *
 *     for (uint32_t i = 0; i < count; i++)
 *         book_look(book, messages[i]);         best as soon as a message is seen to be of known type and right length
 *     struct book_walk walk;
 *     book_walk_begin(&walk, book, messages, count);
 *     while (walk.at < walk.count) {
 *         const uint8_t *message = messages[walk.at];
 *         int32_t changed = book_walk_next(&walk);
 *         ...
 *     }
 *
 * What find found is kept, so that nothing is worked out twice; and adds, deletes and replaces, 19 of 20 messages, go one way
 * without a branch between them, since which of them a message is cannot be predicted. What was found is good for one thing only:
 * an order that is still as it was. Everything else (other types, an order that is not there, a price that is not near, ...) goes
 * through book_apply, which knows nothing of all this and gives the same answers. */
#ifndef TICKWIRE_BOOK_WALK_H
#define TICKWIRE_BOOK_WALK_H

#include "book.h"

#define BOOK_HAND 64u /* most messages of a walk */

/* How a type goes: where its order reference stands (types without one have eight other bytes there), and its short way. */
enum book_way { BOOK_WAY_BITS = 32 /* for the offset */, BOOK_WAY_REPLACE = 32, BOOK_WAY_DELETE = 64, BOOK_WAY_ADD = 128 };
extern const uint8_t book_ways[256];
extern const uint8_t book_no_message[ITCH_MESSAGE_MAX];

/* An add, a delete or the first half of a replace, as far as it can be worked out before its turn. */
struct book_found {
    struct order_slot *slot;
    struct tw_level *level;
    uint64_t key; /* the order's; what its slot must hold to be deleted */
    uint32_t price, shares, rank;
    uint32_t way; /* of enum book_way; 0: by book_apply */
};

struct book_walk {
    struct book *book;
    const uint8_t *const *messages;
    uint32_t count, at;
    struct book_found found[BOOK_HAND];
};

/* Asking for a line never fails, wherever it is: a locate that is too large does no harm here. */
static inline void book_look(const struct book *book, const uint8_t *message)
{
    uint32_t way = book_ways[message[0]];
    prefetch(order_table_slot(&book->orders, get64(message + way % BOOK_WAY_BITS)));
    prefetch(&book->sides[book_place(get16(message + ITCH_A_stock_locate), BOOK_BID)]);
}

static inline void book_prefetch_best(const struct book *book, uint32_t place)
{
    prefetch(&book_near(book, place)[side_best_place(&book->sides[place])]);
}

/* For a message alone, before book_apply: the best levels of both sides, which a strategy looks at. */
static inline void book_look_at_best(const struct book *book, const uint8_t *message)
{
    uint32_t locate = get16(message + ITCH_A_stock_locate);
    uint32_t place = book_place(locate < book->max_instruments ? locate : 0, BOOK_BID);
    book_prefetch_best(book, place);
    book_prefetch_best(book, place + 1);
}

static inline uint64_t book_either(uint64_t mask, uint64_t yes, uint64_t no)
{
    return no ^ ((yes ^ no) & mask);
}

static inline void book_find(const struct book *book, const uint8_t *message, struct book_found *found)
{
    uint32_t way = book_ways[message[0]];
    uint64_t adding = 0 - (uint64_t)(way / BOOK_WAY_ADD);
    const uint8_t *add = (const uint8_t *)book_either(adding, (uintptr_t)message, (uintptr_t)book_no_message);
    uint64_t reference = get64(message + way % BOOK_WAY_BITS), high = order_high_bits(&book->orders, reference);
    struct order_slot *slot = order_table_slot(&book->orders, reference);
    uint32_t new_place = book_place(get16(add + ITCH_A_stock_locate), add[ITCH_A_side] != 'B');
    uint64_t key = book_either(adding, high | new_place, slot->key);
    uint32_t price = (uint32_t)book_either(adding, get32(add + ITCH_A_price), slot->price);
    uint32_t place = order_place(key), limit = 2 * book->max_instruments;
    way = place < limit && (key ^ high) >> ORDER_KEY_BITS == 0 ? way : 0;
    place = place < limit ? place : 0;
    uint32_t rank = side_rank(place & 1, price);
    found->slot = slot;
    found->level = &book_near(book, place)[rank % SIDE_NEAR];
    found->key = key;
    found->price = price;
    found->shares = get32(add + ITCH_A_shares);
    found->rank = rank;
    found->way = way & (BOOK_WAY_ADD | BOOK_WAY_DELETE | BOOK_WAY_REPLACE);
    prefetch(found->level);
    book_prefetch_best(book, place ^ 1); /* a strategy looks at it, too */
    if (way & BOOK_WAY_REPLACE)
        prefetch(&book_near(book, place)[side_rank(place & 1, get32(message + ITCH_U_price)) % SIDE_NEAR]);
}

/* The new order of a replace, when the old one is off the book. Returns whether the top changed. */
bool book_put_instead(struct book *book, uint32_t place, const uint8_t *message);

static inline int32_t book_take(struct book *book, const uint8_t *message, const struct book_found *found)
{
    struct order_slot *slot = found->slot;
    uint64_t key = found->key, adding = 0 - (uint64_t)(found->way / BOOK_WAY_ADD);
    uint32_t price = found->price, rank = found->rank, live = book->live_orders, place = order_place(key);
    struct side *side = &book->sides[found->way != 0 ? place : 0];
    uint64_t in_the_way = slot->shares | (slot->key & ORDER_ELSEWHERE); /* of an order to be added */
    uint64_t another = (slot->key ^ key) | (slot->price ^ price);       /* than the one to be deleted */
    uint32_t shares = (uint32_t)book_either(adding, found->shares, slot->shares);
    uint32_t unusual = book_either(adding, in_the_way, another) != 0;
    unusual |= found->way == 0;
    unusual |= shares == 0;
    unusual |= !side_is_near(side, rank);
    unusual |= live == book->max_orders;
    if (UNLIKELY(unusual))
        return book_apply(book, message);
    slot->key = key;
    slot->price = price;
    slot->shares = shares & (uint32_t)adding;
    int64_t sign = (int64_t)~adding; /* 0 or -1 */
    book->live_orders = live + 1 + 2 * (uint32_t)sign;
    bool top = side_change(side, found->level, rank, price, (shares ^ sign) - sign, 1 + 2 * (int32_t)sign);
    if (UNLIKELY(side_starved(side)))
        side_feed(side, book_near(book, place), &book->pool, place & 1);
    if (found->way & BOOK_WAY_REPLACE)
        top |= book_put_instead(book, place, message);
    return (int32_t)(place >> 1 | (0u - !top));
}

static inline void book_walk_begin(struct book_walk *walk, struct book *book, const uint8_t *const *messages, uint32_t count)
{
    walk->book = book;
    walk->messages = messages;
    walk->count = count;
    walk->at = 0;
    for (uint32_t i = 0; i < count; i++)
        book_find(book, messages[i], &walk->found[i]);
}

/* As book_apply for the next message. */
static inline int32_t book_walk_next(struct book_walk *walk)
{
    uint32_t at = walk->at++;
    return book_take(walk->book, walk->messages[at], &walk->found[at]);
}

#endif

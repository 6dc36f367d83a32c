/* SPDX-License-Identifier: Apache-2.0
 *
 * Live orders by reference, found with one look into memory in nearly every case.
 *
 * A feed hands out references that increase, and most of what happens to orders happens to young ones. So the table is a window: a
 * reference has one slot, its lowest bits, and neighbours in time are neighbours in memory. A new order walks on to a line that the
 * last one has already brought in, and the young orders together are small enough for the cache. A slot is 16 bytes, four to a
 * line: the bits of the reference that do not say which slot it is stand in it, so that the whole reference is compared.
 *
 * When the window has come round and the slot of a new order is still taken by an old one, the new order goes to a second table,
 * hashed and never full. The slot says so, so that the second table is only looked at when there is something to find; how many
 * went there from it is counted elsewhere. Whatever the references are, dense, sparse, falling or all the same in their low bits,
 * the answers are the same; only the time differs. */
#ifndef TICKWIRE_ORDER_TABLE_H
#define TICKWIRE_ORDER_TABLE_H

#include "arena.h"
#include "wire.h"

#define ORDER_TABLE_LIMIT (1u << 28)
#define ORDER_PLACE_BITS 17           /* of order_slot.key: the order's place, 2 * stock locate + side */
#define ORDER_ELSEWHERE (1u << 17)    /* in order_slot.key, of free slots too: orders of this slot are in the second table */
#define ORDER_KEY_BITS 18             /* the two above. The window has no fewer bits */
#define ORDER_ELSEWHERE_MANY 255 /* counted no further: then it stays */

struct order_slot {
    uint64_t key; /* the reference's bits above the window's, ORDER_ELSEWHERE, place */
    uint32_t price;
    uint32_t shares; /* 0: free */
};

struct order_second {
    uint64_t reference;
    struct order_slot order;
};

struct order_table {
    struct order_slot *window;
    struct order_second *second;
    uint8_t *elsewhere; /* per slot of the window: how many of its orders are in `second` */
    uint32_t window_mask;
    uint32_t second_slots;
};

size_t order_table_footprint(uint32_t max_orders);
/* False when the arena is too small. Holds `max_orders` orders at least; the caller counts. */
bool order_table_init(struct order_table *table, struct arena *arena, uint32_t max_orders);
void order_table_clear(struct order_table *table);

/* The second table, for those below. */
struct order_slot *order_second_find(const struct order_table *table, uint64_t reference);
struct order_slot *order_second_put(struct order_table *table, uint64_t reference);
void order_second_erase(struct order_table *table, struct order_slot *order, uint64_t reference);

static inline uint32_t order_window_slot(const struct order_table *table, uint64_t reference)
{
    return (uint32_t)reference & table->window_mask;
}

/* The reference's slot in the window, whatever order is in it. */
static inline struct order_slot *order_table_slot(const struct order_table *table, uint64_t reference)
{
    return &table->window[order_window_slot(table, reference)];
}

static inline uint32_t order_second_home(const struct order_table *table, uint64_t reference)
{
    uint64_t hash = reference * 0x9E3779B97F4A7C15u >> 32; /* Fibonacci hashing */
    return (uint32_t)(hash * table->second_slots >> 32);
}

static inline uint64_t order_high_bits(const struct order_table *table, uint64_t reference)
{
    return reference & ~(uint64_t)table->window_mask;
}

static inline bool order_slot_holds(const struct order_table *table, const struct order_slot *slot, uint64_t reference)
{
    return (slot->key ^ order_high_bits(table, reference)) >> ORDER_KEY_BITS == 0 && slot->shares != 0;
}

static inline uint32_t order_place(uint64_t key)
{
    return key & ((1u << ORDER_PLACE_BITS) - 1);
}

static inline uint16_t order_locate(const struct order_slot *order)
{
    return (uint16_t)(order_place(order->key) >> 1);
}

static inline uint8_t order_side(const struct order_slot *order)
{
    return order->key & 1;
}

/* The order, or NULL. Good until the next change of the table. */
static inline struct order_slot *order_table_find(const struct order_table *table, uint64_t reference)
{
    struct order_slot *slot = order_table_slot(table, reference);
    if (LIKELY(order_slot_holds(table, slot, reference)))
        return slot;
    return LIKELY((slot->key & ORDER_ELSEWHERE) == 0) ? NULL : order_second_find(table, reference);
}

/* `reference` is not in the table, `shares` is not 0. */
static inline void order_table_put(struct order_table *table, uint64_t reference, uint32_t place, uint32_t price, uint32_t shares)
{
    struct order_slot *slot = order_table_slot(table, reference);
    if (UNLIKELY(slot->shares != 0))
        slot = order_second_put(table, reference);
    slot->key = order_high_bits(table, reference) | (slot->key & ORDER_ELSEWHERE) | place;
    slot->price = price; /* one by one: put together on the stack first, the copy would wait for the stores */
    slot->shares = shares;
}

/* Take an order out that order_table_find has found for `reference`. */
static inline void order_table_erase(struct order_table *table, struct order_slot *order, uint64_t reference)
{
    if (LIKELY(order == order_table_slot(table, reference)))
        order->shares = 0;
    else
        order_second_erase(table, order, reference);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "order_table.h"

#include <assert.h>

_Static_assert(sizeof(struct order_slot) == 16, "four orders a cache line");
_Static_assert(sizeof(struct order_second) == 24, "24 bytes where the whole reference is needed");

/* The reference's bits above the window's have their place above the others of a key. */
#define WINDOW_BITS_MIN ORDER_KEY_BITS
#define WINDOW_BITS_AMPLE 24u

/* The window: at most a sixth full, so that few new orders find their slot taken; but beyond WINDOW_BITS_AMPLE, where the window
 * spans millions of references, at most three quarters, since memory takes time to be had at start. */
static uint32_t window_bits_for(uint32_t max_orders)
{
    uint32_t bits = WINDOW_BITS_MIN;
    while (UINT64_C(1) << bits < UINT64_C(6) * max_orders && bits < WINDOW_BITS_AMPLE)
        bits++;
    while ((UINT64_C(3) << bits) / 4 < max_orders)
        bits++;
    return bits;
}

/* The second table: at most four fifths full, should all orders have to go there. Not a power of two: that could be twice as much
 * memory, which takes time to be had at start. */
static uint32_t second_slots_for(uint32_t max_orders)
{
    return max_orders + max_orders / 4 + 16;
}

size_t order_table_footprint(uint32_t max_orders)
{
    size_t window = (size_t)1 << window_bits_for(max_orders), second = second_slots_for(max_orders);
    return arena_footprint(window * sizeof(struct order_slot)) + arena_footprint(window) +
           arena_footprint(second * sizeof(struct order_second));
}

bool order_table_init(struct order_table *table, struct arena *arena, uint32_t max_orders)
{
    assert(max_orders >= 1 && max_orders <= ORDER_TABLE_LIMIT);
    uint32_t window_bits = window_bits_for(max_orders);
    size_t window = (size_t)1 << window_bits, second = second_slots_for(max_orders);
    table->window_mask = (uint32_t)(window - 1);
    table->second_slots = (uint32_t)second;
    table->window = arena_take(arena, window * sizeof *table->window);
    table->elsewhere = arena_take(arena, window);
    table->second = arena_take(arena, second * sizeof *table->second);
    return table->window != NULL && table->elsewhere != NULL && table->second != NULL;
}

void order_table_clear(struct order_table *table)
{
    size_t window = (size_t)table->window_mask + 1, second = table->second_slots;
    memset(table->window, 0, window * sizeof *table->window);
    memset(table->elsewhere, 0, window);
    memset(table->second, 0, second * sizeof *table->second);
}

/* --- the second table: linear probing, deletion by shifting back --- */

static uint32_t after(const struct order_table *table, uint32_t at)
{
    return at + 1 < table->second_slots ? at + 1 : 0;
}

/* Steps from `from` to `to`. */
static uint32_t distance(const struct order_table *table, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + (table->second_slots - from);
}

struct order_slot *order_second_find(const struct order_table *table, uint64_t reference)
{
    for (uint32_t at = order_second_home(table, reference);; at = after(table, at)) {
        struct order_second *second = &table->second[at];
        if (second->order.shares == 0)
            return NULL;
        if (second->reference == reference)
            return &second->order;
    }
}

struct order_slot *order_second_put(struct order_table *table, uint64_t reference)
{
    uint32_t at = order_second_home(table, reference);
    while (table->second[at].order.shares != 0)
        at = after(table, at);
    table->second[at].reference = reference;
    uint8_t *elsewhere = &table->elsewhere[order_window_slot(table, reference)];
    *elsewhere += *elsewhere != ORDER_ELSEWHERE_MANY;
    order_table_slot(table, reference)->key |= ORDER_ELSEWHERE;
    return &table->second[at].order;
}

void order_second_erase(struct order_table *table, struct order_slot *order, uint64_t reference)
{
    uint32_t hole = (uint32_t)((struct order_second *)((uint8_t *)order - offsetof(struct order_second, order)) - table->second);
    for (uint32_t next = after(table, hole); table->second[next].order.shares != 0; next = after(table, next)) {
        uint32_t home = order_second_home(table, table->second[next].reference);
        if (distance(table, home, next) >= distance(table, hole, next)) { /* its search would pass the hole */
            table->second[hole] = table->second[next];
            hole = next;
        }
    }
    table->second[hole].order.shares = 0;
    uint8_t *elsewhere = &table->elsewhere[order_window_slot(table, reference)];
    *elsewhere -= *elsewhere != ORDER_ELSEWHERE_MANY;
    if (*elsewhere == 0)
        order_table_slot(table, reference)->key &= ~(uint64_t)ORDER_ELSEWHERE;
}

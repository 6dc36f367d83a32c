/* SPDX-License-Identifier: Apache-2.0 */
#include "order_table.h"

#include <assert.h>

_Static_assert(sizeof(struct order_slot) == 16, "four orders a cache line");
_Static_assert(sizeof(struct order_moved) == 24, "a moved order takes 24 bytes");

/* The reference's other bits must fit above ORDER_PLACE_BITS. */
#define WINDOW_BITS_MIN ORDER_PLACE_BITS

/* Both tables: at most three quarters full. */
static uint32_t slot_bits(uint32_t max_orders, uint32_t least)
{
    uint32_t bits = least;
    while ((UINT64_C(3) << bits) / 4 < max_orders)
        bits++;
    return bits;
}

size_t order_table_footprint(uint32_t max_orders)
{
    size_t window = (size_t)1 << slot_bits(max_orders, WINDOW_BITS_MIN), moved = (size_t)1 << slot_bits(max_orders, 4);
    return arena_footprint(window * sizeof(struct order_slot)) + arena_footprint(window) +
           arena_footprint(moved * sizeof(struct order_moved));
}

bool order_table_init(struct order_table *table, struct arena *arena, uint32_t max_orders)
{
    assert(max_orders >= 1 && max_orders <= ORDER_TABLE_LIMIT);
    uint32_t window_bits = slot_bits(max_orders, WINDOW_BITS_MIN), moved_bits = slot_bits(max_orders, 4);
    size_t window = (size_t)1 << window_bits, moved = (size_t)1 << moved_bits;
    table->window_bits = window_bits;
    table->window_mask = (uint32_t)(window - 1);
    table->moved_shift = 64 - moved_bits;
    table->moved_mask = (uint32_t)(moved - 1);
    table->moved_count = 0;
    table->window = arena_take(arena, window * sizeof *table->window);
    table->came = arena_take(arena, window);
    table->moved = arena_take(arena, moved * sizeof *table->moved);
    return table->window != NULL && table->came != NULL && table->moved != NULL;
}

void order_table_clear(struct order_table *table)
{
    size_t window = (size_t)table->window_mask + 1, moved = (size_t)table->moved_mask + 1;
    memset(table->window, 0, window * sizeof *table->window);
    memset(table->came, 0, window);
    memset(table->moved, 0, moved * sizeof *table->moved);
    table->moved_count = 0;
}

/* --- the second table: linear probing, deletion by shifting back --- */

struct order_slot *order_table_find_moved(const struct order_table *table, uint64_t reference)
{
    for (uint32_t at = order_moved_home(table, reference);; at = (at + 1) & table->moved_mask) {
        struct order_moved *moved = &table->moved[at];
        if (moved->order.shares == 0)
            return NULL;
        if (moved->reference == reference)
            return &moved->order;
    }
}

void order_table_move(struct order_table *table, uint32_t slot)
{
    struct order_slot *order = &table->window[slot];
    uint64_t reference = order->key >> ORDER_PLACE_BITS << table->window_bits | slot;
    uint32_t at = order_moved_home(table, reference);
    while (table->moved[at].order.shares != 0)
        at = (at + 1) & table->moved_mask;
    table->moved[at] = (struct order_moved){.reference = reference, .order = *order};
    table->moved_count++;
    table->came[slot] += table->came[slot] != ORDER_CAME_MANY;
    order->shares = 0;
}

void order_table_erase_moved(struct order_table *table, struct order_slot *order, uint64_t reference)
{
    uint32_t mask = table->moved_mask;
    uint32_t hole = (uint32_t)((struct order_moved *)((uint8_t *)order - offsetof(struct order_moved, order)) - table->moved);
    for (uint32_t next = (hole + 1) & mask; table->moved[next].order.shares != 0; next = (next + 1) & mask) {
        uint32_t home = order_moved_home(table, table->moved[next].reference);
        if (((next - home) & mask) >= ((next - hole) & mask)) { /* its search would pass the hole */
            table->moved[hole] = table->moved[next];
            hole = next;
        }
    }
    table->moved[hole].order.shares = 0;
    table->moved_count--;
    uint8_t *came = &table->came[order_window_slot(table, reference)];
    *came -= *came != ORDER_CAME_MANY;
}

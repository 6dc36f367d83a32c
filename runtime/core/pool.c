/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <string.h>

_Static_assert(sizeof(struct tw_level) == 16, "four levels a cache line");

static uint32_t units_of(uint32_t levels)
{
    return (levels + POOL_UNIT - 1) / POOL_UNIT;
}

size_t pool_footprint(uint32_t levels)
{
    size_t units = units_of(levels);
    return arena_footprint((units + 1) * POOL_UNIT * sizeof(struct tw_level)) + arena_footprint(units);
}

bool pool_init(struct pool *pool, struct arena *arena, uint32_t levels)
{
    pool->units = units_of(levels);
    struct tw_level *first = arena_take(arena, ((size_t)pool->units + 1) * POOL_UNIT * sizeof *first);
    pool->levels = first + (first != NULL ? POOL_UNIT : 0); /* the first unit belongs to no block */
    pool->free_class = arena_take(arena, pool->units);
    return first != NULL && pool->free_class != NULL;
}

/* A free block's links: next and previous free block of its class, as unit + 1. */
static uint32_t *next_of(struct pool *pool, uint32_t unit)
{
    return &pool_levels(pool, unit)->price;
}

static uint32_t *previous_of(struct pool *pool, uint32_t unit)
{
    return &pool_levels(pool, unit)->orders;
}

static void push(struct pool *pool, uint8_t class, uint32_t unit)
{
    uint32_t next = pool->first[class];
    pool->free_class[unit] = (uint8_t)(1 + class);
    *next_of(pool, unit) = next;
    *previous_of(pool, unit) = 0;
    if (next != 0)
        *previous_of(pool, next - 1) = unit + 1;
    pool->first[class] = unit + 1;
}

static void unlink_block(struct pool *pool, uint8_t class, uint32_t unit)
{
    uint32_t next = *next_of(pool, unit), previous = *previous_of(pool, unit);
    pool->free_class[unit] = 0;
    if (next != 0)
        *previous_of(pool, next - 1) = previous;
    if (previous != 0)
        *next_of(pool, previous - 1) = next;
    else
        pool->first[class] = next;
}

void pool_clear(struct pool *pool)
{
    memset(pool->free_class, 0, pool->units);
    memset(pool->first, 0, sizeof pool->first);
    for (uint32_t unit = 0; unit < pool->units;) { /* the largest blocks that are aligned to their size and fit */
        uint8_t class = POOL_CLASSES - 1;
        while ((unit & ((1u << class) - 1)) != 0 || (1u << class) > pool->units - unit)
            class--;
        push(pool, class, unit);
        unit += 1u << class;
    }
}

bool pool_take(struct pool *pool, uint8_t class, uint32_t *unit)
{
    uint8_t from = class;
    while (from < POOL_CLASSES && pool->first[from] == 0)
        from++;
    if (from >= POOL_CLASSES)
        return false;
    *unit = pool->first[from] - 1;
    unlink_block(pool, from, *unit);
    while (from > class) { /* keep the lower half */
        from--;
        push(pool, from, *unit + (1u << from));
    }
    return true;
}

void pool_give(struct pool *pool, uint8_t class, uint32_t unit)
{
    for (; class + 1 < POOL_CLASSES; class++) {
        uint32_t buddy = unit ^ 1u << class;
        if (buddy >= pool->units || pool->free_class[buddy] != 1 + class)
            break;
        unlink_block(pool, class, buddy);
        unit &= ~(1u << class);
    }
    push(pool, class, unit);
}

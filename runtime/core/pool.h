/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the levels of the books live: power-of-two blocks of levels out of one array, split and joined again with their buddies, so
 * that what one side has outgrown or given up serves any other. */
#ifndef TICKWIRE_POOL_H
#define TICKWIRE_POOL_H

#include "arena.h"
#include "strategy.h"

#define POOL_UNIT 8u /* levels in the smallest block: two cache lines */
#define POOL_CLASSES 28

struct pool {
    struct tw_level none; /* no orders, price 0: the best level of an empty side */
    struct tw_level *levels;
    uint8_t *free_class;           /* per unit: 1 + class when a free block begins there, else 0 */
    uint32_t units;
    uint32_t first[POOL_CLASSES];  /* unit + 1 of the first free block of a class; links stand in its first level */
};

size_t pool_footprint(uint32_t levels);
bool pool_init(struct pool *pool, struct arena *arena, uint32_t levels);

/* All blocks free again. */
void pool_clear(struct pool *pool);

/* A block of POOL_UNIT << class levels, as the unit it begins at; false when there is none. */
bool pool_take(struct pool *pool, uint8_t class, uint32_t *unit);
void pool_give(struct pool *pool, uint8_t class, uint32_t unit);

static inline struct tw_level *pool_levels(const struct pool *pool, uint32_t unit)
{
    return &pool->levels[(size_t)unit * POOL_UNIT];
}

/* The unit a block begins at, from its first level. */
static inline uint32_t pool_unit(const struct pool *pool, const struct tw_level *levels)
{
    return (uint32_t)((size_t)(levels - pool->levels) / POOL_UNIT);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One side of one book: its levels, sorted, the best one last, so that most changes move few levels. A level is found by how many
 * are better: that is counted without a branch for the LADDER_NEAR best ones, since which of them it is cannot be predicted; by
 * bisection behind them.
 *
 * Arrays double and halve in blocks of a pool. A side keeps its smallest block once it has one: sides that empty and fill again
 * all day would otherwise split and join blocks all day. */
#ifndef TICKWIRE_LADDER_H
#define TICKWIRE_LADDER_H

#include "pool.h"
#include "wire.h"

#define LADDER_NEAR 8u

struct ladder {
    struct tw_level *best; /* the nth behind it is best[-n]; of no meaning while `count` is 0 */
    uint32_t count;
    uint8_t class;         /* capacity is POOL_UNIT << class; LADDER_NO_BLOCK: never had a level */
};

#define LADDER_NO_BLOCK 0xFF

static inline struct tw_level *ladder_base(const struct ladder *ladder)
{
    return ladder->best + 1 - ladder->count;
}

/* Of a side beyond the near levels: as ladder_better. */
uint32_t ladder_better_far(const struct ladder *ladder, uint32_t flip, uint32_t price);

/* Prices compare as if higher were better: an ask's are complemented. */
static inline uint32_t ladder_flip(uint8_t side)
{
    return 0u - side;
}

/* How many levels are better than `price`. If there is a level at that price it is best[-n]. Reads behind the last level: the pool
 * has room for that before its first block, and what it reads there does not count. */
static inline uint32_t ladder_better(const struct ladder *ladder, uint32_t flip, uint32_t price)
{
    const struct tw_level *best = ladder->best;
    uint32_t wanted = price ^ flip, worse = 0;
    for (uint32_t i = 0; i < LADDER_NEAR; i++)
        worse |= (uint32_t)((best[-(int32_t)i].price ^ flip) <= wanted) << i;
    uint32_t count = ladder->count;
    if (count <= LADDER_NEAR)
        return (uint32_t)__builtin_ctz(worse | 1u << count);
    if (LIKELY(worse != 0))
        return (uint32_t)__builtin_ctz(worse);
    return ladder_better_far(ladder, flip, price);
}

/* Room for a level with `n` better ones; false when the pool has none. The level's contents are the caller's. */
bool ladder_insert(struct ladder *ladder, struct pool *pool, uint32_t n);
/* Take the level with `n` better ones out. */
void ladder_remove(struct ladder *ladder, struct pool *pool, uint32_t n);

#endif

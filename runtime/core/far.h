/* SPDX-License-Identifier: Apache-2.0
 *
 * The far levels of a side: sorted, the best one last, so that most changes move few levels. A level is found by how many are
 * better: none, often; else that is counted without a branch for the FAR_CLOSE levels behind the best, since which of them it is
 * cannot be predicted; by bisection farther away.
 *
 * Arrays double and halve in blocks of a pool. A side keeps its smallest block once it has one: sides that empty and fill again
 * all day would otherwise split and join blocks all day. */
#ifndef TICKWIRE_FAR_H
#define TICKWIRE_FAR_H

#include "side.h"

#define FAR_CLOSE 8u

/* Add to the level at `price`. Returns how many levels are better, or -1: it would be a new one and the pool has no room for it. */
int64_t far_add(struct side *side, struct pool *pool, uint32_t which, uint32_t price, uint32_t shares);
/* Take off the level at `price`, which is there. Returns whether it was the best. */
bool far_take(struct side *side, struct pool *pool, uint32_t which, uint32_t price, uint32_t shares, bool order_gone);

/* Room for `count` levels more; false when the pool has none. */
bool far_reserve(struct side *side, struct pool *pool, uint32_t count);
/* A new best level, with room reserved. */
void far_push(struct side *side, struct pool *pool, const struct tw_level *level);
/* Drop the best `count` levels. */
void far_drop(struct side *side, struct pool *pool, uint32_t count);

static inline const struct tw_level *far_level(const struct side *side, const struct pool *pool, uint32_t nth)
{
    return &pool->levels[side->far_best - (int64_t)nth];
}

#endif

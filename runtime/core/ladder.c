/* SPDX-License-Identifier: Apache-2.0 */
#include "ladder.h"

uint32_t ladder_far(const struct ladder *ladder, uint8_t side, uint32_t price)
{
    int32_t key = ladder_key(side, price);
    uint32_t low = LADDER_NEAR + 1, high = ladder->count; /* all before low are better, all from high on are not */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool better = ladder_key(side, ladder->best[-(int64_t)middle].price) > key;
        low = better ? middle + 1 : low;
        high = better ? high : middle;
    }
    return low;
}

/* Move a side to a block of another class; false when the pool has none. */
static bool resize(struct ladder *ladder, struct pool *pool, uint8_t class)
{
    uint32_t block;
    if (!pool_take(pool, class, &block))
        return false;
    struct tw_level *levels = pool_levels(pool, block);
    if (ladder->class != LADDER_NO_BLOCK) {
        struct tw_level *old = ladder_base(ladder);
        memcpy(levels, old, ladder->count * sizeof *levels);
        pool_give(pool, ladder->class, pool_unit(pool, old));
    }
    ladder->best = levels + ladder->count - 1;
    ladder->class = class;
    return true;
}

/* Move the best `n` levels by one place, 1 up or -1 down. Four without a loop, whose end could not be predicted: those of the four
 * that stay are written back where they are, be they levels of another block; the pool has room before its first. */
static inline void shift(struct tw_level *best, uint32_t n, int64_t by)
{
    if (LIKELY(n <= 4)) {
        int64_t left = (int64_t)n;
        struct tw_level first = best[by & (left - 1) >> 63], second = best[-1 + (by & (left - 2) >> 63)];
        struct tw_level third = best[-2 + (by & (left - 3) >> 63)], fourth = best[-3 + (by & (left - 4) >> 63)];
        best[by] = first;
        best[by - 1] = second;
        best[by - 2] = third;
        best[by - 3] = fourth;
    } else {
        memmove(best + by - n + 1, best - n + 1, n * sizeof *best);
    }
}

bool ladder_insert(struct ladder *ladder, struct pool *pool, uint32_t n)
{
    if (UNLIKELY(ladder->class == LADDER_NO_BLOCK)) {
        if (!resize(ladder, pool, 0))
            return false;
    } else if (UNLIKELY(ladder->count == POOL_UNIT << ladder->class)) {
        if (!resize(ladder, pool, (uint8_t)(ladder->class + 1)))
            return false;
    }
    shift(ladder->best, n, 1);
    ladder->best++;
    ladder->count++;
    return true;
}

void ladder_remove(struct ladder *ladder, struct pool *pool, uint32_t n)
{
    shift(ladder->best, n, -1);
    ladder->best--;
    ladder->count--;
    /* At a quarter, to a half: it must double before it grows again. Should the pool refuse, it keeps what it has. */
    if (UNLIKELY(ladder->count <= (POOL_UNIT << ladder->class) / 4) && ladder->class > 0)
        resize(ladder, pool, (uint8_t)(ladder->class - 1));
}

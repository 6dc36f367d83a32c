/* SPDX-License-Identifier: Apache-2.0 */
#include "side.h"

#include <assert.h>

#include "far.h"

_Static_assert(sizeof(struct side) == 32, "the two sides of a book take one cache line");
_Static_assert(SIDE_NEAR == 64, "a bit of `near` for each");

/* `first` for near levels around a best rank; all of them up to SIDE_LAST, beyond which prices have no rank. */
static uint32_t first_for(uint32_t best)
{
    const uint32_t last = SIDE_LAST - (SIDE_NEAR - 1);
    uint32_t first = best < SIDE_AHEAD ? 0 : best - SIDE_AHEAD;
    return first < last ? first : last;
}

/* Far levels that have come in reach. */
static void bring_near(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which)
{
    uint32_t count = 0;
    for (; count < side->far_count; count++) {
        const struct tw_level *level = far_level(side, pool, count);
        uint32_t rank = side_rank(which, level->price);
        if (!side_is_near(side, rank))
            break;
        levels[rank % SIDE_NEAR] = *level;
        side->near |= UINT64_C(1) << (rank - side->first);
    }
    if (count > 0)
        far_drop(side, pool, count);
}

/* The worst `up` near levels become far ones, the very worst first, and the near ranks begin `up` earlier. False when the pool has
 * no room for all of them. */
static bool move_ahead(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t up)
{
    uint64_t staying = up < SIDE_NEAR ? side->near & UINT64_MAX >> up : 0, going = side->near ^ staying;
    if (!far_reserve(side, pool, (uint32_t)__builtin_popcountll(going)))
        return false;
    while (going != 0) {
        uint32_t worst = 63u - (uint32_t)__builtin_clzll(going);
        struct tw_level *level = &levels[(side->first + worst) % SIDE_NEAR];
        far_push(side, pool, level);
        *level = (struct tw_level){0};
        going ^= UINT64_C(1) << worst;
    }
    side->near = up < SIDE_NEAR ? staying << up : 0;
    side->first -= up;
    return true;
}

/* The near ranks begin `down` later, where none better have orders; far levels come in reach. */
static void move_back(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which, uint32_t down)
{
    side->near = down < SIDE_NEAR ? side->near >> down : 0;
    side->first += down;
    bring_near(side, levels, pool, which);
}

void side_feed(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which)
{
    uint32_t best = side_rank(which, far_level(side, pool, 0)->price);
    move_back(side, levels, pool, which, first_for(best) - side->first);
}

bool side_admit(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which, uint32_t price)
{
    uint32_t rank = side_rank(which, price);
    if (side->width == 0 && side->first != SIDE_UNUSED)
        return true;
    if (side_cents(price) > SIDE_LAST) {
        if (!move_ahead(side, levels, pool, SIDE_NEAR))
            return false;
        side->width = 0;
        side->first = 0;
        return true;
    }
    if (side->near == 0) { /* no level at all */
        side->width = SIDE_NEAR;
        side->first = first_for(rank);
        return true;
    }
    if (rank < side->first)
        return move_ahead(side, levels, pool, side->first - first_for(rank));
    uint32_t best = (uint32_t)__builtin_ctzll(side->near), down = first_for(side->first + best) - side->first;
    if (best >= SIDE_NEAR / 2 && rank - side->first - down < SIDE_NEAR)
        move_back(side, levels, pool, which, down);
    return true;
}

const struct tw_level *side_level(const struct side *side, const struct tw_level *levels, const struct pool *pool, uint32_t nth)
{
    uint64_t near = side->near;
    uint32_t count = (uint32_t)__builtin_popcountll(near);
    if (nth >= count)
        return nth - count < side->far_count ? far_level(side, pool, nth - count) : NULL;
    while (nth-- > 0)
        near &= near - 1;
    return &levels[(side->first + (uint32_t)__builtin_ctzll(near)) % SIDE_NEAR];
}

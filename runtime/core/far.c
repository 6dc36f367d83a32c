/* SPDX-License-Identifier: Apache-2.0 */
#include "far.h"

#include <assert.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static struct tw_level *best_of(const struct side *side, const struct pool *pool)
{
    return &pool->levels[side->far_best];
}

/* Prices compare as if higher were better: an ask's are complemented. Signed, since that is what SSE2 compares. */
static int32_t key_of(uint32_t which, uint32_t price)
{
    return (int32_t)(price ^ (0x80000000u - which));
}

/* --- finding --- */

#ifdef __SSE2__
static __m128i four_prices(const struct tw_level *level)
{
    const __m128i *at = (const __m128i *)level;
    __m128i first = _mm_unpacklo_epi32(_mm_load_si128(at), _mm_load_si128(at - 1));
    __m128i last = _mm_unpacklo_epi32(_mm_load_si128(at - 2), _mm_load_si128(at - 3));
    return _mm_unpacklo_epi64(first, last);
}
#endif

/* A bit for each of the FAR_CLOSE levels behind the best that is better than `price`. Reads behind the last level: the pool has
 * room for that before its first block, and what it reads there must not count. */
static uint32_t better_mask(const struct tw_level *best, uint32_t which, uint32_t price)
{
#ifdef __SSE2__
    const __m128i flip = _mm_set1_epi32((int32_t)(0x80000000u - which)), key = _mm_set1_epi32(key_of(which, price));
    __m128i near = _mm_cmpgt_epi32(_mm_xor_si128(four_prices(best - 1), flip), key);
    __m128i next = _mm_cmpgt_epi32(_mm_xor_si128(four_prices(best - 5), flip), key);
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(near)) | (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(next)) << 4;
#else
    uint32_t better = 0;
    for (uint32_t i = 0; i < FAR_CLOSE; i++)
        better |= (uint32_t)(key_of(which, best[-1 - (int32_t)i].price) > key_of(which, price)) << i;
    return better;
#endif
}

static uint32_t bisect(const struct side *side, const struct pool *pool, uint32_t which, uint32_t price)
{
    const struct tw_level *best = best_of(side, pool);
    int32_t key = key_of(which, price);
    uint32_t low = FAR_CLOSE + 1, high = side->far_count; /* all before low are better, all from high on are not */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool better = key_of(which, best[-(int64_t)middle].price) > key;
        low = better ? middle + 1 : low;
        high = better ? high : middle;
    }
    return low;
}

/* How many levels are better than `price`. If there is a level at that price, it is best[-n]. */
static uint32_t better_than(const struct side *side, const struct pool *pool, uint32_t which, uint32_t price)
{
    const struct tw_level *best = best_of(side, pool);
    if (side->far_count == 0 || key_of(which, price) >= key_of(which, best->price))
        return 0;
    uint32_t last = side->far_count - 1; /* levels behind the best */
    uint32_t stop = ~better_mask(best, which, price) & 0xFF;
    uint32_t n = 1 + (uint32_t)__builtin_ctz(stop | 1u << (last < 31 ? last : 31));
    return LIKELY(n <= FAR_CLOSE + 1) ? n : bisect(side, pool, which, price);
}

/* --- room --- */

/* Move to a block of another class; false when the pool has none. */
static bool resize(struct side *side, struct pool *pool, uint8_t class)
{
    uint32_t block;
    if (!pool_take(pool, class, &block))
        return false;
    struct tw_level *levels = pool_levels(pool, block);
    if (side->far_class != SIDE_NO_BLOCK) {
        struct tw_level *old = best_of(side, pool) + 1 - side->far_count;
        memcpy(levels, old, side->far_count * sizeof *levels);
        pool_give(pool, side->far_class, pool_unit(pool, old));
    }
    side->far_best = (int32_t)(levels - pool->levels) + (int32_t)side->far_count - 1;
    side->far_class = class;
    return true;
}

bool far_reserve(struct side *side, struct pool *pool, uint32_t count)
{
    if (count == 0)
        return true;
    uint8_t class = side->far_class != SIDE_NO_BLOCK ? side->far_class : 0;
    while (side->far_count + count > POOL_UNIT << class)
        class++;
    return class == side->far_class || resize(side, pool, class);
}

/* At a quarter, to a half: it must double before it grows again. Should the pool refuse, it keeps what it has. */
static void give_back(struct side *side, struct pool *pool)
{
    uint8_t class = side->far_class;
    while (class > 0 && side->far_count <= (POOL_UNIT << class) / 4)
        class--;
    if (UNLIKELY(class != side->far_class))
        resize(side, pool, class);
}

/* --- changes --- */

int64_t far_add(struct side *side, struct pool *pool, uint32_t which, uint32_t price, uint32_t shares)
{
    uint32_t n = better_than(side, pool, which, price);
    struct tw_level *level = best_of(side, pool) - n;
    if (n < side->far_count && level->price == price) {
        level->shares += shares;
        level->orders++;
        return n;
    }
    if (UNLIKELY(!far_reserve(side, pool, 1)))
        return -1;
    struct tw_level *best = best_of(side, pool);
    memmove(best + 2 - n, best + 1 - n, n * sizeof *best);
    best[1 - (int64_t)n] = (struct tw_level){.price = price, .orders = 1, .shares = shares};
    side->far_best++;
    side->far_count++;
    return n;
}

bool far_take(struct side *side, struct pool *pool, uint32_t which, uint32_t price, uint32_t shares, bool order_gone)
{
    uint32_t n = better_than(side, pool, which, price);
    struct tw_level *best = best_of(side, pool), *level = best - n;
    assert(n < side->far_count && level->price == price && level->shares >= shares && level->orders >= 1);
    level->shares -= shares;
    level->orders -= order_gone;
    if (level->orders == 0) {
        memmove(level, level + 1, n * sizeof *level);
        far_drop(side, pool, 1);
    }
    return n == 0;
}

void far_push(struct side *side, struct pool *pool, const struct tw_level *level)
{
    side->far_best++;
    side->far_count++;
    *best_of(side, pool) = *level;
}

void far_drop(struct side *side, struct pool *pool, uint32_t count)
{
    side->far_best -= (int32_t)count;
    side->far_count -= count;
    give_back(side, pool);
}

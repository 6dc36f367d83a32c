/* SPDX-License-Identifier: Apache-2.0
 *
 * One side of one book: its levels, sorted, the best one last, so that most changes move few levels. A level is found by how many
 * are better: none for every other change; else that is counted without a branch for the LADDER_NEAR levels behind the best, since
 * which of them it is cannot be predicted; by bisection farther away.
 *
 * Arrays double and halve in blocks of a pool. A side keeps its smallest block once it has one: sides that empty and fill again
 * all day would otherwise split and join blocks all day. */
#ifndef TICKWIRE_LADDER_H
#define TICKWIRE_LADDER_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Prices compare as if higher were better: an ask's are complemented. Signed, since that is what SSE2 compares. */
static inline int32_t ladder_key(uint8_t side, uint32_t price)
{
    return (int32_t)(price ^ (0x80000000u - side));
}

/* As ladder_behind, for levels farther away than LADDER_NEAR. */
uint32_t ladder_far(const struct ladder *ladder, uint8_t side, uint32_t price);

#ifdef __SSE2__
static inline __m128i ladder_prices(const struct tw_level *level)
{
    const __m128i *at = (const __m128i *)level;
    __m128i first = _mm_unpacklo_epi32(_mm_load_si128(at), _mm_load_si128(at - 1));
    __m128i last = _mm_unpacklo_epi32(_mm_load_si128(at - 2), _mm_load_si128(at - 3));
    return _mm_unpacklo_epi64(first, last);
}
#endif

/* A bit for each of the LADDER_NEAR levels behind the best that is better than `price`. Reads behind the last level: the pool has
 * room for that before its first block, and what it reads there must not count. */
static inline uint32_t ladder_better_mask(const struct tw_level *best, uint8_t side, uint32_t price)
{
#ifdef __SSE2__
    const __m128i flip = _mm_set1_epi32((int32_t)(0x80000000u - side)), key = _mm_set1_epi32(ladder_key(side, price));
    __m128i near = _mm_cmpgt_epi32(_mm_xor_si128(ladder_prices(best - 1), flip), key);
    __m128i next = _mm_cmpgt_epi32(_mm_xor_si128(ladder_prices(best - 5), flip), key);
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(near)) | (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(next)) << 4;
#else
    uint32_t better = 0;
    for (uint32_t i = 0; i < LADDER_NEAR; i++)
        better |= (uint32_t)(ladder_key(side, best[-1 - (int32_t)i].price) > ladder_key(side, price)) << i;
    return better;
#endif
}

/* How many levels are better than `price`, which is worse than the best: at least 1. If there is a level at that price, it is
 * best[-n]. Counted without a branch, since where it will be cannot be predicted. */
static inline uint32_t ladder_behind(const struct ladder *ladder, uint8_t side, uint32_t price)
{
    uint32_t last = ladder->count - 1; /* levels behind the best */
    uint32_t stop = ~ladder_better_mask(ladder->best, side, price) & 0xFF;
    uint32_t n = 1 + (uint32_t)__builtin_ctz(stop | 1u << (last < 31 ? last : 31));
    return LIKELY(n <= LADDER_NEAR + 1) ? n : ladder_far(ladder, side, price);
}

/* Room for a level with `n` better ones; false when the pool has none. The level's contents are the caller's. */
bool ladder_insert(struct ladder *ladder, struct pool *pool, uint32_t n);
/* Take the level with `n` better ones out. */
void ladder_remove(struct ladder *ladder, struct pool *pool, uint32_t n);

#endif

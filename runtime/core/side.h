/* SPDX-License-Identifier: Apache-2.0
 *
 * One side of one book. Most of what happens, happens at the few prices around the best, so there a level is found by its price
 * alone: SIDE_NEAR levels lie in an array, one a cent, and one bit of a word says for each whether there are orders at it. No
 * search, nothing to move when a level comes or goes, and the best is the lowest bit: an order changes a level without a branch,
 * whether it is new or not, at the top or not, first or last of its level. All prices that are worse are in a sorted array, the far levels
 * (far.h).
 *
 * Ranks. Prices become ranks, of which the lower is the better on both sides: whole cents for asks, their complement for bids. The
 * near levels are those of the ranks first to first + SIDE_NEAR - 1. A rank's place in the array is its remainder by SIDE_NEAR, so
 * that no level moves when `first` does. These hold:
 *   - a far level's rank is behind the near ones;
 *   - a side with levels has near ones, so the best level is near;
 *   - a near level without orders has no shares, and its bit is 0.
 * When prices walk off at either end, the near levels are placed anew around the best (side.c).
 *
 * A price that is not of whole cents has no rank. A side that sees one (stocks below a dollar, mostly) has all of its levels far
 * from then on until the end of the session: `width` is 0, and no rank is near. */
#ifndef TICKWIRE_SIDE_H
#define TICKWIRE_SIDE_H

#include "pool.h"
#include "wire.h"

#define SIDE_NEAR 64u
#define SIDE_AHEAD 16u      /* ranks before the best when the near levels are placed, for better prices to come */
#define SIDE_CENT 100u
#define SIDE_LAST (UINT32_MAX / SIDE_CENT) /* the last rank: an ask's is its cents, a bid's SIDE_LAST - cents */
#define SIDE_UNUSED UINT32_MAX             /* `first` of a side that never had a level */
#define SIDE_NO_BLOCK 0xFF

struct side {
    uint64_t near;      /* a bit for each near level with orders: rank - first */
    uint32_t first;     /* the best of the near ranks, whether it has orders or not */
    int32_t far_best;   /* the best far level, in the pool; the nth behind it is n before. Of no meaning while far_count is 0 */
    uint32_t far_count;
    uint8_t far_class;  /* far capacity is POOL_UNIT << far_class; SIDE_NO_BLOCK: never had a far level */
    uint8_t width;      /* SIDE_NEAR; or 0: all levels are far */
} __attribute__((aligned(32)));

/* Cents of a price; above SIDE_LAST when it has a fraction of a cent. Multiplies by the inverse of 25 modulo 2^32 and turns by two
 * bits, which is an exact division by 100 (Warren, Hacker's Delight, 10-17). */
static inline uint32_t side_cents(uint32_t price)
{
    uint32_t fourfold = price * 0xC28F5C29u;
    return fourfold >> 2 | fourfold << 30;
}

/* `which` is 0 for bids, 1 for asks. */
static inline uint32_t side_rank(uint32_t which, uint32_t price)
{
    uint32_t turned = which - 1;
    return (side_cents(price) ^ turned) + (turned & (SIDE_LAST + 1));
}

static inline bool side_is_near(const struct side *side, uint32_t rank)
{
    return rank - side->first < side->width;
}

/* Shares and orders onto a near level or, negative, off it. Returns whether the best level
 * was touched. Far levels may have to come nearer when the last near one has gone: see side_starved. */
static inline bool side_change(struct side *side, struct tw_level *level, uint32_t rank, uint32_t price, int64_t shares,
                               int32_t orders)
{
    uint32_t left = level->orders + (uint32_t)orders;
    level->price = price;
    level->orders = left;
    level->shares += (uint64_t)shares;
    uint64_t bit = UINT64_C(1) << (rank - side->first);
    uint64_t near = (side->near | bit) ^ (left == 0 ? bit : 0);
    side->near = near;
    return (near & (bit - 1)) == 0;
}

static inline bool side_starved(const struct side *side)
{
    return side->near == 0 && side->far_count > 0 && side->width != 0;
}

/* Bring far levels near, the best ones: for a side that is starved. */
void side_feed(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which);

/* A price whose rank is not near is going to be added. Afterwards its rank is near, or its place is among the far levels. False
 * when the pool has no room; nothing has changed then. */
bool side_admit(struct side *side, struct tw_level *levels, struct pool *pool, uint32_t which, uint32_t price);

/* The place of the best near level; any place when there is none. */
static inline uint32_t side_best_place(const struct side *side)
{
    return (side->first + (uint32_t)__builtin_ctzll(side->near | UINT64_C(1) << 63)) % SIDE_NEAR;
}

static inline const struct tw_level *side_best(const struct side *side, const struct tw_level *levels, const struct pool *pool)
{
    if (LIKELY(side->near != 0))
        return &levels[side_best_place(side)];
    return side->far_count > 0 ? &pool->levels[side->far_best] : &pool->none;
}

/* How many levels there are. Bits are counted in parts of a word: the instruction for it is not on every x86-64, and without it
 * the compiler calls a function. */
static inline uint32_t side_count(const struct side *side)
{
    uint64_t n = side->near;
    n -= n >> 1 & 0x5555555555555555u;
    n = (n & 0x3333333333333333u) + (n >> 2 & 0x3333333333333333u);
    n = (n + (n >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)(n * 0x0101010101010101u >> 56) + side->far_count;
}

/* The level `nth` from the best, or NULL past the last. */
const struct tw_level *side_level(const struct side *side, const struct tw_level *levels, const struct pool *pool, uint32_t nth);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "pool.h"

#define LEVELS 3000 /* 375 units: not a power of two */
#define HELD 200

static struct pool pool;

static uint32_t free_units(void)
{
    uint32_t units = 0;
    for (uint32_t unit = 0; unit < pool.units; unit++)
        if (pool.free_class[unit] != 0)
            units += 1u << (pool.free_class[unit] - 1);
    return units;
}

static void blocks_never_overlap_and_join_again(void)
{
    struct {
        uint32_t unit;
        uint8_t class, taken;
    } held[HELD] = {0};
    uint64_t seed = 11;
    uint8_t owner[LEVELS / POOL_UNIT] = {0};
    unsigned refused = 0;
    for (int step = 0; step < 200000; step++) {
        unsigned i = (unsigned)(chance(&seed) % HELD);
        uint32_t size = 1u << held[i].class;
        if (held[i].taken) {
            for (uint32_t u = 0; u < size; u++)
                CHECK(owner[held[i].unit + u] == i + 1);
            memset(owner + held[i].unit, 0, size);
            pool_give(&pool, held[i].class, held[i].unit);
            held[i].taken = 0;
            continue;
        }
        held[i].class = (uint8_t)(chance(&seed) % 6);
        size = 1u << held[i].class;
        if (!pool_take(&pool, held[i].class, &held[i].unit)) {
            refused++;
            continue;
        }
        CHECK(held[i].unit % size == 0 && held[i].unit + size <= pool.units);
        for (uint32_t u = 0; u < size; u++)
            CHECK(owner[held[i].unit + u] == 0);
        memset(owner + held[i].unit, (int)i + 1, size);
        memset(pool_levels(&pool, held[i].unit), 0xFF, size * POOL_UNIT * sizeof(struct tw_level));
        held[i].taken = 1;
    }
    CHECK(refused > 0);
    for (unsigned i = 0; i < HELD; i++)
        if (held[i].taken)
            pool_give(&pool, held[i].class, held[i].unit);
    CHECK(free_units() == pool.units);
    uint32_t unit;
    CHECK(pool_take(&pool, 8, &unit) && unit == 0); /* 256 units in one block again */
    CHECK(!pool_take(&pool, 8, &unit));
    CHECK(!pool_take(&pool, POOL_CLASSES, &unit));
}

int main(void)
{
    struct arena arena;
    CHECK(arena_open(&arena, pool_footprint(LEVELS)) && pool_init(&pool, &arena, LEVELS));
    CHECK(arena.used == pool_footprint(LEVELS));
    for (int i = 0; i < 2; i++) {
        pool_clear(&pool);
        CHECK(free_units() == 375);
        blocks_never_overlap_and_join_again();
    }
    arena_close(&arena);
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's counter as time, as properties over counters of any width and rate, drift, windows and pauses between moments: durations
 * go across the wrap, times run forward and are off by 5 half windows at most, and a clock that was set is followed. */
#include "check.h"
#include "ticks.h"

#define WORLDS 400
#define MOMENTS 40

/* A host and a device whose clocks run apart by `ppm`; both readings come from one true time. */
struct world {
    uint64_t mask, khz, start_ticks, start_ns, true_ns;
    double ppm;
    uint64_t half_ns; /* of the widest window there is */
    uint64_t seed;
};

static uint64_t counter(const struct world *world, uint64_t true_ns)
{
    return (world->start_ticks + (uint64_t)((double)true_ns * (double)world->khz / 1e6 * (1 + world->ppm * 1e-6))) & world->mask;
}

/* The device is read anywhere within the window. */
static struct ticks_moment moment_of(struct world *world)
{
    uint64_t window = chance(&world->seed) % (2 * world->half_ns + 1);
    uint64_t at = window > 0 ? chance(&world->seed) % (window + 1) : 0;
    struct ticks_moment moment = {counter(world, world->true_ns + at), world->start_ns + world->true_ns + window / 2, window};
    world->true_ns += window;
    return moment;
}

static struct world any_world(uint64_t seed)
{
    struct world world = {.seed = seed};
    world.khz = 100000 + chance(&world.seed) % 1400000;
    do
        world.mask = UINT64_MAX >> (chance(&world.seed) % 32);
    while (ticks_refuse(world.mask, world.khz) != NULL);
    world.start_ticks = (world.mask - chance(&world.seed) % (10 * world.khz * 1000)) & world.mask; /* wraps within 10 s */
    world.start_ns = 1700000000 * NS_PER_S + chance(&world.seed) % NS_PER_S;
    world.ppm = (double)(chance(&world.seed) % 201) - 100;
    world.half_ns = chance(&world.seed) % (TICKS_WINDOW_NS / 2);
    return world;
}

/* What a double loses of a count of nanoseconds between refreshes, and the whole ticks of a slow counter. */
static uint64_t grain_ns(const struct world *world)
{
    return 4 + 4 * 1000000 / world->khz;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Times of stamps on the way to the next moment: forward, and near the truth. */
static void walk(struct world *world, const struct ticks_line *line, uint64_t length_ns, uint64_t bound_ns, uint64_t *latest)
{
    for (int step = 0; step < 20; step++) {
        uint64_t true_ns = world->true_ns + length_ns / 20 * (uint64_t)step;
        uint64_t wall_ns = ticks_wall_ns(line, counter(world, true_ns));
        CHECK(wall_ns >= *latest);
        CHECK(apart(wall_ns, world->start_ns + true_ns) <= bound_ns);
        *latest = wall_ns;
    }
    world->true_ns += length_ns;
}

static void test_times_are_near_and_run_forward(void)
{
    for (uint64_t n = 1; n <= WORLDS; n++) {
        struct world world = any_world(n * 7919);
        struct ticks_clock clock;
        uint64_t latest = 0;
        struct ticks_moment first = moment_of(&world);
        ticks_begin(&clock, world.mask, world.khz, &first);
        struct ticks_line line = clock.line;
        /* The nominal rate alone: off by the drift as well. */
        walk(&world, &line, NS_PER_S, world.half_ns + 110 * NS_PER_US + grain_ns(&world), &latest);
        latest = 0;
        for (int i = 0; i < MOMENTS; i++) {
            struct ticks_moment moment = moment_of(&world);
            ticks_refresh(&clock, &moment);
            CHECK(ticks_take(&clock, &line));
            uint64_t pause = NS_PER_S + chance(&world.seed) % (i % 2 == 0 ? NS_PER_S - 3 * TICKS_WINDOW_NS : NS_PER_S / 10);
            walk(&world, &line, pause, 5 * world.half_ns + grain_ns(&world), &latest);
        }
    }
}

static void test_durations_go_across_the_wrap(void)
{
    uint64_t seed = 17;
    for (int n = 0; n < 100000; n++) {
        struct world world = any_world(chance(&seed));
        struct ticks_line line = {.mask = world.mask, .khz = world.khz};
        uint64_t from = chance(&seed) & world.mask, ticks = chance(&seed) % (4 * world.khz * 1000);
        if (n % 2 == 0)
            from = (world.mask - chance(&seed) % (ticks + 1)) & world.mask;
        uint64_t to = (from + ticks) & world.mask;
        CHECK(ticks_between(world.mask, from, to) == (int64_t)ticks && ticks_between(world.mask, to, from) == -(int64_t)ticks);
        uint64_t exact = (uint64_t)((long double)ticks * 1e6L / (long double)world.khz);
        CHECK(apart((uint64_t)ticks_span_ns(&line, from, to), exact) <= 1);
        CHECK(ticks_span_ns(&line, to, from) == -ticks_span_ns(&line, from, to));
    }
}

static void test_a_wide_window_says_nothing(void)
{
    struct world world = any_world(5);
    struct ticks_clock clock;
    struct ticks_moment first = moment_of(&world);
    ticks_begin(&clock, world.mask, world.khz, &first);
    struct ticks_line before = clock.line;
    world.true_ns += NS_PER_S;
    struct ticks_moment wide = {counter(&world, world.true_ns), 1, TICKS_WINDOW_NS + 1};
    ticks_refresh(&clock, &wide);
    CHECK(memcmp(&before, &clock.line, sizeof before) == 0);
}

/* The host's clock is set, far or near, in either direction: the line begins anew at the next moment, and is as good as before two later. */
static void test_a_clock_that_was_set(void)
{
    for (uint64_t n = 1; n <= WORLDS; n++) {
        struct world world = any_world(n * 104729);
        struct ticks_clock clock;
        struct ticks_moment moment = moment_of(&world);
        ticks_begin(&clock, world.mask, world.khz, &moment);
        int64_t step = (int64_t)(2 * NS_PER_MS + chance(&world.seed) % (100 * NS_PER_S));
        for (int i = 0; i < 8; i++) {
            world.true_ns += NS_PER_S;
            if (i == 4)
                world.start_ns += (uint64_t)(n % 2 == 0 ? step : -step);
            moment = moment_of(&world);
            ticks_refresh(&clock, &moment);
            if (i >= 4) /* at the moment itself at once */
                CHECK(apart(ticks_wall_ns(&clock.line, moment.ticks), moment.wall_ns) <= 5 * world.half_ns + grain_ns(&world));
        }
        uint64_t latest = 0;
        walk(&world, &clock.line, NS_PER_S, 5 * world.half_ns + grain_ns(&world), &latest);
    }
}

static void test_counters_of_no_use(void)
{
    CHECK(strcmp(ticks_refuse(0, 156250), "it has none") == 0 && strcmp(ticks_refuse(UINT64_MAX, 0), "it has none") == 0);
    CHECK(strcmp(ticks_refuse(0xFF0F, 1), "the mask of its clock has holes") == 0);
    CHECK(strcmp(ticks_refuse(0x1FFFF, 1000000), "its clock wraps within 8 seconds") == 0);
    CHECK(ticks_refuse(UINT64_MAX, 156250) == NULL && ticks_refuse(0xFFFFFFFFFFFF, 427000) == NULL);
}

/* What is being written is not taken. */
static void test_half_a_line(void)
{
    struct ticks_clock clock;
    struct ticks_line line = {.wall_ns = 7};
    ticks_begin(&clock, UINT64_MAX, 1000000, &(struct ticks_moment){1, 2, 3});
    atomic_fetch_add(&clock.lock, 1);
    CHECK(!ticks_take(&clock, &line) && line.wall_ns == 7);
    atomic_fetch_add(&clock.lock, 1);
    CHECK(ticks_take(&clock, &line) && line.wall_ns == 2 && line.ticks == 1 && line.ns_per_tick == 1);
}

int main(void)
{
    test_times_are_near_and_run_forward();
    test_durations_go_across_the_wrap();
    test_a_wide_window_says_nothing();
    test_a_clock_that_was_set();
    test_counters_of_no_use();
    test_half_a_line();
    return DONE();
}

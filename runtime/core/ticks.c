/* SPDX-License-Identifier: Apache-2.0 */
#include "ticks.h"

#include <string.h>

static double nominal(uint64_t khz)
{
    return 1e6 / (double)khz;
}

const char *ticks_refuse(uint64_t mask, uint64_t khz)
{
    if (mask == 0 || khz == 0)
        return "it has none";
    if ((mask & (mask + 1)) != 0)
        return "the mask of its clock has holes";
    if ((double)mask * nominal(khz) < (double)TICKS_LEAST_WRAP_NS)
        return "its clock wraps within 8 seconds";
    return NULL;
}

static void publish(struct ticks_clock *clock)
{
    uint64_t lock = atomic_load_explicit(&clock->lock, memory_order_relaxed), rate;
    memcpy(&rate, &clock->line.ns_per_tick, sizeof rate);
    atomic_store_explicit(&clock->lock, lock + 1, memory_order_relaxed);
    atomic_store_explicit(&clock->ticks, clock->line.ticks, memory_order_release);
    atomic_store_explicit(&clock->wall_ns, clock->line.wall_ns, memory_order_release);
    atomic_store_explicit(&clock->rate, rate, memory_order_release);
    atomic_store_explicit(&clock->lock, lock + 2, memory_order_release);
}

void ticks_begin(struct ticks_clock *clock, uint64_t mask, uint64_t khz, const struct ticks_moment *first)
{
    clock->line = (struct ticks_line){mask, khz, first->ticks, first->wall_ns, nominal(khz)};
    clock->last = *first;
    clock->steady = false;
    atomic_store(&clock->lock, 0);
    publish(clock);
}

void ticks_refresh(struct ticks_clock *clock, const struct ticks_moment *moment)
{
    struct ticks_line *line = &clock->line;
    int64_t ticks = ticks_between(line->mask, clock->last.ticks, moment->ticks);
    if (moment->window_ns > TICKS_WINDOW_NS)
        return;
    double rate = (double)(int64_t)(moment->wall_ns - clock->last.wall_ns) / (double)(ticks != 0 ? ticks : 1);
    double off = rate / nominal(line->khz) - 1;
    bool possible = ticks > 0 && off <= TICKS_PPM * 1e-6 && off >= -TICKS_PPM * 1e-6;
    uint64_t expected = ticks_wall_ns(line, moment->ticks);
    int64_t late_ns = (int64_t)(moment->wall_ns - expected);
    line->ns_per_tick = possible ? rate : nominal(line->khz);
    if (possible && clock->steady) {
        line->wall_ns = expected;
        line->ns_per_tick += (double)late_ns / ((double)TICKS_SPREAD_NS / nominal(line->khz));
    } else {
        line->wall_ns = moment->wall_ns;
    }
    line->ticks = moment->ticks;
    clock->last = *moment;
    clock->steady = possible;
    publish(clock);
}

bool ticks_take(struct ticks_clock *clock, struct ticks_line *line)
{
    uint64_t before = atomic_load_explicit(&clock->lock, memory_order_acquire);
    uint64_t ticks = atomic_load_explicit(&clock->ticks, memory_order_acquire);
    uint64_t wall_ns = atomic_load_explicit(&clock->wall_ns, memory_order_acquire);
    uint64_t rate = atomic_load_explicit(&clock->rate, memory_order_acquire);
    if (before % 2 != 0 || before != atomic_load_explicit(&clock->lock, memory_order_relaxed))
        return false;
    line->ticks = ticks;
    line->wall_ns = wall_ns;
    memcpy(&line->ns_per_tick, &rate, sizeof rate);
    return true;
}

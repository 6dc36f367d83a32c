/* SPDX-License-Identifier: Apache-2.0
 *
 * The tick counter of a device as time. A stamp is a number of ticks, of which the device tells the width (a mask) and the nominal
 * rate (kHz). Two things are made of stamps:
 *
 *   a duration    the difference of two of them, taken by the mask and so across the counter's wrap, by the nominal rate. Nothing of
 *                 the host's clock is in it, so that no refresh of the conversion can change it.
 *   a time        CLOCK_REALTIME, by a line laid through moments at which both clocks were read: the device's between two reads of the
 *                 host's, of which the time in the middle counts, uncertain by half of what lies between them (the window).
 *
 * Once a second a new moment is added, by a thread that has time. The measured rate between the last two carries the line on, so what
 * the two clocks drift apart is corrected; and what the line is off at the new moment is taken away over the two seconds that follow, so
 * the line has no step in it and times of one device never run backwards. With clocks of constant rates, and moments no further
 * apart than two seconds, a time is wrong by 5 half windows at most: the old error and a fifth of it in each half window of the new
 * moment and of the rate balance then (test_ticks.c has it as a property). In the first second there is only the nominal rate, and
 * the second moment ends it with a step.
 *
 * Where the two clocks do not fit together (the host's was set, the machine was asleep) the line begins anew at the moment that showed
 * it, and times may run backwards there, as the host's do.
 *
 * A wide window (the thread was put off between the reads) says little: such a moment is passed over.
 *
 * One thread refreshes and one takes, without a lock: the words of the line are written between two increments of `lock`, and who finds
 * it odd or changed goes on with the line it has. */
#ifndef TICKWIRE_TICKS_H
#define TICKWIRE_TICKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define TICKS_REFRESH_NS NS_PER_S
#define TICKS_SPREAD_NS (2 * NS_PER_S) /* over which an error is taken away */
#define TICKS_WINDOW_NS (100 * NS_PER_US)
#define TICKS_PPM 600 /* NTP slews by 500 at most, and a crystal is off by less than 100; further off, and a clock was set */
#define TICKS_LEAST_WRAP_NS (8 * NS_PER_S) /* a stamp is at most some seconds from the last moment; half of this has to be more */

/* Both clocks at once. */
struct ticks_moment {
    uint64_t ticks;
    uint64_t wall_ns; /* CLOCK_REALTIME, in the middle of the window */
    uint64_t window_ns;
};

/* The line. */
struct ticks_line {
    uint64_t mask, khz;
    uint64_t ticks, wall_ns; /* a point of it */
    double ns_per_tick;
};

struct ticks_clock {
    _Atomic uint64_t lock, ticks, wall_ns, rate; /* the line as others see it; the rate's bits */
    struct ticks_line line;   /* the refresher's own */
    struct ticks_moment last;
    bool steady;              /* the rate between the last two moments was a possible one */
    uint64_t due_ns;          /* of the next moment, by the monotonic clock */
};

/* Why a counter of this kind is no use, for people; NULL: it is. */
const char *ticks_refuse(uint64_t mask, uint64_t khz);

/* Begin with one moment; no other thread has the clock yet. */
void ticks_begin(struct ticks_clock *clock, uint64_t mask, uint64_t khz, const struct ticks_moment *first);

/* The refresher's: one more moment. */
void ticks_refresh(struct ticks_clock *clock, const struct ticks_moment *moment);

/* The taker's: the newest line, or `line` as it was when that is being written. False: it is the old one. */
bool ticks_take(struct ticks_clock *clock, struct ticks_line *line);

/* From one stamp to another, the nearer way round the counter. */
static inline int64_t ticks_between(uint64_t mask, uint64_t from, uint64_t to)
{
    int unused = __builtin_clzll(mask);
    return (int64_t)(((to - from) & mask) << unused) >> unused;
}

static inline int64_t ticks_span_ns(const struct ticks_line *line, uint64_t from, uint64_t to)
{
    return (int64_t)((double)ticks_between(line->mask, from, to) * 1e6 / (double)line->khz);
}

static inline uint64_t ticks_wall_ns(const struct ticks_line *line, uint64_t ticks)
{
    return line->wall_ns + (uint64_t)(int64_t)((double)ticks_between(line->mask, line->ticks, ticks) * line->ns_per_tick);
}

#endif

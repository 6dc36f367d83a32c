/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TICKWIRE_CLOCK_H
#define TICKWIRE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

/* Nanoseconds of the monotonic clock: for time-outs and pacing. Stamps are not of this clock. */
static inline uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Nanoseconds since the epoch: the stamp of a transport that goes past the kernel, which then has none to give. */
static inline uint64_t clock_wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* One turn of a spin loop: lets the sibling hardware thread run. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Sleep until the monotonic clock reads `due_ns`, then spin for the last part, at most CLOCK_SPIN_NS: a sleeping thread wakes
 * late by some tens of microseconds, a spinning one takes the CPU from others. */
#define CLOCK_SPIN_NS (60 * NS_PER_US)
void clock_sleep_until(uint64_t due_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

void clock_sleep_until(uint64_t due_ns)
{
    if (due_ns > clock_now() + CLOCK_SPIN_NS) {
        uint64_t wake = due_ns - CLOCK_SPIN_NS;
        struct timespec at = {.tv_sec = (time_t)(wake / NS_PER_S), .tv_nsec = (long)(wake % NS_PER_S)};
        /* A signal ends the sleep early; the spin below would then be long, so sleep on. */
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
            ;
    }
    while (clock_now() < due_ns)
        cpu_relax();
}

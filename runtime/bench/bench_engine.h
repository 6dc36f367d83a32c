/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benchmark programs that run an engine share. */
#ifndef TICKWIRE_BENCH_ENGINE_H
#define TICKWIRE_BENCH_ENGINE_H

#include "engine.h"

/* Every check is made and none refuses the orders of a benchmark. */
static inline struct risk_limits bench_limits(void)
{
    return (struct risk_limits){.max_notional = UINT64_MAX,
                                .max_size = 1000,
                                .collar_bps = 10000,
                                .max_position = 1u << 30,
                                .max_open_orders = 1000,
                                .max_orders_per_s = 1u << 30};
}

#endif

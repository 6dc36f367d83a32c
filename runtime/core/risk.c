/* SPDX-License-Identifier: Apache-2.0 */
#include "risk.h"

struct risk {
    struct risk_limits limits;
};

size_t risk_footprint(uint32_t max_instruments)
{
    (void)max_instruments;
    return arena_footprint(sizeof(struct risk));
}

struct risk *risk_init(struct arena *arena, const struct risk_limits *limits, uint32_t max_instruments)
{
    (void)max_instruments;
    struct risk *risk = arena_take(arena, sizeof *risk);
    if (risk != NULL)
        risk->limits = *limits;
    return risk;
}

void risk_sent(struct risk *risk, const struct tw_order *order, uint64_t time_ns)
{
    (void)risk, (void)order, (void)time_ns;
}

enum risk_verdict risk_check(const struct risk *risk, const struct tw_order *order, const struct risk_view *view)
{
    const struct risk_limits *limits = &risk->limits;
    const struct book_top *top = &view->top;
    if (UNLIKELY(order->shares == 0 || order->shares > limits->max_size))
        return RISK_size;
    if (UNLIKELY(top->bid == 0 || top->ask == 0))
        return RISK_collar;
    uint64_t twice_mid = (uint64_t)top->bid + top->ask;
    uint64_t twice_price = 2 * (uint64_t)order->price;
    uint64_t away = twice_price > twice_mid ? twice_price - twice_mid : twice_mid - twice_price;
    return UNLIKELY(away * 10000 > twice_mid * limits->collar_bps) ? RISK_collar : RISK_PASSED;
}

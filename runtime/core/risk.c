/* SPDX-License-Identifier: Apache-2.0 */
#include "risk.h"

enum risk_verdict risk_check(const struct risk_limits *limits, const struct tw_order *order, const struct book_top *top)
{
    if (UNLIKELY(order->shares == 0 || order->shares > limits->max_size))
        return RISK_SIZE;
    if (UNLIKELY(top->bid == 0 || top->ask == 0))
        return RISK_COLLAR;
    uint64_t twice_mid = (uint64_t)top->bid + top->ask;
    uint64_t twice_price = 2 * (uint64_t)order->price;
    uint64_t away = twice_price > twice_mid ? twice_price - twice_mid : twice_mid - twice_price;
    return UNLIKELY(away * 10000 > twice_mid * limits->collar_bps) ? RISK_COLLAR : RISK_PASSED;
}

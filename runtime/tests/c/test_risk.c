/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "risk.h"

static enum risk_verdict verdict(uint32_t price, uint32_t shares, uint32_t bid, uint32_t ask, struct risk_limits limits)
{
    struct tw_order order = {.price = price, .shares = shares, .side = 'B'};
    struct book_top top = {.bid = bid, .ask = ask, .bid_shares = 1, .ask_shares = 1};
    struct risk_view view = {.top = top, .trading_state = 'T'};
    struct arena arena;
    CHECK(arena_open(&arena, risk_footprint(4)));
    enum risk_verdict result = risk_check(risk_init(&arena, &limits, 4), &order, &view);
    arena_close(&arena);
    return result;
}

int main(void)
{
    const struct risk_limits limits = {.max_size = 1000, .collar_bps = 500};
    CHECK(verdict(10000, 1000, 9990, 10010, limits) == RISK_PASSED);
    CHECK(verdict(10000, 1001, 9990, 10010, limits) == RISK_size);
    CHECK(verdict(10000, UINT32_MAX, 9990, 10010, limits) == RISK_size);
    CHECK(verdict(10000, 0, 9990, 10010, limits) == RISK_size);
    CHECK(verdict(10500, 1, 9990, 10010, limits) == RISK_PASSED);
    CHECK(verdict(10501, 1, 9990, 10010, limits) == RISK_collar);
    CHECK(verdict(9500, 1, 9990, 10010, limits) == RISK_PASSED);
    CHECK(verdict(9499, 1, 9990, 10010, limits) == RISK_collar);
    CHECK(verdict(10000, 1, 0, 10010, limits) == RISK_collar);
    CHECK(verdict(10000, 1, 9990, 0, limits) == RISK_collar);
    /* the mid of odd sums is a half, not rounded: mid 3, 2/3 of a price away from it is 6667 bps */
    CHECK(verdict(5, 1, 3, 3, (struct risk_limits){.max_size = 1, .collar_bps = 6667}) == RISK_PASSED);
    CHECK(verdict(5, 1, 3, 3, (struct risk_limits){.max_size = 1, .collar_bps = 6666}) == RISK_collar);
    const struct risk_limits widest = {.max_size = UINT32_MAX, .collar_bps = 1000000};
    CHECK(verdict(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, widest) == RISK_PASSED);
    CHECK(verdict(0, 1, UINT32_MAX, UINT32_MAX, (struct risk_limits){.max_size = 1, .collar_bps = 9999}) == RISK_collar);
    return DONE();
}

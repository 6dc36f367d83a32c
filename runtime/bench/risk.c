/* SPDX-License-Identifier: Apache-2.0
 *
 * What the risk checks cost an order that passes all of them, in ns: the check, and the check with risk_sent after it.
 *   gcc -std=c11 -D_GNU_SOURCE -O2 -Icore bench/risk.c core/risk.c core/arena.c -o build/bench-risk && build/bench-risk
 * Best of many rounds, on the core it happens to run on; the orders go over 64 instruments, both sides and many prices. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "risk.h"

#define ORDERS 128u
#define ROUNDS 50000u

static struct tw_order orders[ORDERS];
static struct risk_view views[ORDERS];

static double best_of(struct risk *risk, bool sent)
{
    uint64_t best = UINT64_MAX;
    unsigned passed = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        risk_tick(risk, round * 1000000000ULL); /* the bucket is full again */
        uint64_t start = clock_now();
        for (unsigned i = 0; i < ORDERS; i++) {
            views[i].time_ns = (uint64_t)round * 1000000000ULL + i * 1000ULL;
            passed += risk_check(risk, &orders[i], &views[i]) == RISK_PASSED;
            if (sent)
                risk_sent(risk, &orders[i], views[i].time_ns);
        }
        uint64_t took = clock_now() - start;
        best = took < best ? took : best;
    }
    if (passed != ROUNDS * ORDERS) {
        fprintf(stderr, "bench: %u of %u orders passed\n", passed, ROUNDS * ORDERS);
        exit(1);
    }
    return (double)best / ORDERS;
}

int main(void)
{
    struct risk_limits limits = {10000000000, 1000, 500, 100000, 1000, 1u << 30, 0};
    struct arena arena;
    if (!arena_open(&arena, risk_footprint(16384)))
        return 1;
    struct risk *risk = risk_init(&arena, &limits, 16384);
    for (unsigned i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "T%-7u", i % 1000);
        risk_name(risk, (uint16_t)i, (const uint8_t *)name);
    }
    risk_set_restricted(risk, (const uint8_t(*)[8])"OTHER   ANOTHER ", 2);
    for (unsigned i = 0; i < ORDERS; i++) {
        uint32_t bid = 1000000 + 100 * (i % 97);
        orders[i] = (struct tw_order){.price = bid + i, .shares = 1 + i % 1000, .action = TW_ENTER};
        orders[i].locate = (uint16_t)(i % 64);
        orders[i].side = i % 3 ? 'B' : 'S';
        views[i] = (struct risk_view){.top = {.bid = bid, .ask = bid + 200}, .position = (int64_t)i * 30 - 2000};
        views[i].open_orders = i % 100;
        views[i].lower_band = bid / 2;
        views[i].upper_band = 2 * bid;
        views[i].trading_state = 'T';
    }
    printf("check                          %5.2f ns\n", best_of(risk, false));
    printf("check and sent                 %5.2f ns\n", best_of(risk, true));
    limits.duplicate_ms = 1;
    risk_set_limits(risk, &limits);
    printf("check and sent, duplicates on  %5.2f ns\n", best_of(risk, true));
    arena_close(&arena);
    return 0;
}

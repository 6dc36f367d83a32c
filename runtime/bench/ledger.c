/* SPDX-License-Identifier: Apache-2.0
 *
 * What journal and ledger cost on the path from packet to order: ns per call, the median of rounds of 1,000 calls.
 *   cc -std=c11 -D_GNU_SOURCE -O2 -Icore bench/ledger.c core/ledger*.c core/journal*.c core/arena.c -o build/bench-ledger
 *   build/bench-ledger JOURNAL-FILE */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "ledger.h"

#define ROUNDS 400
#define CALLS 1000

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *rounds)
{
    qsort(rounds, ROUNDS, sizeof *rounds, by_value);
    printf("%-16s median %6.1f ns, 99%% of rounds below %6.1f ns\n", what, rounds[ROUNDS / 2], rounds[ROUNDS * 99 / 100]);
}

int main(int count, char **arguments)
{
    struct ledger_settings settings = {.max_open_orders = 1024, .max_instruments = 1024, .max_tags = 1024};
    struct journal journal;
    struct arena arena;
    struct ledger ledger;
    struct failure failure;
    static double appends[ROUNDS], enters[ROUNDS], replaces[ROUNDS], cancels[ROUNDS], answers[ROUNDS];
    if (count != 2 || !journal_open(&journal, arguments[1], "bench", 6ull * ROUNDS * CALLS + 100000, &failure) ||
        !arena_open(&arena, ledger_footprint(&settings)) || !ledger_init(&ledger, &arena, &settings, &journal)) {
        fprintf(stderr, "%s\n", count != 2 ? "usage: bench-ledger JOURNAL-FILE" : failure.text);
        return 1;
    }
    ledger_bind(&ledger, 1, (const uint8_t *)"AAPL    ");
    uint64_t sequence = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct tw_order order = {.locate = 1, .side = 'B', .shares = 100, .price = 10000};
        struct tw_update update;
        uint32_t original, quantity;
        for (unsigned page = 0; page < 6 * CALLS / 64 / JOURNAL_AHEAD + 1; page++)
            journal_ahead(&journal);
        uint64_t began = clock_now();
        for (unsigned i = 0; i < CALLS; i++)
            journal_append(&journal, &(struct journal_record){.kind = JOURNAL_UNSENT, .reference = i});
        uint64_t appended = clock_now();
        journal_ahead(&journal);
        uint64_t from = clock_now();
        for (order.tag = 0; order.tag < CALLS; order.tag++)
            ledger_enter(&ledger, &order);
        uint64_t entered = clock_now();
        journal_ahead(&journal);
        uint64_t replacing = clock_now();
        for (order.tag = 0; order.tag < CALLS; order.tag++)
            ledger_replace(&ledger, &order, &original, &quantity);
        uint64_t replaced = clock_now();
        journal_ahead(&journal);
        uint64_t canceling = clock_now();
        for (order.tag = 0; order.tag < CALLS; order.tag++)
            ledger_cancel(&ledger, &order);
        uint64_t canceled = clock_now();
        journal_ahead(&journal);
        uint64_t answering = clock_now();
        for (unsigned i = 0; i < CALLS; i++) {
            struct ledger_answer answer = {
                .kind = TW_EXECUTED, .reference = ledger.last_reference - 2 * CALLS + 1 + i, .shares = 100, .price = 10000};
            ledger_answer(&ledger, ++sequence, &answer, &update);
        }
        uint64_t answered = clock_now();
        appends[round] = (double)(appended - began) / CALLS;
        enters[round] = (double)(entered - from) / CALLS;
        replaces[round] = (double)(replaced - replacing) / CALLS;
        cancels[round] = (double)(canceled - canceling) / CALLS;
        answers[round] = (double)(answered - answering) / CALLS;
        if (ledger.open_orders != 0 || ledger.unknown != 0)
            return 2;
    }
    print("journal_append", appends);
    print("ledger_enter", enters);
    print("ledger_replace", replaces);
    print("ledger_cancel", cancels);
    print("ledger_answer", answers);
    journal_close(&journal);
    return 0;
}

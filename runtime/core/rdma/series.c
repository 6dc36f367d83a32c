/* SPDX-License-Identifier: Apache-2.0 */
#include "series.h"

#include <string.h>

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct series_bin both(const struct series_bin *a, const struct series_bin *b)
{
    struct series_bin sum = {
        .packets = a->packets + b->packets,
        .retransmissions = a->retransmissions + b->retransmissions,
        .acks = a->acks + b->acks,
        .naks = a->naks + b->naks,
        .not_ready = a->not_ready + b->not_ready,
        .cnps = a->cnps + b->cnps,
        .marks = a->marks + b->marks,
        .pauses = a->pauses + b->pauses,
        .low = a->packets == 0 ? b->low : b->packets == 0 ? a->low : lower(a->low, b->low),
        .high = higher(a->high, b->high),
        .acknowledged = higher(a->acknowledged, b->acknowledged),
        .samples = a->samples + b->samples,
        .sum_ns = a->sum_ns + b->sum_ns,
        .min_ns = a->samples == 0 ? b->min_ns : b->samples == 0 ? a->min_ns : lower(a->min_ns, b->min_ns),
        .max_ns = higher(a->max_ns, b->max_ns),
    };
    return sum;
}

void series_fold(struct series *series)
{
    for (uint32_t i = 0; i < SERIES_BINS / 2; i++)
        series->bins[i] = both(&series->bins[2 * i], &series->bins[2 * i + 1]);
    memset(&series->bins[SERIES_BINS / 2], 0, sizeof series->bins / 2);
    series->shift++;
}

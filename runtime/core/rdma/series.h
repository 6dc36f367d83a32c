/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened over time, for a drawing, in fixed memory: a number of bins that begin a microsecond wide, and when the time they
 * cover is over, every two become one of twice the width. So the picture has 128 to 256 bins however long the capture is, and the
 * count of everything is exact. A packet from before the first one (clocks of several interfaces) falls into the first bin. */
#ifndef TICKWIRE_RDMA_SERIES_H
#define TICKWIRE_RDMA_SERIES_H

#include <stdint.h>

#define SERIES_BINS 256
#define SERIES_FIRST_SHIFT 10 /* 1,024 ns */

struct series_bin {
    uint32_t packets, retransmissions, acks, naks, not_ready, cnps, marks, pauses;
    uint64_t low, high;    /* sequence of what was sent; when there are packets */
    uint64_t acknowledged; /* highest sequence; when there are acks */
    uint64_t samples, sum_ns, min_ns, max_ns; /* of the round trips that ended here */
};

struct series {
    uint64_t start_ns;
    uint32_t shift; /* a bin is 2^shift ns; 0: nothing was put in */
    struct series_bin bins[SERIES_BINS];
};

void series_fold(struct series *series);

/* Where the bin of a time is now, for a prefetch only. */
static inline const struct series_bin *series_look(const struct series *series, uint64_t time_ns)
{
    return &series->bins[(time_ns - series->start_ns) >> (series->shift & 63) & (SERIES_BINS - 1)];
}

/* The bin of a time. */
static inline struct series_bin *series_at(struct series *series, uint64_t time_ns)
{
    if (series->shift == 0) {
        series->shift = SERIES_FIRST_SHIFT;
        series->start_ns = time_ns;
    }
    uint64_t after = time_ns > series->start_ns ? time_ns - series->start_ns : 0;
    while (after >> series->shift >= SERIES_BINS)
        series_fold(series);
    return &series->bins[after >> series->shift];
}

#endif

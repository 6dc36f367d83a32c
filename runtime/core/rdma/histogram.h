/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram of nanoseconds in fixed memory: exact below 128 ns, and above that 128 buckets for every doubling, so a percentile is at
 * most 0.8 % above the sample it stands for (the scheme of HdrHistogram). Minimum, maximum and mean are exact. All zero is empty. */
#ifndef TICKWIRE_RDMA_HISTOGRAM_H
#define TICKWIRE_RDMA_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_TOP 42 /* 2^42 ns, 73 minutes: whatever is longer counts as that, the maximum stays exact */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
    uint64_t count, min, max, sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value < 1u << HISTOGRAM_BITS)
        return (uint32_t)value;
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    if (exponent >= HISTOGRAM_TOP)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t doubling = exponent - HISTOGRAM_BITS;
    return (doubling << HISTOGRAM_BITS) + (uint32_t)(value >> doubling);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count++ == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->sum += value;
    histogram->buckets[histogram_bucket(value)]++;
}

/* The highest value of a bucket. */
uint64_t histogram_edge(uint32_t bucket);

/* Nearest rank, sample number ceil(share * count / 1000) of the sorted samples; 0 without samples. */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_mille);

#endif

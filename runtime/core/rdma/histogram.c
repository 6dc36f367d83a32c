/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

uint64_t histogram_edge(uint32_t bucket)
{
    if (bucket < 1u << HISTOGRAM_BITS)
        return bucket;
    uint32_t doubling = (bucket >> HISTOGRAM_BITS) - 1;
    uint64_t low = (uint64_t)(bucket - (doubling << HISTOGRAM_BITS)) << doubling;
    return low + (1ull << doubling) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_mille)
{
    uint64_t whole = histogram->count / 1000, rest = histogram->count % 1000;
    uint64_t rank = whole * per_mille + (rest * per_mille + 999) / 1000, seen = 0;
    if (rank == 0)
        rank = 1;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank) {
            uint64_t edge = histogram_edge(bucket);
            return edge > histogram->max || bucket == HISTOGRAM_BUCKETS - 1 ? histogram->max : edge;
        }
    }
    return 0;
}

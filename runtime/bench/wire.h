/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs that measure over a wire (floor, probe, reflect) share: a CPU of their own, addresses and bytes as arguments, and
 * the figures that they print. Percentiles are by nearest rank, as those of the runtime (tickwire/bench/stats.py). */
#ifndef TICKWIRE_BENCH_WIRE_H
#define TICKWIRE_BENCH_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The program's name, `what` and `why` in one line. */
__attribute__((noreturn)) static inline void wire_stop(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

static inline void wire_pin(const char *cpu)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(atoi(cpu), &here);
    if (sched_setaffinity(0, sizeof here, &here) != 0)
        wire_stop("CPU", strerror(errno));
}

static inline struct sockaddr_in wire_address(const char *host, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
        wire_stop(host, "is not an IPv4 address");
    return at;
}

/* The bytes of `text`, which is the argument `name`; how many they are. */
static inline size_t wire_bytes(const char *name, const char *text, uint8_t *out, size_t capacity)
{
    size_t length = strlen(text) / 2;
    if (length > capacity)
        wire_stop(name, "is too long");
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            wire_stop(name, "must be hex");
        out[i] = (uint8_t)byte;
    }
    return length;
}

static inline int wire_ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static inline void wire_sort(uint64_t *samples, uint32_t count)
{
    qsort(samples, count, sizeof samples[0], wire_ascending);
}

/* Of samples that are sorted, at least one. */
static inline uint64_t wire_percentile(const uint64_t *samples, uint32_t count, uint32_t percent)
{
    return samples[((uint64_t)count * percent + 99) / 100 - 1];
}

/* The figures of samples that are sorted, at least one, as members of a JSON object. */
static inline void wire_print(const uint64_t *samples, uint32_t count)
{
    printf("\"samples\": %u, \"min_ns\": %llu, \"p10_ns\": %llu, \"median_ns\": %llu, \"p99_ns\": %llu, \"max_ns\": %llu", count,
           (unsigned long long)samples[0], (unsigned long long)wire_percentile(samples, count, 10),
           (unsigned long long)wire_percentile(samples, count, 50), (unsigned long long)wire_percentile(samples, count, 99),
           (unsigned long long)samples[count - 1]);
}

#endif

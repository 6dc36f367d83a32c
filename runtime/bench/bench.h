/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benchmark programs share: an ITCH file in memory, a clock, arguments NAME=NUMBER, and one line of JSON at the end.
 *
 * A length-framed ITCH file is already what stands in MoldUDP64 packets behind their headers, so packets are runs of it and cost
 * the programs nothing to make. Each prints ns_per_message by the clock on the wall, and cpu_ns_per_message without the time others
 * had the core. Programs are built with the flags of the extension, see the Makefile. */
#ifndef TICKWIRE_BENCH_H
#define TICKWIRE_BENCH_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "arena.h"
#include "itch.h"

#define BENCH_LOOK_AHEAD 4096 /* zeroed bytes behind the file, for prefetches and loads of whole words */

struct bench_file {
    struct arena arena;
    const uint8_t *bytes;
    size_t size;
    uint64_t messages; /* counted from the frames */
};

static inline uint64_t bench_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t bench_now(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

/* Without the time others had the core. */
static inline uint64_t bench_cpu(void)
{
    return bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

/* The number behind `name`= among the arguments, or `otherwise`. */
static inline uint64_t bench_number(int count, char **arguments, const char *name, uint64_t otherwise)
{
    size_t length = strlen(name);
    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], name, length) != 0 || arguments[i][length] != '=')
            continue;
        char *end;
        const char *text = arguments[i] + length + 1;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
            bench_fail("%s must be a number, %s is none", name, text);
        return value;
    }
    return otherwise;
}

/* The whole file in memory of its own, on hugepages where there are any: what is measured is not the page cache. */
static inline struct bench_file bench_load(const char *path)
{
    struct bench_file file = {0};
    struct stat status;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || fstat(fileno(stream), &status) != 0)
        bench_fail("%s: %s", path, strerror(errno));
    file.size = (size_t)status.st_size;
    uint8_t *bytes = arena_open(&file.arena, file.size + BENCH_LOOK_AHEAD) ? arena_take(&file.arena, file.size) : NULL;
    if (bytes == NULL || fread(bytes, 1, file.size, stream) != file.size)
        bench_fail("%s: %zu bytes cannot be read: %s", path, file.size, strerror(errno));
    fclose(stream);
    file.bytes = bytes;
    for (size_t at = 0; at < file.size; file.messages++) {
        uint16_t length = file.size - at >= 2 ? get16(bytes + at) : 0;
        if (length == 0 || file.size - at - 2 < length)
            bench_fail("%s: no message at offset %zu: the file must be length-framed ITCH 5.0, not compressed", path, at);
        at += 2 + length;
    }
    if (file.messages == 0)
        bench_fail("%s: holds no message", path);
    return file;
}

#endif

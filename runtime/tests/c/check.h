/* SPDX-License-Identifier: Apache-2.0
 *
 * A test program: main calls tests, CHECK ends it at the first thing that is wrong, DONE prints how many things were right. */
#ifndef TICKWIRE_CHECK_H
#define TICKWIRE_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long checks;

#define CHECK(condition)                                                         \
    do {                                                                         \
        checks++;                                                                \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

#define DONE() (printf("ok %lu checks\n", checks), 0)

/* A small generator of its own, so that a failure repeats everywhere (xorshift64*). */
static inline uint64_t chance(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

/* Memory of exactly `length` bytes, so that the sanitizer sees one byte too many. */
static inline uint8_t *exactly(const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

#endif

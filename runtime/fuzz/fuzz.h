/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets share. A target is a function of bytes that ends the process when something is not so; libFuzzer tries bytes
 * (https://llvm.org/docs/LibFuzzer.html). Memory a target hands to the code under test is exactly as long as it says, so that the
 * address sanitizer sees one byte too many. */
#ifndef TICKWIRE_FUZZ_H
#define TICKWIRE_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MUST(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

static inline uint8_t *exactly(const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    MUST(copy != NULL);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

/* Input read from the front; what is not there is zero. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t take8(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static inline uint16_t take16(struct input *input)
{
    uint8_t high = take8(input);
    return (uint16_t)(high << 8 | take8(input));
}

/* The next `length` bytes, or as many as are left. */
static inline const uint8_t *take(struct input *input, size_t *length)
{
    const uint8_t *at = input->at;
    if (*length > input->left)
        *length = input->left;
    input->at += *length;
    input->left -= *length;
    return at;
}

#endif

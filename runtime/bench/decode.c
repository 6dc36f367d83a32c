/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding alone: decode FILE [passes=N]
 *
 * Every field of every message is loaded, turned to the machine's byte order and added into a checksum, so that the compiler can
 * leave none out; each message's length is checked against its type, unknown types are counted. In memory, no book. */
#include "bench.h"

static inline uint64_t load(const uint8_t *p, unsigned length)
{
    switch (length) {
    case 1:
        return *p;
    case 2:
        return get16(p);
    case 4:
        return get32(p);
    case 6:
        return get48(p);
    default:
        return get64(p);
    }
}

struct result {
    uint64_t checksum, unknown, malformed;
};

static struct result decode(const uint8_t *at, const uint8_t *end)
{
    struct result result = {0};
    uint64_t sum = 0;
    while (at < end) {
        uint16_t length = get16(at);
        const uint8_t *m = at + 2;
        __builtin_prefetch(at + 1024);
        at = m + length;
        switch (m[0]) {
#define LOAD(T, field, kind, offset, bytes) sum += load(m + offset, bytes);
#define DECODE(T, character, bytes, title) \
    case character:                        \
        if (UNLIKELY(length != bytes))     \
            goto malformed;                \
        ITCH_FIELDS_##T(LOAD)              \
        break;
            ITCH_MESSAGES(DECODE)
        default:
            result.unknown++;
            break;
        malformed:
            result.malformed++;
        }
    }
    result.checksum = sum;
    return result;
}

int main(int count, char **arguments)
{
    if (count < 2)
        bench_fail("usage: decode FILE [passes=N]");
    struct bench_file file = bench_load(arguments[1]);
    uint64_t passes = bench_number(count, arguments, "passes", 1);
    struct result result = {0};
    uint64_t best = UINT64_MAX;
    for (uint64_t i = 0; i < passes; i++) {
        uint64_t begin = bench_now();
        result = decode(file.bytes, file.bytes + file.size);
        uint64_t took = bench_now() - begin;
        best = took < best ? took : best;
    }
    printf("{\"name\": \"decode\", \"messages\": %llu, \"ns_per_message\": %.3f, \"checksum\": \"%016llx\", \"unknown\": %llu, "
           "\"malformed\": %llu}\n",
           (unsigned long long)file.messages, (double)best / (double)file.messages, (unsigned long long)result.checksum,
           (unsigned long long)result.unknown, (unsigned long long)result.malformed);
    arena_close(&file.arena);
    return 0;
}

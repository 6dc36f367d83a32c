/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding alone: decode FILE [passes=N]
 *
 * Every field of every message is loaded, turned to the machine's byte order and added into a checksum, so that the compiler can
 * leave none out; each message's length is checked against its type, unknown types are counted. In memory, no book. With several
 * passes the best one is told. */
#include "bench.h"

/* Adds and deletes are nearly nine of ten messages and as good as at random: a branch between the two is mispredicted every other
 * time, which costs more than decoding either. A delete is the beginning of an add, so both take one way, on which what a delete
 * has not is read from zeros. Among types a length is known for no other has these low bits. */
#define COMMON (UINT64_C(1) << ('A' & 63) | UINT64_C(1) << ('D' & 63))

static const uint8_t zeros[ITCH_MESSAGE_MAX];

struct result {
    uint64_t checksum, unknown, malformed;
};

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

#define LOAD(T, field, kind, offset, length) sum += load(m + offset, length);

static inline uint64_t decode_common(const uint8_t *m)
{
    uint64_t sum = 0, deletes = m[0] == 'D';
    __asm__("" : "+r"(deletes)); /* else compilers make two ways of it */
    ITCH_FIELDS_D(LOAD)
    m = (const uint8_t *)((uintptr_t)zeros ^ (((uintptr_t)zeros ^ (uintptr_t)m) & (deletes - 1)));
    return sum + m[ITCH_A_side] + get32(m + ITCH_A_shares) + get64(m + ITCH_A_stock) + get32(m + ITCH_A_price);
}

static inline uint64_t decode_message(const uint8_t *m)
{
    uint64_t sum = 0;
    switch (m[0]) {
#define DECODE(T, character, length, title) \
    case character:                         \
        ITCH_FIELDS_##T(LOAD)               \
        break;
        ITCH_MESSAGES(DECODE)
    }
    return sum;
}

static struct result decode(const uint8_t *at, const uint8_t *end)
{
    struct result result = {0};
    while (at < end) {
        uint16_t length = get16(at);
        const uint8_t *m = at + 2;
        uint8_t expected = itch_lengths[m[0]];
        __builtin_prefetch(at + 1024); /* a packet comes from a network card into the cache, a file does not */
        at = m + length;
        if (UNLIKELY(expected != length)) {
            result.unknown += expected == 0;
            result.malformed += expected != 0;
        } else if (LIKELY(COMMON >> (m[0] & 63) & 1)) {
            result.checksum += decode_common(m);
        } else {
            result.checksum += decode_message(m);
        }
    }
    return result;
}

int main(int count, char **arguments)
{
    if (count < 2)
        bench_fail("usage: decode FILE [passes=N]");
    uint64_t passes = bench_number(count, arguments, "passes", 1);
    struct bench_file file = bench_load(arguments[1]);
    struct result result = {0};
    uint64_t best = UINT64_MAX, best_cpu = UINT64_MAX;
    for (uint64_t i = 0; i < passes || i == 0; i++) {
        uint64_t begin = bench_now(), begin_cpu = bench_cpu();
        result = decode(file.bytes, file.bytes + file.size);
        uint64_t cpu = bench_cpu() - begin_cpu, took = bench_now() - begin;
        best = took < best ? took : best;
        best_cpu = cpu < best_cpu ? cpu : best_cpu;
    }
    printf("{\"name\": \"decode\", \"messages\": %llu, \"ns_per_message\": %.2f, \"cpu_ns_per_message\": %.2f, "
           "\"checksum\": \"%016llx\", \"unknown\": %llu, \"malformed\": %llu}\n",
           (unsigned long long)file.messages, (double)best / (double)file.messages, (double)best_cpu / (double)file.messages,
           (unsigned long long)result.checksum, (unsigned long long)result.unknown, (unsigned long long)result.malformed);
    arena_close(&file.arena);
    return 0;
}

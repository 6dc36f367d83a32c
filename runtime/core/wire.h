/* SPDX-License-Identifier: Apache-2.0
 *
 * What every protocol here shares: big-endian loads and stores, and tables of fields.
 *
 * A protocol is written down once, as an X-macro list of (type, name, kind, offset, length). From it come the enum of offsets the
 * hot path uses and the table the codecs, the tests and Python walk, so they cannot disagree. */
#ifndef TICKWIRE_WIRE_H
#define TICKWIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Ask for a cache line, to be written soon. The empty statement is for GCC (12 at least), which takes a function that only
 * prefetches for one that does nothing, and drops the call. */
static inline void prefetch(const void *line)
{
    __builtin_prefetch(line, 1);
    __asm__ volatile("");
}

enum wire_kind {
    WIRE_CHAR,   /* one character */
    WIRE_ALPHA,  /* Latin-1 text, left-justified, blank-padded */
    WIRE_U8,
    WIRE_U16,
    WIRE_U32,
    WIRE_U48,
    WIRE_U64,
    WIRE_PRICE4, /* u32 (ITCH) or u64 (OUCH 5.0), 1/10000 dollar */
    WIRE_PRICE8, /* u64, 1/100000000 dollar */
    WIRE_I32,    /* signed price offset, 1/10000 dollar */
};

struct wire_field {
    const char *name;
    uint8_t kind;
    uint8_t offset;
    uint8_t length;
};

enum wire_tail {
    WIRE_TAIL_NONE,     /* the message ends with its last field */
    WIRE_TAIL_OPTIONAL, /* a u16 appendage length and the appendage may follow */
    WIRE_TAIL_REQUIRED, /* a u16 appendage length follows, then that many bytes */
};

struct wire_message {
    char type;
    uint8_t tail;
    uint8_t field_count;
    uint16_t length; /* with the type byte, without appendage length and appendage */
    const char *title;
    const struct wire_field *fields; /* without the type byte itself, in wire order */
};

const char *wire_kind_name(enum wire_kind kind);
/* The table's entry for `type`, or NULL. */
const struct wire_message *wire_find(const struct wire_message *table, size_t count, char type);

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline uint64_t get48(const uint8_t *p)
{
    return (uint64_t)get16(p) << 32 | get32(p + 2);
}

static inline void put16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof v);
}

static inline void put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void put64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

static inline void put48(uint8_t *p, uint64_t v)
{
    put16(p, (uint16_t)(v >> 32));
    put32(p + 2, (uint32_t)v);
}

/* Integer of 1, 2, 4, 6 or 8 bytes; for tables, not for the hot path. */
uint64_t wire_get(const uint8_t *p, unsigned length);
void wire_put(uint8_t *p, unsigned length, uint64_t value);

/* Text of `length` bytes, blank-padded on the right; what does not fit is cut, so callers check lengths first. */
void wire_put_alpha(uint8_t *p, unsigned length, const char *text);

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for little-endian machines"
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

const char *wire_kind_name(enum wire_kind kind)
{
    static const char *const names[] = {"char", "alpha", "u8", "u16", "u32", "u48", "u64", "price4", "price8", "i32"};
    return names[kind];
}

const struct wire_message *wire_find(const struct wire_message *table, size_t count, char type)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].type == type)
            return &table[i];
    return NULL;
}

uint64_t wire_get(const uint8_t *p, unsigned length)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < length; i++)
        value = value << 8 | p[i];
    return value;
}

void wire_put(uint8_t *p, unsigned length, uint64_t value)
{
    for (unsigned i = length; i-- > 0; value >>= 8)
        p[i] = (uint8_t)value;
}

void wire_put_alpha(uint8_t *p, unsigned length, const char *text)
{
    unsigned i = 0;
    for (; i < length && text[i] != '\0'; i++)
        p[i] = (uint8_t)text[i];
    memset(p + i, ' ', length - i);
}

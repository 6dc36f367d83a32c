/* SPDX-License-Identifier: Apache-2.0 */
#include "ouch42.h"

#define FIELD(T, field, kind, offset, length) {#field, WIRE_##kind, offset, length},
#define FIELDS(T, character, length, tail, title) static const struct wire_field fields_##T[] = {OUCH42_FIELDS_##T(FIELD)};
OUCH42_INBOUND(FIELDS)
OUCH42_OUTBOUND(FIELDS)

#define MESSAGE(T, character, length, tail, title) \
    {character, WIRE_TAIL_##tail, sizeof fields_##T / sizeof fields_##T[0], length, title, fields_##T},
const struct wire_message ouch42_inbound[OUCH42_INBOUND_COUNT] = {OUCH42_INBOUND(MESSAGE)};
const struct wire_message ouch42_outbound[OUCH42_OUTBOUND_COUNT] = {OUCH42_OUTBOUND(MESSAGE)};

void ouch42_put_token(uint8_t token[OUCH42_TOKEN], uint32_t reference)
{
    wire_put_alpha(token, OUCH42_TOKEN, "TW");
    ouch42_patch_token(token, reference);
}

uint32_t ouch42_reference(const uint8_t token[OUCH42_TOKEN])
{
    uint32_t reference = 0;
    for (unsigned i = 2; i < 10; i++) {
        uint8_t c = token[i];
        if (c >= '0' && c <= '9')
            reference = reference << 4 | (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            reference = reference << 4 | (uint32_t)(c - 'A' + 10);
        else
            return 0;
    }
    return memcmp(token, "TW", 2) == 0 && memcmp(token + 10, "    ", 4) == 0 ? reference : 0;
}

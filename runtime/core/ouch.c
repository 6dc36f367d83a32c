/* SPDX-License-Identifier: Apache-2.0 */
#include "ouch.h"

/* One entry more than there are fields: Account Query has none, and C has no empty arrays. */
#define FIELD(T, field, kind, offset, length) {#field, WIRE_##kind, offset, length},
#define FIELDS(T, character, length, tail, title) \
    static const struct wire_field fields_##T[] = {OUCH_FIELDS_##T(FIELD){NULL, 0, 0, 0}};
OUCH_INBOUND(FIELDS)
OUCH_OUTBOUND(FIELDS)

#define MESSAGE(T, character, length, tail, title) \
    {character, WIRE_TAIL_##tail, sizeof fields_##T / sizeof fields_##T[0] - 1, length, title, fields_##T},
const struct wire_message ouch_inbound[OUCH_INBOUND_COUNT] = {OUCH_INBOUND(MESSAGE)};
const struct wire_message ouch_outbound[OUCH_OUTBOUND_COUNT] = {OUCH_OUTBOUND(MESSAGE)};

#define TAG(name, tag, kind, length) {tag, {#name, WIRE_##kind, 0, length}},
const struct ouch_tag ouch_tags[OUCH_TAG_COUNT] = {OUCH_TAGS(TAG)};

int32_t ouch_element(const uint8_t *appendage, uint32_t available, uint8_t *tag, const uint8_t **value, uint32_t *length)
{
    if (available == 0)
        return 0;
    uint32_t rest = appendage[0]; /* counts the tag and the value */
    if (rest == 0 || rest > available - 1)
        return -1;
    *tag = appendage[1];
    *value = appendage + 2;
    *length = rest - 1;
    return (int32_t)(1 + rest);
}

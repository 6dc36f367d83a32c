/* SPDX-License-Identifier: Apache-2.0 */
#include "itch.h"

#define FIELD(T, field, kind, offset, length) {#field, WIRE_##kind, offset, length},
#define FIELDS(T, character, length, title) static const struct wire_field fields_##T[] = {ITCH_FIELDS_##T(FIELD)};
ITCH_MESSAGES(FIELDS)

#define MESSAGE(T, character, length, title) \
    {character, WIRE_TAIL_NONE, sizeof fields_##T / sizeof fields_##T[0], length, title, fields_##T},
const struct wire_message itch_messages[ITCH_MESSAGE_COUNT] = {ITCH_MESSAGES(MESSAGE)};

#define LENGTH(T, character, length, title) [character] = length,
const uint8_t itch_lengths[256] = {ITCH_MESSAGES(LENGTH)};

/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "itch.h"
#include "ouch.h"

static void loads_and_stores_are_big_endian(void)
{
    uint8_t b[9] = {0};
    put16(b + 1, 0x0102);
    CHECK(b[1] == 1 && b[2] == 2 && get16(b + 1) == 0x0102);
    put32(b + 1, 0x01020304);
    CHECK(b[1] == 1 && b[4] == 4 && get32(b + 1) == 0x01020304);
    put48(b + 1, 0x010203040506);
    CHECK(b[1] == 1 && b[6] == 6 && get48(b + 1) == 0x010203040506);
    put64(b + 1, 0x0102030405060708);
    CHECK(b[1] == 1 && b[8] == 8 && get64(b + 1) == 0x0102030405060708);
    CHECK(wire_get(b + 1, 6) == 0x010203040506 && wire_get(b + 1, 1) == 1);
    wire_put(b + 1, 6, 0xFFEEDDCCBBAA);
    CHECK(get48(b + 1) == 0xFFEEDDCCBBAA && b[7] == 7);
}

static void tables_hold_together(const struct wire_message *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned at = 1;
        for (unsigned f = 0; f < table[i].field_count; f++) {
            CHECK(table[i].fields[f].offset == at);
            at += table[i].fields[f].length;
        }
        CHECK(at == table[i].length);
        CHECK(wire_find(table, count, table[i].type) == &table[i]);
    }
    CHECK(wire_find(table, count, '\0') == NULL);
}

static void lengths_by_type_are_those_of_the_table(void)
{
    unsigned known = 0;
    CHECK(strlen(ITCH_TYPES) == ITCH_MESSAGE_COUNT);
    for (unsigned type = 0; type < 256; type++) {
        const struct wire_message *message = wire_find(itch_messages, ITCH_MESSAGE_COUNT, (char)type);
        CHECK(itch_lengths[type] == (message != NULL && type != 0 ? message->length : 0));
        CHECK(itch_lengths[type] <= ITCH_MESSAGE_MAX);
        known += itch_lengths[type] != 0;
    }
    CHECK(known == ITCH_MESSAGE_COUNT);
    for (unsigned i = 0; i < ITCH_MESSAGE_COUNT; i++)
        CHECK(itch_messages[i].type == ITCH_TYPES[i]);
}

int main(void)
{
    loads_and_stores_are_big_endian();
    tables_hold_together(itch_messages, ITCH_MESSAGE_COUNT);
    tables_hold_together(ouch_inbound, OUCH_INBOUND_COUNT);
    tables_hold_together(ouch_outbound, OUCH_OUTBOUND_COUNT);
    tables_hold_together(ouch42_inbound, OUCH42_INBOUND_COUNT);
    tables_hold_together(ouch42_outbound, OUCH42_OUTBOUND_COUNT);
    lengths_by_type_are_those_of_the_table();
    return DONE();
}

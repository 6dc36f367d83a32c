/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "ledger.h"
#include "ouch.h"

static struct ouch_staged staged;

static void check_packet(const uint8_t *packet, uint32_t length, const char *expected, uint32_t expected_length)
{
    CHECK(length == expected_length && memcmp(packet, expected, expected_length) == 0);
    CHECK(get16(packet) == length - 2 && packet[2] == 'U');
}

#define PACKET(packet, length, text) check_packet(packet, length, text, sizeof(text) - 1)

static void requests_of_50(void)
{
    ouch_stage(&staged, OUCH_50, "TICK");
    uint32_t length = ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
    PACKET(staged.enter, length,
           "\0\66UO\xDE\xAD\xBE\xEFS\0\0\1\54ABCD    \0\0\0\0\0\22\326\2073YPNNTWDEADBEEF    \0\6\5\2TICK");
    length = ouch_replace(&staged, 7, 0x1A, 500, 10000, '0');
    PACKET(staged.replace, length, "\0\51UU\0\0\0\7\0\0\0\32\0\0\1\364\0\0\0\0\0\0\47\0200YNTW0000001A    \0\0");
    length = ouch_cancel(&staged, 9);
    PACKET(staged.cancel, length, "\0\14UX\0\0\0\11\0\0\0\0\0\0");
    ouch_stage(&staged, OUCH_50, "");
    CHECK(staged.enter_length == 50 && get16(staged.enter + 48) == 0);
    ouch_stage(&staged, OUCH_50, "AB");
    CHECK(memcmp(staged.enter + 52, "AB  ", 4) == 0);
}

static void requests_of_42(void)
{
    ouch_stage(&staged, OUCH_42, "TICK");
    uint32_t length = ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
    PACKET(staged.enter, length,
           "\0\62UOTWDEADBEEF    S\0\0\1\54ABCD    \0\22\326\207\0\0\0\0TICKYPN\0\0\0\0N ");
    ouch_enter(&staged, 1, 'B', 300, (const uint8_t *)"ABCD    ", 1234567, '0');
    CHECK(get32(staged.enter + 3 + OUCH42_IN_O_time_in_force) == 99998);
    length = ouch_replace(&staged, 7, 0x1A, 500, 10000, '0');
    PACKET(staged.replace, length,
           "\0\60UUTW00000007    TW0000001A    \0\0\1\364\0\0\47\20\0\1\206\236YN\0\0\0\0");
    length = ouch_cancel(&staged, 9);
    PACKET(staged.cancel, length, "\0\24UXTW00000009    \0\0\0\0");
}

static void what_a_request_leaves_behind_does_not_show_in_the_next(void)
{
    for (enum ouch_version version = OUCH_50; version <= OUCH_42; version++) {
        ouch_stage(&staged, version, "TICK");
        ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
        struct ouch_staged once = staged;
        ouch_enter(&staged, 0, 'B', 0, (const uint8_t *)"        ", 0, '0');
        ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
        CHECK(memcmp(&once, &staged, sizeof once) == 0);
        ouch_prepare(&staged, 0xDEADBEF0);
        ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
        CHECK(memcmp(&once, &staged, sizeof once) == 0);
        ouch_stage(&staged, version, "TICK");
        ouch_prepare(&staged, 0xDEADBEEF);
        ouch_enter(&staged, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567, '3');
        CHECK(memcmp(once.enter, staged.enter, sizeof once.enter) == 0);
    }
}

static void tokens_come_back(void)
{
    uint64_t state = 42;
    uint8_t token[OUCH42_TOKEN];
    char text[24];
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t reference = (uint32_t)chance(&state) >> (i % 32);
        ouch42_put_token(token, reference);
        snprintf(text, sizeof text, "TW%08X    ", reference);
        CHECK(memcmp(token, text, sizeof token) == 0);
        CHECK(ouch42_reference(token) == reference);
        uint8_t kept = token[i % OUCH42_TOKEN];
        token[i % OUCH42_TOKEN] = 'x';
        CHECK(ouch42_reference(token) == 0);
        token[i % OUCH42_TOKEN] = kept;
    }
    CHECK(ouch42_reference((const uint8_t *)"TW0000000a    ") == 0);
}

/* Every type at every length: right exactly where the table says so. */
static void answers_are_whole_or_refused(enum ouch_version version, const struct wire_message *table, size_t count)
{
    struct ledger_answer answer;
    for (size_t i = 0; i < count; i++) {
        uint8_t message[128] = {(uint8_t)table[i].type};
        for (uint32_t length = 0; length < sizeof message; length++) {
            if (length >= table[i].length + 2u)
                put16(message + table[i].length, (uint16_t)(length - table[i].length - 2));
            bool expected = length == table[i].length ? table[i].tail != WIRE_TAIL_REQUIRED
                                                      : length >= table[i].length + 2u && table[i].tail != WIRE_TAIL_NONE;
            uint8_t *copy = exactly(message, length);
            CHECK(ouch_answer(version, copy, length, &answer) == expected);
            free(copy);
            memset(message + 1, 0, sizeof message - 1);
        }
    }
}

static void an_appendage_is_walked(void)
{
    static const uint8_t bytes[] = {5, 2, 'T', 'I', 'C', 'K', 2, 28, 7, 1, 99};
    const uint8_t *value;
    uint32_t length;
    uint8_t tag;
    CHECK(ouch_element(bytes, sizeof bytes, &tag, &value, &length) == 6 && tag == OUCH_TAG_firm && length == 4);
    CHECK(memcmp(value, "TICK", 4) == 0);
    CHECK(ouch_element(bytes + 6, 5, &tag, &value, &length) == 3 && tag == 28 && length == 1 && *value == 7);
    CHECK(ouch_element(bytes + 9, 2, &tag, &value, &length) == 2 && tag == 99 && length == 0);
    CHECK(ouch_element(bytes + 11, 0, &tag, &value, &length) == 0);
    CHECK(ouch_element(bytes, 5, &tag, &value, &length) == -1);
    CHECK(ouch_element((const uint8_t *)"\0\1", 2, &tag, &value, &length) == -1);
}

int main(void)
{
    requests_of_50();
    requests_of_42();
    what_a_request_leaves_behind_does_not_show_in_the_next();
    tokens_come_back();
    answers_are_whole_or_refused(OUCH_50, ouch_outbound, OUCH_OUTBOUND_COUNT);
    answers_are_whole_or_refused(OUCH_42, ouch42_outbound, OUCH42_OUTBOUND_COUNT);
    an_appendage_is_walked();
    CHECK(strcmp(ouch_reject_text(OUCH_50, 0x13), "invalid quantity") == 0);
    CHECK(strcmp(ouch_reject_text(OUCH_42, 'X'), "invalid price") == 0);
    CHECK(strcmp(ouch_reject_text(OUCH_50, 0xFFFF), "unknown reason") == 0);
    CHECK(strcmp(ouch_cancel_text('I'), "immediate or cancel") == 0);
    return DONE();
}

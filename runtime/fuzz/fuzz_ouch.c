/* SPDX-License-Identifier: Apache-2.0
 *
 * One message of the exchange, after a byte that says the version: it is understood exactly when its length fits its type, and what
 * it is said to mean is possible. Then the same bytes as an appendage, and as the numbers of requests. */
#include "fuzz.h"
#include "ledger.h"
#include "ouch.h"

static bool fits(const struct wire_message *kind, const uint8_t *message, uint32_t length)
{
    if (length == kind->length)
        return kind->tail != WIRE_TAIL_REQUIRED;
    return kind->tail != WIRE_TAIL_NONE && length >= kind->length + 2u &&
           get16(message + kind->length) == length - kind->length - 2u;
}

static void check_answer(enum ouch_version version, const uint8_t *message, uint32_t length)
{
    const struct wire_message *kind = NULL;
    if (length > 0 && message[0] != 0)
        kind = version == OUCH_42 ? wire_find(ouch42_outbound, OUCH42_OUTBOUND_COUNT, (char)message[0])
                                  : wire_find(ouch_outbound, OUCH_OUTBOUND_COUNT, (char)message[0]);
    struct ledger_answer answer;
    bool understood = ouch_answer(version, message, length, &answer);
    if (kind == NULL || !fits(kind, message, length)) {
        MUST(!understood);
        return;
    }
    if (!understood) { /* whole, so it can only be the price */
        MUST(version == OUCH_50 && strchr("AUET", message[0]) != NULL);
        return;
    }
    MUST(answer.time_ns == get64(message + 1));
    MUST(answer.kind == 0 || strchr("AUECJB", answer.kind) != NULL);
    MUST(answer.kind != 0 || answer.reason == message[0]);
    MUST((answer.original == 0) || answer.kind == TW_REPLACED);
    MUST(answer.match_number == 0 || strchr("EGFB", message[0]) != NULL);
    MUST(strlen(ouch_reject_text(version, answer.reason)) > 0 && strlen(ouch_cancel_text(answer.reason)) > 0);
}

static void walk_appendage(const uint8_t *bytes, uint32_t size)
{
    uint32_t at = 0, length;
    const uint8_t *value;
    uint8_t tag;
    int32_t took;
    while ((took = ouch_element(bytes + at, size - at, &tag, &value, &length)) > 0) {
        MUST(took == (int32_t)length + 2 && value == bytes + at + 2 && bytes[at + 1] == tag);
        at += (uint32_t)took;
        MUST(at <= size);
    }
    MUST(took < 0 || at == size);
}

static void check_request(const uint8_t *packet, uint32_t length, const struct wire_message *kind, uint32_t capacity)
{
    MUST(length <= capacity && get16(packet) == length - 2 && packet[2] == 'U' && packet[3] == kind->type);
    MUST(fits(kind, packet + 3, length - 3));
}

static void make_requests(enum ouch_version version, struct input *input)
{
    struct ouch_staged *staged = malloc(sizeof *staged);
    MUST(staged != NULL);
    const char *firms[] = {"", "T", "TICK"};
    ouch_stage(staged, version, firms[take8(input) % 3]);
    const struct wire_message *table = version == OUCH_42 ? ouch42_inbound : ouch_inbound;
    while (input->left > 0) {
        uint32_t reference = (uint32_t)take16(input) << 16 | take16(input), other = (uint32_t)take16(input) << 16 | take16(input);
        uint8_t symbol[8], time_in_force = take8(input) & 1 ? TW_IOC : TW_DAY;
        memset(symbol, take8(input), sizeof symbol);
        uint32_t enter = ouch_enter(staged, reference, 'B', other, symbol, other, time_in_force);
        check_request(staged->enter, enter, &table[0], sizeof staged->enter);
        uint32_t replace = ouch_replace(staged, other, reference, other, reference, time_in_force);
        check_request(staged->replace, replace, &table[1], sizeof staged->replace);
        check_request(staged->cancel, ouch_cancel(staged, reference), &table[2], sizeof staged->cancel);
        if (version == OUCH_42)
            MUST(ouch42_reference(staged->cancel + 3 + OUCH42_IN_X_order_token) == reference);
    }
    free(staged);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    enum ouch_version version = take8(&input) & 1 ? OUCH_42 : OUCH_50;
    uint32_t length = (uint32_t)(input.left < UINT16_MAX ? input.left : UINT16_MAX);
    uint8_t *message = exactly(input.at, length);
    check_answer(version, message, length);
    walk_appendage(message, length);
    if (version == OUCH_42 && length >= OUCH42_TOKEN) {
        uint8_t token[OUCH42_TOKEN];
        uint32_t reference = ouch42_reference(message);
        ouch42_put_token(token, reference);
        MUST(reference == 0 || memcmp(token, message, OUCH42_TOKEN) == 0);
    }
    free(message);
    make_requests(version, &input);
    return 0;
}

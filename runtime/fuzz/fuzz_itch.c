/* SPDX-License-Identifier: Apache-2.0
 *
 * An ITCH file: every frame lies inside it, one after the other, and a message of right length is all of its fields and nothing
 * else: what they hold, written again, is the message. */
#include "fuzz.h"
#include "itch_frames.h"

static void walk_fields(const uint8_t *message, uint32_t length)
{
    const struct wire_message *kind = wire_find(itch_messages, ITCH_MESSAGE_COUNT, (char)message[0]);
    MUST((kind == NULL) == (itch_lengths[message[0]] == 0));
    if (kind == NULL || kind->length != length)
        return;
    MUST(itch_lengths[message[0]] == length && length <= ITCH_MESSAGE_MAX);
    uint8_t again[ITCH_MESSAGE_MAX] = {message[0]};
    for (unsigned i = 0; i < kind->field_count; i++) {
        const struct wire_field *field = &kind->fields[i];
        MUST(field->offset + field->length <= length);
        if (field->kind == WIRE_CHAR || field->kind == WIRE_ALPHA)
            memcpy(again + field->offset, message + field->offset, field->length);
        else
            wire_put(again + field->offset, field->length, wire_get(message + field->offset, field->length));
    }
    MUST(memcmp(again, message, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *file = exactly(bytes, size);
    struct itch_frames frames;
    uint64_t offset = 0, expected = 2;
    uint32_t length = 0;
    enum itch_frame result;
    itch_frames_start(&frames, file, size);
    while ((result = itch_frames_next(&frames, &offset, &length)) == ITCH_FRAME_MESSAGE) {
        MUST(offset == expected && length >= 1 && offset + length <= size);
        uint8_t *message = exactly(file + offset, length);
        walk_fields(message, length);
        free(message);
        expected = offset + length + 2;
    }
    MUST(frames.at == expected - 2 && frames.at <= size);
    MUST(result != ITCH_FRAME_UNKNOWN || (frames.zero_framing && size - frames.at >= 3));
    MUST(result != ITCH_FRAME_TRUNCATED || length == 0 || frames.at + 2 + length > size);
    free(file);
    return 0;
}

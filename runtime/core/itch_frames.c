/* SPDX-License-Identifier: Apache-2.0 */
#include "itch_frames.h"

void itch_frames_start(struct itch_frames *frames, const uint8_t *bytes, uint64_t size)
{
    *frames = (struct itch_frames){.bytes = bytes, .size = size};
    frames->zero_framing = size >= 3 && get16(bytes) == 0 && itch_lengths[bytes[2]] != 0;
}

enum itch_frame itch_frames_next(struct itch_frames *frames, uint64_t *offset, uint32_t *length)
{
    const uint8_t *at = frames->bytes + frames->at;
    uint64_t left = frames->size - frames->at;
    if (left == 0)
        return ITCH_FRAME_END;
    *offset = frames->at + 2;
    *length = left >= 2 ? get16(at) : 0;
    if (*length == 0 && !frames->zero_framing && left >= 2)
        return ITCH_FRAME_END; /* the end-of-session mark of Nasdaq's binary files */
    if (frames->zero_framing && left >= 3) {
        if (*length != 0 || itch_lengths[at[2]] == 0)
            return ITCH_FRAME_UNKNOWN;
        *length = itch_lengths[at[2]];
    }
    if (*length == 0 || left - 2 < *length)
        return ITCH_FRAME_TRUNCATED;
    frames->at += 2 + *length;
    return ITCH_FRAME_MESSAGE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the messages of an ITCH file begin and end.
 *
 * Nasdaq's files have a two-byte length before each message, and a length of zero ends the file. Some published samples have two
 * zero bytes instead; there the length follows from the type, so an unknown type cannot be stepped over. */
#ifndef TICKWIRE_ITCH_FRAMES_H
#define TICKWIRE_ITCH_FRAMES_H

#include "itch.h"

struct itch_frames {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t at; /* of the next frame, or of the one that is wrong */
    bool zero_framing;
};

enum itch_frame {
    ITCH_FRAME_END,
    ITCH_FRAME_MESSAGE,
    ITCH_FRAME_UNKNOWN,   /* with zero framing: a length that is not zero, or a type that is not known */
    ITCH_FRAME_TRUNCATED, /* `length` is what the frame would need */
};

void itch_frames_start(struct itch_frames *frames, const uint8_t *bytes, uint64_t size);

/* The next message: its offset in the file and its length, 1 to 65,535, all of it inside the file. */
enum itch_frame itch_frames_next(struct itch_frames *frames, uint64_t *offset, uint32_t *length);

#endif

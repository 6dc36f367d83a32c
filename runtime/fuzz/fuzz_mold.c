/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of MoldUDP64 packets, each after its length (2): headers and blocks stay inside their packet, and sessions follow each
 * other by the rules of mold.h. */
#include "fuzz.h"
#include "mold.h"

/* How many messages lie whole in a packet, counted the plain way. */
static uint32_t count_blocks(const uint8_t *packet, uint32_t length, uint32_t promised)
{
    uint64_t at = MOLD_HEADER;
    uint32_t whole = 0;
    while (whole < promised && at + 2 <= length && at + 2 + get16(packet + at) <= length) {
        at += 2u + get16(packet + at);
        whole++;
    }
    return whole;
}

static void judge(struct mold_tracker *tracker, const uint8_t *packet, uint32_t length)
{
    if (length < MOLD_HEADER)
        return;
    struct mold_tracker before = *tracker;
    uint64_t sequence = mold_sequence(packet);
    uint16_t promised = mold_count(packet);
    MUST(mold_whole(packet, length) == count_blocks(packet, length, promised == MOLD_END_OF_SESSION ? 0 : promised));
    enum mold_standing standing = mold_standing(tracker, packet);
    bool present = before.known && memcmp(before.session, packet, MOLD_SESSION) == 0;
    MUST((standing == MOLD_RUNNING) == (present && !before.ended));
    MUST(standing != MOLD_OVER || (present && before.ended));
    MUST(standing != MOLD_BEGINS || !present);
    MUST(standing != MOLD_RESTARTS || (before.ended && sequence == 1));
    if (standing == MOLD_BEGINS || standing == MOLD_RESTARTS) {
        mold_begin(tracker, packet, sequence);
        MUST(tracker->known && !tracker->ended && tracker->next_sequence == sequence);
        MUST(mold_standing(tracker, packet) == MOLD_RUNNING);
        if (before.known && !present)
            MUST(tracker->has_previous && memcmp(tracker->previous, before.session, MOLD_SESSION) == 0);
    } else if (standing == MOLD_RUNNING && promised == MOLD_END_OF_SESSION) {
        tracker->ended = true;
    }
    uint8_t header[MOLD_HEADER];
    mold_header(header, packet, sequence, promised);
    MUST(memcmp(header, packet, MOLD_HEADER) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct mold_tracker tracker;
    memset(&tracker, 0, sizeof tracker);
    while (input.left > 0) {
        size_t length = take16(&input);
        const uint8_t *at = take(&input, &length);
        uint8_t *packet = exactly(at, length);
        judge(&tracker, packet, (uint32_t)length);
        free(packet);
    }
    return 0;
}

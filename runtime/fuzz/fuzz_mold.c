/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of MoldUDP64 packets, each after its length (2): headers and blocks stay inside their packet, and the tracker never goes
 * back within a session. */
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
    struct mold_tracker before = *tracker;
    struct mold_view view;
    enum mold_verdict verdict = mold_accept(tracker, packet, length, &view);
    MUST((verdict == MOLD_MALFORMED) == (length < MOLD_HEADER));
    if (length < MOLD_HEADER)
        return;
    uint16_t promised = mold_count(packet);
    uint32_t whole = count_blocks(packet, length, promised == MOLD_END_OF_SESSION ? 0 : promised);
    if (promised != MOLD_END_OF_SESSION)
        MUST(mold_whole(packet, length) == whole);
    if (verdict != MOLD_ACCEPTED) {
        MUST(memcmp(&before, tracker, sizeof before) == 0);
        return;
    }
    MUST(view.duplicates <= view.count && view.count <= promised);
    MUST(memcmp(tracker->session, packet, MOLD_SESSION) == 0 && tracker->known);
    if (!view.new_session)
        MUST(tracker->next_sequence == before.next_sequence + view.lost);
    if (view.count > view.duplicates)
        MUST(mold_sequence(packet) + view.duplicates == tracker->next_sequence);
    if (whole > view.duplicates)
        tracker->next_sequence += whole - view.duplicates;
    uint8_t header[MOLD_HEADER];
    mold_header(header, packet, mold_sequence(packet), promised);
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

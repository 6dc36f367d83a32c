/* SPDX-License-Identifier: Apache-2.0 */
#include "mold.h"

void mold_begin(struct mold_tracker *tracker, const uint8_t *packet, uint64_t sequence)
{
    if (tracker->known && memcmp(tracker->session, packet, MOLD_SESSION) != 0) {
        memcpy(tracker->previous, tracker->session, MOLD_SESSION);
        tracker->has_previous = true;
    }
    memcpy(tracker->session, packet, MOLD_SESSION);
    tracker->known = true;
    tracker->ended = false;
    tracker->next_sequence = sequence;
}

enum mold_standing mold_standing(const struct mold_tracker *tracker, const uint8_t *packet)
{
    if (!tracker->known)
        return MOLD_BEGINS;
    uint16_t count = mold_count(packet);
    bool data = count != MOLD_HEARTBEAT && count != MOLD_END_OF_SESSION;
    bool restarts = tracker->ended && data && mold_sequence(packet) == 1;
    if (memcmp(tracker->session, packet, MOLD_SESSION) == 0) {
        if (!tracker->ended)
            return MOLD_RUNNING;
        if (restarts)
            return MOLD_RESTARTS;
        return data ? MOLD_FOREIGN : MOLD_OVER;
    }
    if (tracker->has_previous && memcmp(tracker->previous, packet, MOLD_SESSION) == 0)
        return restarts ? MOLD_RESTARTS : MOLD_FOREIGN;
    return MOLD_BEGINS;
}

uint16_t mold_whole(const uint8_t *packet, uint32_t length)
{
    uint16_t count = mold_count(packet), whole = 0;
    if (count == MOLD_END_OF_SESSION)
        return 0;
    for (uint32_t at = MOLD_HEADER; whole < count && length - at >= 2 && length - at - 2 >= get16(packet + at); whole++)
        at += 2u + get16(packet + at);
    return whole;
}

uint32_t mold_header(uint8_t *packet, const uint8_t session[MOLD_SESSION], uint64_t sequence, uint16_t count)
{
    memcpy(packet, session, MOLD_SESSION);
    put64(packet + MOLD_SESSION, sequence);
    put16(packet + MOLD_SESSION + 8, count);
    return MOLD_HEADER;
}

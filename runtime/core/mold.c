/* SPDX-License-Identifier: Apache-2.0 */
#include "mold.h"

static void begin_session(struct mold_tracker *tracker, const uint8_t *session, uint64_t sequence)
{
    if (tracker->known && memcmp(tracker->session, session, MOLD_SESSION) != 0) {
        memcpy(tracker->previous, tracker->session, MOLD_SESSION);
        tracker->has_previous = true;
    }
    memcpy(tracker->session, session, MOLD_SESSION);
    tracker->known = true;
    tracker->ended = false;
    tracker->next_sequence = sequence;
}

/* Does a packet of this session, sequence and count begin a new session? */
static bool begins_session(const struct mold_tracker *tracker, const uint8_t *session, uint64_t sequence, uint16_t count)
{
    if (!tracker->known)
        return true;
    bool restarted = tracker->ended && sequence == 1 && count != MOLD_HEARTBEAT && count != MOLD_END_OF_SESSION;
    if (memcmp(tracker->session, session, MOLD_SESSION) == 0)
        return restarted;
    if (tracker->has_previous && memcmp(tracker->previous, session, MOLD_SESSION) == 0)
        return restarted;
    return true;
}

enum mold_verdict mold_accept(struct mold_tracker *tracker, const uint8_t *packet, uint32_t length, struct mold_view *view)
{
    memset(view, 0, sizeof *view);
    if (UNLIKELY(length < MOLD_HEADER))
        return MOLD_MALFORMED;
    uint64_t sequence = get64(packet + MOLD_SESSION);
    uint16_t count = get16(packet + MOLD_SESSION + 8);
    bool same = tracker->known && memcmp(tracker->session, packet, MOLD_SESSION) == 0;
    if (UNLIKELY(!same || tracker->ended)) {
        if (begins_session(tracker, packet, sequence, count)) {
            begin_session(tracker, packet, sequence);
            view->new_session = true;
        } else if (!same) {
            return MOLD_OUT_OF_SESSION;
        } else if (count != MOLD_HEARTBEAT && count != MOLD_END_OF_SESSION) {
            return MOLD_OUT_OF_SESSION; /* data after the end */
        } else {
            return MOLD_ACCEPTED; /* the end, said again */
        }
    }
    if (UNLIKELY(sequence > tracker->next_sequence)) {
        view->lost = sequence - tracker->next_sequence;
        tracker->next_sequence = sequence;
    }
    if (UNLIKELY(count == MOLD_END_OF_SESSION)) {
        view->ends_session = true;
        tracker->ended = true;
        return MOLD_ACCEPTED;
    }
    view->count = count;
    uint64_t seen = tracker->next_sequence - sequence;
    view->duplicates = seen < count ? (uint16_t)seen : count;
    return MOLD_ACCEPTED;
}

uint32_t mold_header(uint8_t *packet, const uint8_t session[MOLD_SESSION], uint64_t sequence, uint16_t count)
{
    memcpy(packet, session, MOLD_SESSION);
    put64(packet + MOLD_SESSION, sequence);
    put16(packet + MOLD_SESSION + 8, count);
    return MOLD_HEADER;
}

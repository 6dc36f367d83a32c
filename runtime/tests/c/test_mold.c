/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "mold.h"

static enum mold_verdict give(struct mold_tracker *tracker, const char *session, uint64_t sequence, uint16_t count,
                              struct mold_view *view)
{
    uint8_t packet[MOLD_HEADER];
    mold_header(packet, (const uint8_t *)session, sequence, count);
    uint8_t *exact = exactly(packet, sizeof packet);
    enum mold_verdict verdict = mold_accept(tracker, exact, MOLD_HEADER, view);
    free(exact);
    if (verdict == MOLD_ACCEPTED)
        tracker->next_sequence += (uint64_t)(view->count - view->duplicates);
    return verdict;
}

#define A "SESSION A "
#define B "SESSION B "

static void sequence(void)
{
    struct mold_tracker t = {0};
    struct mold_view v;
    CHECK(give(&t, A, 5, 3, &v) == MOLD_ACCEPTED && v.new_session && v.count == 3 && v.lost == 0 && v.duplicates == 0);
    CHECK(give(&t, A, 8, 1, &v) == MOLD_ACCEPTED && !v.new_session && t.next_sequence == 9);
    CHECK(give(&t, A, 7, 4, &v) == MOLD_ACCEPTED && v.duplicates == 2 && t.next_sequence == 11);
    CHECK(give(&t, A, 1, 2, &v) == MOLD_ACCEPTED && v.duplicates == 2 && t.next_sequence == 11);
    CHECK(give(&t, A, 20, 1, &v) == MOLD_ACCEPTED && v.lost == 9 && t.next_sequence == 21);
    CHECK(give(&t, A, 21, MOLD_HEARTBEAT, &v) == MOLD_ACCEPTED && v.lost == 0 && v.count == 0);
    CHECK(give(&t, A, 25, MOLD_HEARTBEAT, &v) == MOLD_ACCEPTED && v.lost == 4 && t.next_sequence == 25);
    CHECK(give(&t, A, UINT64_MAX, 9, &v) == MOLD_ACCEPTED && v.lost == UINT64_MAX - 25);
}

static void sessions(void)
{
    struct mold_tracker t = {0};
    struct mold_view v;
    give(&t, A, 1, 1, &v);
    CHECK(give(&t, B, 1, 1, &v) == MOLD_ACCEPTED && v.new_session);
    CHECK(give(&t, A, 2, 1, &v) == MOLD_OUT_OF_SESSION && t.next_sequence == 2);
    CHECK(give(&t, A, 1, 1, &v) == MOLD_OUT_OF_SESSION);
    CHECK(give(&t, B, 3, MOLD_END_OF_SESSION, &v) == MOLD_ACCEPTED && v.ends_session && v.lost == 1 && v.count == 0);
    CHECK(give(&t, B, 3, MOLD_END_OF_SESSION, &v) == MOLD_ACCEPTED && !v.ends_session);
    CHECK(give(&t, B, 3, MOLD_HEARTBEAT, &v) == MOLD_ACCEPTED && !v.new_session);
    CHECK(give(&t, B, 3, 1, &v) == MOLD_OUT_OF_SESSION);
    CHECK(give(&t, A, 9, 1, &v) == MOLD_OUT_OF_SESSION);
    CHECK(give(&t, B, 1, 1, &v) == MOLD_ACCEPTED && v.new_session && !t.ended);
    CHECK(give(&t, B, 2, MOLD_END_OF_SESSION, &v) == MOLD_ACCEPTED);
    CHECK(give(&t, A, 1, 1, &v) == MOLD_ACCEPTED && v.new_session);
}

static void short_packets(void)
{
    struct mold_tracker t = {0};
    struct mold_view v;
    uint8_t packet[MOLD_HEADER] = {0};
    for (uint32_t length = 0; length < MOLD_HEADER; length++) {
        uint8_t *exact = exactly(packet, length);
        CHECK(mold_accept(&t, exact, length, &v) == MOLD_MALFORMED);
        free(exact);
    }
    CHECK(!t.known);
}

int main(void)
{
    sequence();
    sessions();
    short_packets();
    return DONE();
}

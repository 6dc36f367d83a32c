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

static void standings(void)
{
    struct mold_tracker t = {0};
    uint8_t a[MOLD_HEADER], b[MOLD_HEADER], b9[MOLD_HEADER], end[MOLD_HEADER];
    mold_header(a, (const uint8_t *)A, 1, 1);
    mold_header(b, (const uint8_t *)B, 1, 1);
    mold_header(b9, (const uint8_t *)B, 9, 1);
    mold_header(end, (const uint8_t *)B, 1, MOLD_END_OF_SESSION);
    CHECK(mold_standing(&t, a) == MOLD_BEGINS);
    mold_begin(&t, a, 7);
    CHECK(t.next_sequence == 7 && mold_standing(&t, a) == MOLD_RUNNING && mold_standing(&t, end) == MOLD_BEGINS);
    mold_begin(&t, b, 1);
    CHECK(mold_standing(&t, b9) == MOLD_RUNNING && mold_standing(&t, a) == MOLD_FOREIGN);
    t.ended = true;
    CHECK(mold_standing(&t, b) == MOLD_RESTARTS && mold_standing(&t, a) == MOLD_RESTARTS);
    CHECK(mold_standing(&t, b9) == MOLD_FOREIGN && mold_standing(&t, end) == MOLD_OVER);
    mold_begin(&t, b, 1);
    CHECK(!t.ended && mold_standing(&t, a) == MOLD_FOREIGN); /* the session before is still A */
}

static void whole_messages(void)
{
    uint8_t packet[MOLD_HEADER + 8] = {0};
    const uint8_t blocks[] = {0, 2, 'x', 'y', 0, 0, 0, 9}; /* two messages and the length of one that is not there */
    memcpy(packet + MOLD_HEADER, blocks, sizeof blocks);
    for (uint16_t count = 0; count < 9; count++)
        for (uint32_t length = MOLD_HEADER; length <= sizeof packet; length++) {
            mold_header(packet, (const uint8_t *)A, 1, count);
            uint8_t *exact = exactly(packet, length);
            unsigned there = (length >= MOLD_HEADER + 4) + (length >= MOLD_HEADER + 6);
            CHECK(mold_whole(exact, length) == (count < there ? count : there));
            free(exact);
        }
    mold_header(packet, (const uint8_t *)A, 1, MOLD_END_OF_SESSION);
    CHECK(mold_whole(packet, sizeof packet) == 0);
}

int main(void)
{
    standings();
    whole_messages();
    sequence();
    sessions();
    short_packets();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "mold.h"

#define A "SESSION A "
#define B "SESSION B "

static void a_header(void)
{
    uint8_t packet[MOLD_HEADER];
    CHECK(mold_header(packet, (const uint8_t *)A, 0x0102030405060708, 0x090A) == MOLD_HEADER);
    CHECK(memcmp(packet, A "\1\2\3\4\5\6\7\10\11\12", MOLD_HEADER) == 0);
    CHECK(mold_sequence(packet) == 0x0102030405060708 && mold_count(packet) == 0x090A);
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
    a_header();
    standings();
    whole_messages();
    return DONE();
}

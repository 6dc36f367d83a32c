/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "check.h"
#include "stamps.h"

static struct stamps stamps;
static struct failure failure;

static uint64_t samples_of(const struct block *block, struct block_sample *out)
{
    return block_copy_samples(block, out, 16);
}

static void each_stamp_finds_its_order(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block);
    stamps_sent(&stamps, 100, 1000);
    stamps_sent(&stamps, 200, 0);    /* of a packet without a stamp */
    stamps_sent(&stamps, 300, 1002);
    stamps_sent(&stamps, 400, 1003); /* its stamp is lost */
    stamps_sent(&stamps, 500, 1004);
    stamps_transmitted(&stamps, 48, 1); /* the login */
    CHECK(samples_of(block, got) == 0 && stamps_waiting(&stamps) == 5);
    stamps_transmitted(&stamps, 100, 2000);
    stamps_transmitted(&stamps, 100, 2001); /* sent again by TCP */
    stamps_transmitted(&stamps, 200, 2002);
    stamps_transmitted(&stamps, 300, 2003);
    stamps_transmitted(&stamps, 500, 2004);
    CHECK(samples_of(block, got) == 3 && stamps_waiting(&stamps) == 0);
    CHECK(got[0].receive_ns == 1000 && got[0].transmit_ns == 2000);
    CHECK(got[1].receive_ns == 1002 && got[1].transmit_ns == 2003);
    CHECK(got[2].receive_ns == 1004 && got[2].transmit_ns == 2004);
    CHECK(BLOCK_GET(block, unstamped) == 2);
    stamps_sent(&stamps, 600, 1005);
    stamps_flush(&stamps);
    CHECK(BLOCK_GET(block, unstamped) == 3 && stamps_waiting(&stamps) == 0);
    block_unmap(block);
}

static void offsets_wrap_as_the_kernel_counts(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block);
    stamps_sent(&stamps, UINT32_MAX - 5, 1);
    stamps_sent(&stamps, 40, 2);
    stamps_transmitted(&stamps, UINT32_MAX - 5, 11);
    stamps_transmitted(&stamps, 40, 12);
    CHECK(samples_of(block, got) == 2 && got[1].receive_ns == 2 && got[1].transmit_ns == 12);
    block_unmap(block);
}

static void a_full_ring_gives_up_the_oldest(void)
{
    struct block *block = block_create("", "t", 4, &failure);
    stamps_init(&stamps, block);
    stamps.head = stamps.tail = UINT32_MAX - 100; /* the counts wrap on the way */
    for (uint32_t i = 0; i < STAMPS_RING + 10; i++)
        stamps_sent(&stamps, i, 1);
    CHECK(BLOCK_GET(block, unstamped) == 10 && stamps_waiting(&stamps) == STAMPS_RING);
    for (uint32_t i = 10; i < STAMPS_RING + 10; i++)
        stamps_transmitted(&stamps, i, 2);
    CHECK(BLOCK_GET(block, samples) == 4 && BLOCK_GET(block, samples_dropped) == STAMPS_RING - 4);
    block_unmap(block);
}

static void a_block_is_read_as_it_was_written(void)
{
    char path[] = "/tmp/tickwire-block-XXXXXX";
    int fd = mkstemp(path);
    struct block copy;
    struct block_sample got[16];
    struct block_top top = {.bid = 5, .locate = 3};
    CHECK(fd >= 0);
    close(fd);
    struct block *block = block_create(path, "a name that is longer than the thirty-one bytes there are", 16, &failure);
    const struct block *seen = block_map(path, &failure);
    CHECK(block != NULL && seen != NULL);
    block_begin_session(block, (const uint8_t *)"SESSION 01");
    block_add_sample(block, 1, 2);
    block_put_tops(block, &top, 1);
    BLOCK_COUNT(block, packets, 3);
    block_snapshot(seen, &copy);
    CHECK(memcmp(copy.feed_session, "SESSION 01", 10) == 0 && BLOCK_GET(&copy, packets) == 3);
    CHECK(copy.top_count == 1 && copy.top[0].bid == 5 && strlen(copy.name) == BLOCK_NAME - 1);
    CHECK(block_copy_samples(seen, got, 16) == 1 && got[0].transmit_ns == 2);
    uint64_t spreads[4], bytes = block->bytes;
    block_add_legs(block, 700);
    block_add_legs(block, 300);
    CHECK(block_copy_legs(seen, spreads, 4) == 2 && spreads[0] == 700 && spreads[1] == 300);
    CHECK(BLOCK_GET(seen, leg_spread_last_ns) == 300 && BLOCK_GET(seen, leg_spread_max_ns) == 700);
    for (uint32_t i = 0; i < BLOCK_REJECTS + 1; i++)
        block_add_reject(block, i + 1, 7, (const uint8_t *)"TICK    ");
    CHECK(BLOCK_GET(seen, orders_rejected) == BLOCK_REJECTS + 1 && seen->reject[0].reference == BLOCK_REJECTS + 1);
    block_begin_session(block, (const uint8_t *)"SESSION 02");
    CHECK(block_copy_legs(seen, spreads, 4) == 0);
    BLOCK_COUNT(block, lock, 1); /* a writer killed in the middle: readers still come back */
    block_snapshot(seen, &copy);
    block_unmap((struct block *)seen);
    CHECK(truncate(path, 5000) == 0);
    char said[64];
    snprintf(said, sizeof said, "says %llu bytes, has 5000", (unsigned long long)bytes);
    CHECK(block_map(path, &failure) == NULL && strstr(failure.text, said) != NULL);
    block_unmap(block);
    unlink(path);
}

int main(void)
{
    each_stamp_finds_its_order();
    offsets_wrap_as_the_kernel_counts();
    a_full_ring_gives_up_the_oldest();
    a_block_is_read_as_it_was_written();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "check.h"
#include "stamps.h"
#include "transport/transport.h"

static struct stamps stamps;
static struct failure failure;

static uint64_t samples_of(const struct block *block, struct block_sample *out)
{
    return block_copy_samples(block, out, 16);
}

/* An order in answer to a packet that the kernel has stamped; 0: nobody has. */
static void sent(uint32_t last_byte, uint64_t receive_ns)
{
    struct transport_packet packet = {.receive_ns = receive_ns,
                                      .receive_clock = receive_ns != 0 ? STAMP_SOFTWARE : STAMP_NONE};
    stamps_sent(&stamps, last_byte, &packet);
}

static void each_stamp_finds_its_order(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block, false);
    sent(100, 1000);
    sent(200, 0);    /* of a packet without a stamp */
    sent(300, 1002);
    sent(400, 1003); /* its stamp is lost */
    sent(500, 1004);
    stamps_transmitted(&stamps, 48, 1, STAMP_SOFTWARE); /* the login */
    CHECK(samples_of(block, got) == 0 && stamps_waiting(&stamps) == 5);
    stamps_transmitted(&stamps, 100, 2000, STAMP_SOFTWARE);
    stamps_transmitted(&stamps, 100, 2001, STAMP_SOFTWARE); /* sent again by TCP */
    stamps_transmitted(&stamps, 200, 2002, STAMP_SOFTWARE);
    stamps_transmitted(&stamps, 300, 2003, STAMP_SOFTWARE);
    stamps_transmitted(&stamps, 500, 2004, STAMP_SOFTWARE);
    CHECK(samples_of(block, got) == 3 && stamps_waiting(&stamps) == 0);
    CHECK(got[0].receive_ns == 1000 && got[0].transmit_ns == 2000);
    CHECK(got[1].receive_ns == 1002 && got[1].transmit_ns == 2003);
    CHECK(got[2].receive_ns == 1004 && got[2].transmit_ns == 2004);
    CHECK(BLOCK_GET(block, unstamped) == 2);
    CHECK(BLOCK_GET(block, unstamped_receive) == 1 && BLOCK_GET(block, unstamped_transmit) == 1);
    sent(600, 1005);
    stamps_flush(&stamps);
    CHECK(BLOCK_GET(block, unstamped) == 3 && stamps_waiting(&stamps) == 0);
    block_unmap(block);
}

static void offsets_wrap_as_the_kernel_counts(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block, false);
    sent(UINT32_MAX - 5, 1);
    sent(40, 2);
    stamps_transmitted(&stamps, UINT32_MAX - 5, 11, STAMP_SOFTWARE);
    stamps_transmitted(&stamps, 40, 12, STAMP_SOFTWARE);
    CHECK(samples_of(block, got) == 2 && got[1].receive_ns == 2 && got[1].transmit_ns == 12);
    block_unmap(block);
}

/* An order in answer to a packet with both stamps. */
static void sent_by_card(uint32_t last_byte, uint64_t receive_ns)
{
    struct transport_packet packet = {
        .receive_ns = receive_ns, .receive_clock = STAMP_HARDWARE, .receive_software_ns = receive_ns + 5};
    stamps_sent(&stamps, last_byte, &packet);
}

/* The kernel's stamps run ahead of the card's, and each order gets its own two. */
static void two_stamps_of_an_order(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block, false);
    stamps.head = stamps.tail = stamps.beside = stamps.expiring = UINT32_MAX - 1; /* the counts wrap on the way */
    for (uint32_t i = 1; i <= 4; i++)
        sent_by_card(100 * i, 1000 * i);
    stamps_beside(&stamps, 48, 1); /* the login */
    for (uint32_t i = 1; i <= 4; i++)
        stamps_beside(&stamps, 100 * i, 1000 * i + 70);
    stamps_beside(&stamps, 450, 1); /* a heartbeat behind them */
    stamps_transmitted(&stamps, 100, 1080, STAMP_HARDWARE);
    stamps_beside(&stamps, 300, 9999); /* TCP sends it again: the card's stamp may be of either time */
    stamps_transmitted(&stamps, 300, 3080, STAMP_HARDWARE); /* that of 200 is lost */
    stamps_transmitted(&stamps, 400, 4080, STAMP_HARDWARE);
    CHECK(samples_of(block, got) == 2 && stamps_waiting(&stamps) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t from = i == 0 ? 1000 : 4000;
        CHECK(got[i].clock == STAMP_HARDWARE && got[i].receive_ns == from && got[i].transmit_ns == from + 80);
        CHECK(got[i].receive_software_ns == from + 5 && got[i].transmit_software_ns == from + 70);
    }
    CHECK(BLOCK_GET(block, unstamped) == 2 && BLOCK_GET(block, unstamped_transmit) == 2);

    sent_by_card(500, 5000); /* the kernel's stamp of this one is lost: the card's are enough */
    stamps_transmitted(&stamps, 500, 5080, STAMP_HARDWARE);
    CHECK(samples_of(block, got) == 3 && got[2].transmit_ns == 5080);
    CHECK(got[2].receive_software_ns == 0 && got[2].transmit_software_ns == 0);
    block_unmap(block);
}

/* Where the kernel's stamps will do: of an order the card has not stamped, or twice, or whose stamp is given up on. */
static void the_kernels_in_place_of_the_cards(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    stamps_init(&stamps, block, true);
    for (uint32_t i = 1; i <= 4; i++)
        sent_by_card(100 * i, 1000 * i);
    for (uint32_t i = 1; i <= 3; i++)
        stamps_beside(&stamps, 100 * i, 1000 * i + 70);
    stamps_beside(&stamps, 200, 9999); /* TCP sends it again */
    stamps_transmitted(&stamps, 200, 9998, STAMP_HARDWARE); /* and that of 100 is lost */
    stamps_flush(&stamps); /* 300 has the kernel's only, 400 has none */
    CHECK(samples_of(block, got) == 3 && BLOCK_GET(block, by_kernel) == 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(got[i].clock == STAMP_SOFTWARE && got[i].receive_ns == 1000 * i + 1005 && got[i].transmit_ns == 1000 * i + 1070);
    CHECK(BLOCK_GET(block, unstamped) == 1 && BLOCK_GET(block, unstamped_transmit) == 1);
    block_begin_session(block, (const uint8_t *)"SESSION 02");
    CHECK(BLOCK_GET(block, by_kernel) == 0);
    block_unmap(block);
}

/* An order in answer to a packet whose receive was completed at `ticks`, and polled at `polled_ns`. */
static void sent_by_completion(uint32_t last_byte, uint64_t ticks, uint64_t polled_ns)
{
    struct transport_packet packet = {
        .receive_ns = ticks, .receive_clock = STAMP_COMPLETION, .receive_software_ns = polled_ns};
    stamps_sent(&stamps, last_byte, &packet);
}

/* Ticks become a duration by the nominal rate and a time by the line; a completion that does not come is replaced by nothing. */
static void ticks_of_a_device(void)
{
    struct block_sample got[16];
    struct block *block = block_create("", "t", 16, &failure);
    /* A rate that differs from the nominal one: it is in the time, and not in the duration. */
    const struct ticks_line line = {.mask = 0xFFFFFFFFF, .khz = 500000, .ticks = 100, .wall_ns = 1000000, .ns_per_tick = 2.5};
    stamps_init(&stamps, block, true);
    sent_by_completion(100, 200, 5000);
    sent_by_completion(200, 0xFFFFFFFF0, 6000); /* the counter wraps before the send is completed */
    sent_by_completion(300, 700, 7000);
    sent_by_completion(400, 800, 8000);
    stamps_completed(&stamps, 50, 1, &line); /* the login */
    stamps_beside(&stamps, 100, 5400);
    stamps_completed(&stamps, 100, 1200, &line);
    stamps_completed(&stamps, 200, 34, &line);
    stamps_completed(&stamps, 400, 900, &line); /* that of 300 is lost, although the engine's own stamps would be there */
    CHECK(samples_of(block, got) == 3 && stamps_waiting(&stamps) == 0);
    CHECK(got[0].clock == STAMP_COMPLETION && got[0].receive_ns == 1000250 && got[0].transmit_ns == got[0].receive_ns + 2000);
    CHECK(got[0].receive_software_ns == 5000 && got[0].transmit_software_ns == 5400);
    CHECK(got[1].receive_ns == 1000000 - 290 && got[1].transmit_ns == got[1].receive_ns + 100 && got[1].receive_software_ns == 0);
    CHECK(got[2].transmit_ns == got[2].receive_ns + 200);
    CHECK(BLOCK_GET(block, unstamped) == 1 && BLOCK_GET(block, unstamped_transmit) == 1 && BLOCK_GET(block, by_kernel) == 0);
    sent_by_completion(500, 1000, 9000);
    stamps_beside(&stamps, 500, 9400);
    stamps_flush(&stamps); /* the connection has ended */
    CHECK(BLOCK_GET(block, unstamped_transmit) == 2 && BLOCK_GET(block, by_kernel) == 0);
    block_unmap(block);
}

/* Two stamps of different clocks are no sample, whatever the clocks; where the kernel's will do, those beside them are. */
static void only_stamps_of_one_clock_are_subtracted(bool or_kernel)
{
    struct block_sample got[64];
    struct block *block = block_create("", "t", 64, &failure);
    uint64_t samples = 0, refused = 0, without = 0, by_kernel = 0;
    uint32_t last_byte = 0;
    stamps_init(&stamps, block, or_kernel);
    for (int receive = STAMP_NONE; receive < STAMP_CLOCKS; receive++)
        for (int transmit = STAMP_SOFTWARE; transmit < STAMP_CLOCKS; transmit++)
            for (uint64_t beside = 0; beside < 2; beside++) {
                struct transport_packet packet = {.receive_ns = receive != STAMP_NONE ? 10 : 0,
                                                  .receive_clock = (uint8_t)receive,
                                                  .receive_software_ns = receive > STAMP_SOFTWARE ? beside * 20 : 0};
                bool kernel = or_kernel && transmit == STAMP_SOFTWARE && receive == STAMP_HARDWARE && beside != 0;
                stamps_sent(&stamps, ++last_byte, &packet);
                stamps_transmitted(&stamps, last_byte, 30, (enum stamp_clock)transmit);
                without += receive == STAMP_NONE;
                refused += receive != STAMP_NONE && receive != transmit && !kernel;
                by_kernel += kernel;
                samples += receive == transmit || kernel;
                CHECK(block_copy_samples(block, got, 64) == samples);
                if (kernel)
                    CHECK(got[samples - 1].clock == STAMP_SOFTWARE && got[samples - 1].receive_ns == 20);
                else if (receive == transmit)
                    CHECK(got[samples - 1].clock == (uint32_t)transmit && got[samples - 1].receive_ns == 10);
            }
    CHECK(samples >= 8 && refused > 8 && without == 8 && (by_kernel > 0) == or_kernel);
    CHECK(BLOCK_GET(block, unstamped_clocks) == refused && BLOCK_GET(block, unstamped_receive) == without);
    CHECK(BLOCK_GET(block, unstamped) == refused + without && BLOCK_GET(block, by_kernel) == by_kernel);
    block_begin_session(block, (const uint8_t *)"SESSION 02");
    CHECK((BLOCK_GET(block, unstamped_clocks) | BLOCK_GET(block, unstamped_receive) | BLOCK_GET(block, unstamped)) == 0);
    block_unmap(block);
}

static void a_full_ring_gives_up_the_oldest(void)
{
    struct block *block = block_create("", "t", 4, &failure);
    stamps_init(&stamps, block, false);
    stamps.head = stamps.tail = UINT32_MAX - 100; /* the counts wrap on the way */
    for (uint32_t i = 0; i < STAMPS_RING + 10; i++)
        sent(i, 1);
    CHECK(BLOCK_GET(block, unstamped) == 10 && stamps_waiting(&stamps) == STAMPS_RING);
    for (uint32_t i = 10; i < STAMPS_RING + 10; i++)
        stamps_transmitted(&stamps, i, 2, STAMP_SOFTWARE);
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
    block_add_sample(block, &(struct block_sample){.receive_ns = 1, .transmit_ns = 2, .clock = STAMP_COMPLETION});
    block_put_tops(block, &top, 1);
    BLOCK_COUNT(block, packets, 3);
    block_snapshot(seen, &copy);
    CHECK(memcmp(copy.feed_session, "SESSION 01", 10) == 0 && BLOCK_GET(&copy, packets) == 3);
    CHECK(copy.top_count == 1 && copy.top[0].bid == 5 && strlen(copy.name) == BLOCK_NAME - 1);
    CHECK(block_copy_samples(seen, got, 16) == 1 && got[0].transmit_ns == 2 && got[0].clock == STAMP_COMPLETION);
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
    two_stamps_of_an_order();
    the_kernels_in_place_of_the_cards();
    ticks_of_a_device();
    only_stamps_of_one_clock_are_subtracted(false);
    only_stamps_of_one_clock_are_subtracted(true);
    offsets_wrap_as_the_kernel_counts();
    a_full_ring_gives_up_the_oldest();
    a_block_is_read_as_it_was_written();
    return DONE();
}

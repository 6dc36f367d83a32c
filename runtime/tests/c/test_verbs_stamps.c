/* SPDX-License-Identifier: Apache-2.0
 *
 * Completions stamped by the device, over the double of the RDMA libraries: which devices have stamps to use and what is said of the
 * others, what a sample is made of, which orders have none, and the device's counter kept beside the host's clock. */
#include "verbs_pair.h"

#define MASK ((UINT64_C(1) << 35) - 1)
#define KHZ 156250u
#define ORDERS 100u
#define ORDER 49u

static struct stamps stamps;

static void have_stamps(void)
{
    twin_of_rdma->clock_mask = MASK;
    twin_of_rdma->clock_khz = KHZ;
}

/* --- which devices --- */

static void opens_with(enum stamping_wish wish, enum stamp_clock clock, const char *why)
{
    settings.timestamps = wish;
    open_engine();
    CHECK(verbs.stamps == clock && strstr(verbs.why, why) != NULL);
    CHECK(verbs.stamped == (clock == STAMP_COMPLETION));
    for (uint32_t n = 0; n < FEED_LINES; n++)
        CHECK((verbs.feed.lines[n].queue.stamped != NULL) == (clock == STAMP_COMPLETION));
    CHECK(verbs_stamped(&verbs) == (clock != STAMP_COMPLETION)); /* there are none to wait for, or none has been seen */
    CHECK(verbs.feed.clock == clock && (verbs.orders.clock != NULL) == (clock == STAMP_COMPLETION));
    verbs_close(&verbs);
}

/* Whoever asks for the device's stamps by name is refused; whoever leaves the choice has the engine's. */
static void has_none(const char *why)
{
    opens_with(STAMPING_AUTO, STAMP_APPLICATION, why);
    settings.timestamps = STAMPING_HARDWARE;
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == ENOTSUP);
    CHECK(strstr(failure.text, why) != NULL && strstr(failure.text, "engine.timestamps \"hardware\" over verbs: ") != NULL);
    CHECK(strstr(failure.text, "use an RDMA device that stamps completions") != NULL);
}

static void test_which_devices(void)
{
    has_none("double0 has no completion time stamps to use: it has none"); /* as rxe */
    have_stamps();
    opens_with(STAMPING_AUTO, STAMP_COMPLETION, "completions on double0, clock of 156250 kHz: from tick to acknowledgement");
    opens_with(STAMPING_HARDWARE, STAMP_COMPLETION, "not to departure");
    opens_with(STAMPING_SOFTWARE, STAMP_APPLICATION, "engine.timestamps is \"software\"");
    opens_with(STAMPING_NONE, STAMP_NONE, "");
    twin_of_rdma->clock_mask = 0x1FFFF;
    has_none("its clock wraps within 8 seconds");
    twin_of_rdma->clock_mask = MASK;
    twin_of_rdma->clock_errno = EOPNOTSUPP;
    has_none("its clock cannot be read (ibv_query_rt_values_ex)");
    twin_of_rdma->clock_errno = 0;
    twin_of_rdma->stamped_queue_errno = EOPNOTSUPP;
    has_none("double0 gives no completion queue with time stamps: Operation not supported");
    twin_of_rdma->stamped_queue_errno = 0;
    twin_of_rdma->stamped_pair_errno = EOPNOTSUPP;
    has_none("double0 gives no queue pair with time stamps: Operation not supported");
    twin_of_rdma->stamped_pair_errno = 0;
    strcpy(settings.orders.interface, "127.0.0.2");
    has_none("double0 and double1 are two RDMA devices, each with a clock of its own");
    settings.orders.interface[0] = '\0';
}

/* --- samples --- */

static struct transport_packet packet;

static bool packet_comes(void)
{
    return feed.receive(feed.self, &packet) == TRANSPORT_PACKET;
}

/* A packet, and an order in answer to it. */
static void tick(int fd, uint32_t number)
{
    const uint8_t order[ORDER] = {0};
    uint32_t last_byte;
    say(fd, settings.feed.port, number, 200);
    CHECK(within(packet_comes) && packet.receive_clock == STAMP_COMPLETION && packet.receive_ns <= MASK);
    CHECK(orders.send(orders.self, order, sizeof order, &last_byte) == 0);
    stamps_sent(&stamps, last_byte, &packet);
}

static struct block *block;

static bool all_stamped(void)
{
    orders.collect_stamps(orders.self, &stamps);
    return stamps_waiting(&stamps) == 0;
}

static void test_samples(void)
{
    static uint64_t received[ORDERS];
    static struct block_sample got[ORDERS];
    uint16_t port;
    int fd = bound(SOCK_DGRAM, &port);
    settings.timestamps = STAMPING_AUTO;
    twin_of_rdma->clock_ticks = MASK - 60; /* wraps on the way */
    twin_of_rdma->clock_step = 5;
    uint64_t before_ns = clock_wall();
    open_engine();
    uint64_t after_ns = clock_wall();
    twin_of_rdma->clock_errno = EIO; /* so that the line stays as it began */
    block = block_create("", "t", ORDERS, &failure);
    stamps_init(&stamps, block, true);
    CHECK(within(both_subscribed));
    int server_fd = connect_orders();
    unsigned sends = twin_of_rdma->sends, signaled = twin_of_rdma->signaled;
    const struct verbs_link *link = &verbs.orders.links[verbs.orders.current].link;
    uint64_t first = verbs.clock.line.ticks;
    for (uint32_t n = 0; n < ORDERS; n++) {
        tick(fd, n);
        received[n] = packet.receive_ns;
        CHECK(packet.receive_software_ns >= after_ns);
    }
    CHECK(link->posted == ORDERS && link->completed == 0 && !verbs_stamped(&verbs)); /* the packets' alone are not enough */
    CHECK(within(all_stamped) && link->completed == ORDERS && verbs_stamped(&verbs));
    CHECK(twin_of_rdma->signaled - signaled >= ORDERS && twin_of_rdma->sends - sends >= ORDERS);
    CHECK(block_copy_samples(block, got, ORDERS) == ORDERS && BLOCK_GET(block, unstamped) == 0);
    for (uint32_t n = 0; n < ORDERS; n++) {
        uint64_t ticks = (link->ticks[n + 1] - received[n]) & MASK, since = (received[n] - first) & MASK;
        CHECK(ticks >= 5 && ticks < 1000 && got[n].clock == STAMP_COMPLETION);
        CHECK(got[n].transmit_ns - got[n].receive_ns == ticks * 1000000 / KHZ);
        CHECK(got[n].receive_ns >= before_ns + since * 1000000 / KHZ && got[n].receive_ns <= after_ns + since * 1000000 / KHZ + 1);
        CHECK(got[n].receive_software_ns >= after_ns && got[n].transmit_software_ns >= got[n].receive_software_ns);
    }
    CHECK(received[ORDERS - 1] < received[0]); /* it has wrapped */

    /* What the other end never acknowledges has no stamp, whatever the engine's own clock says. */
    twin_of_rdma->hold_completions = 1;
    tick(fd, ORDERS);
    orders.collect_stamps(orders.self, &stamps);
    CHECK(stamps_waiting(&stamps) == 1);
    orders.drop(orders.self);
    CHECK(!verbs_stamped(&verbs));
    orders.collect_stamps(orders.self, &stamps);
    stamps_flush(&stamps); /* as the engine does with the next connection */
    CHECK(BLOCK_GET(block, unstamped) == 1 && BLOCK_GET(block, unstamped_transmit) == 1 && BLOCK_GET(block, by_kernel) == 0);
    twin_of_rdma->hold_completions = 0;
    close(server_fd);

    /* More sends than the queue has places between two looks: the first are counted, and the rest have their own stamps. */
    server_fd = connect_orders();
    for (uint32_t n = 0; n < LINK_SENDS + 10; n++) {
        const uint8_t byte = 0;
        uint32_t last_byte;
        CHECK(orders.send(orders.self, &byte, 1, &last_byte) == 0 && last_byte == n);
        stamps_sent(&stamps, last_byte, &packet);
    }
    CHECK(within(all_stamped) && BLOCK_GET(block, unstamped_transmit) == 1 + 10);
    CHECK(BLOCK_GET(block, samples) + BLOCK_GET(block, samples_dropped) == ORDERS + LINK_SENDS);
    block_unmap(block);
    close(server_fd);
    close(fd);
    verbs_close(&verbs);
    twin_of_rdma->clock_errno = 0;
    twin_of_rdma->clock_step = 0;
}

static bool completed(void)
{
    orders.collect_stamps(orders.self, &stamps);
    return verbs.orders.links[verbs.orders.current].link.completed != 0;
}

static bool both_stamped(void)
{
    return completed() && verbs_stamped(&verbs);
}

/* A device that says it stamps, and whose completions say nothing. */
static void test_a_device_that_stamps_nothing(void)
{
    const uint8_t byte = 0;
    uint32_t last_byte;
    uint16_t port;
    int fd = bound(SOCK_DGRAM, &port);
    twin_of_rdma->clock_ticks = 0;
    open_engine();
    CHECK(within(both_subscribed));
    int server_fd = connect_orders();
    say(fd, settings.feed.port, 1, 200);
    CHECK(within(packet_comes) && orders.send(orders.self, &byte, 1, &last_byte) == 0);
    CHECK(within(completed) && !verbs_stamped(&verbs));
    twin_of_rdma->clock_ticks = 7;
    say(fd, settings.feed.port, 2, 200);
    CHECK(within(packet_comes) && !verbs_stamped(&verbs)); /* the order's is still missing */
    CHECK(orders.send(orders.self, &byte, 1, &last_byte) == 0 && within(both_stamped));
    close(server_fd);
    close(fd);
    verbs_close(&verbs);
}

/* --- the keeper --- */

static struct ticks_line line;
static uint64_t begun_ns;

static bool refreshed(void)
{
    ticks_take(&verbs.clock, &line);
    return line.wall_ns != begun_ns;
}

/* While the engine takes it, the keeper lays the line anew through the counter as it runs. */
static void test_the_counter_is_kept(void)
{
    twin_of_rdma->clock_ppm = 40;
    twin_of_rdma->clock_runs = 1;
    open_engine();
    line = verbs.orders.line;
    begun_ns = line.wall_ns;
    CHECK(line.mask == MASK && line.khz == KHZ && within(refreshed));
    verbs_close(&verbs);
    twin_of_rdma->clock_runs = 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    pair_open(argv[0]);
    start_gateway();
    test_which_devices();
    test_samples();
    test_a_device_that_stamps_nothing();
    test_the_counter_is_kept();
    stop_gateway();
    pair_close();
    return DONE();
}

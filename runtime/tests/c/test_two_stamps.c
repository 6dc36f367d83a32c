/* SPDX-License-Identifier: Apache-2.0
 *
 * From a packet's stamps to an order's, over loopback: the kernel's stamps are real, the card's are made beside them
 * (fake_card.h), so that what they say apart is known to the nanosecond. */
#include <arpa/inet.h>
#include <poll.h>

#include "check.h"
#include "fake_card.h"
#include "transport/connection.h"
#include "transport/lines.h"

#define PATIENCE_MS 5000
#define CARD_MORE_NS ((uint64_t)(FAKE_RECEIVE_NS + FAKE_TRANSMIT_NS)) /* tick-to-trade by the card against that by the kernel */

static struct fake_card card;
static struct fake_queue queue;
static uint8_t buffer[MOLD_PACKET_MAX];
static struct lines lines;
static struct connection orders;
static struct stamps stamps;
static struct block *block;
static int sender, exchange;
static struct sockaddr_in feed_at = {.sin_family = AF_INET};

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return fake_card_recvmsg(&card, &queue, fd, message, flags);
}

static void connect_orders(enum stamp_clock clock)
{
    struct failure failure;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct orders_settings settings = {.host = "127.0.0.1", .tos = 104};
    struct stamping stamping = {.clock = clock, .count = 1, .cards = {{.name = "lo", .needs = CARD_TRANSMIT}}};
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(door >= 0 && bind(door, (struct sockaddr *)&at, size) == 0 && listen(door, 1) == 0);
    CHECK(getsockname(door, (struct sockaddr *)&at, &size) == 0);
    settings.port = ntohs(at.sin_port);
    connection_init(&orders);
    CHECK(connection_open(&orders, &settings, &stamping, -1, &failure) && connection_take(&orders));
    exchange = accept(door, NULL, NULL);
    CHECK(exchange >= 0);
    close(door);
}

static void begin(enum stamp_clock receive, enum stamp_clock transmit, bool or_kernel)
{
    struct failure failure;
    struct feed_settings feed = {.group = "127.0.0.1", .interface = "127.0.0.1"};
    socklen_t size = sizeof feed_at;
    memset(&queue, 0, sizeof queue);
    card = (struct fake_card){.rx_filter = HWTSTAMP_FILTER_ALL, .tx_type = HWTSTAMP_TX_ON, .grants = -1};
    lines_init(&lines);
    CHECK(lines_open(&lines, &feed, buffer, &failure) && lines_stamp(&lines, receive)); /* port 0: any free one */
    CHECK(getsockname(lines.fds[TRANSPORT_LINE_A], (struct sockaddr *)&feed_at, &size) == 0);
    sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    connect_orders(transmit);
    block = block_create("", "t", 64, &failure);
    CHECK(sender >= 0 && block != NULL);
    stamps_init(&stamps, block, or_kernel);
}

static void end(void)
{
    lines_close(&lines);
    connection_close(&orders);
    close(sender);
    close(exchange);
    block_unmap(block);
}

static struct transport_packet tick(void)
{
    struct transport_packet packet;
    int got = TRANSPORT_NOTHING;
    CHECK(sendto(sender, "tick", 4, 0, (struct sockaddr *)&feed_at, sizeof feed_at) == 4);
    for (int waited = 0; got == TRANSPORT_NOTHING && waited < PATIENCE_MS; waited++) {
        got = lines_receive(&lines, &packet);
        if (got == TRANSPORT_NOTHING)
            poll(NULL, 0, 1);
    }
    CHECK(got == TRANSPORT_PACKET);
    return packet;
}

/* The kernel begins to stamp a moment after it was asked. */
static void wait_for_stamps(void)
{
    struct transport_packet packet = tick();
    for (int waited = 0; !lines.stamped && waited < PATIENCE_MS; waited++) {
        poll(NULL, 0, 1);
        packet = tick();
    }
    CHECK(lines.stamped && packet.receive_clock == lines.clock);
}

static void trade(const struct transport_packet *packet)
{
    static const uint8_t order[49] = {'O'};
    uint32_t last_byte;
    CHECK(connection_send(&orders, order, sizeof order, &last_byte) == 0);
    stamps_sent(&stamps, last_byte, packet);
}

static void collect_all(void)
{
    for (int waited = 0; stamps_waiting(&stamps) > 0 && waited < PATIENCE_MS; waited++) {
        connection_collect(&orders, &stamps);
        poll(NULL, 0, 1);
    }
    CHECK(stamps_waiting(&stamps) == 0);
}

static struct block_sample sample(uint64_t n)
{
    struct block_sample got[64];
    CHECK(block_copy_samples(block, got, 64) > n);
    return got[n];
}

static void the_card_and_the_kernel(uint32_t late)
{
    begin(STAMP_HARDWARE, STAMP_HARDWARE, false);
    card.late = late;
    wait_for_stamps();
    CHECK(!orders.stamped);
    for (int i = 0; i < 10; i++) {
        struct transport_packet packet = tick();
        CHECK(packet.receive_clock == STAMP_HARDWARE);
        CHECK(packet.receive_ns == packet.receive_software_ns + FAKE_AHEAD_NS - FAKE_RECEIVE_NS);
        trade(&packet);
    }
    collect_all();
    CHECK(orders.stamped && BLOCK_GET(block, samples) == 10 && BLOCK_GET(block, unstamped) == 0);
    for (uint64_t i = 0; i < 10; i++) {
        struct block_sample both = sample(i);
        uint64_t by_kernel = both.transmit_software_ns - both.receive_software_ns;
        CHECK(both.clock == STAMP_HARDWARE && both.transmit_software_ns > both.receive_software_ns);
        CHECK(both.transmit_ns - both.receive_ns == by_kernel + CARD_MORE_NS);
    }
    end();
}

static void the_kernel_alone(void)
{
    begin(STAMP_SOFTWARE, STAMP_SOFTWARE, false);
    wait_for_stamps();
    struct transport_packet packet = tick();
    CHECK(packet.receive_clock == STAMP_SOFTWARE && packet.receive_software_ns == 0);
    trade(&packet);
    collect_all();
    struct block_sample one = sample(0);
    CHECK(orders.stamped && one.clock == STAMP_SOFTWARE && one.transmit_ns > one.receive_ns);
    CHECK(one.receive_software_ns == 0 && one.transmit_software_ns == 0);
    end();
}

/* Somebody has narrowed the filter: the card's receive stamps are silently gone. */
static void a_filter_that_was_changed(bool or_kernel)
{
    begin(STAMP_HARDWARE, STAMP_HARDWARE, or_kernel);
    wait_for_stamps();
    card.rx_filter = HWTSTAMP_FILTER_PTP_V2_EVENT;
    struct transport_packet packet = tick();
    CHECK(packet.receive_clock == STAMP_SOFTWARE && packet.receive_ns != 0 && lines.unstamped);
    trade(&packet);
    collect_all();
    if (or_kernel) {
        struct block_sample one = sample(0);
        CHECK(one.clock == STAMP_SOFTWARE && one.receive_ns == packet.receive_ns && one.transmit_ns > one.receive_ns);
        CHECK(one.receive_software_ns == 0 && BLOCK_GET(block, by_kernel) == 1 && BLOCK_GET(block, unstamped) == 0);
    } else {
        CHECK(BLOCK_GET(block, samples) == 0 && BLOCK_GET(block, unstamped_clocks) == 1 && BLOCK_GET(block, unstamped) == 1);
    }
    end();
}

/* The card stamps what comes and not what goes. */
static void a_card_that_skips_orders(bool or_kernel)
{
    begin(STAMP_HARDWARE, STAMP_HARDWARE, or_kernel);
    wait_for_stamps();
    card.tx_type = HWTSTAMP_TX_OFF;
    struct transport_packet packet = tick();
    trade(&packet);
    for (int waited = 0; orders.missing == 0 && waited < PATIENCE_MS; waited++) {
        connection_collect(&orders, &stamps);
        poll(NULL, 0, 1);
    }
    CHECK(orders.missing == 1 && stamps_waiting(&stamps) == 1 && !orders.stamped);
    stamps_expire(&stamps);
    CHECK(stamps_waiting(&stamps) == 1); /* it has waited since before this call only */
    stamps_expire(&stamps);
    CHECK(stamps_waiting(&stamps) == 0 && BLOCK_GET(block, samples) == or_kernel);
    CHECK(BLOCK_GET(block, unstamped_transmit) == !or_kernel && BLOCK_GET(block, by_kernel) == or_kernel);
    if (or_kernel) {
        struct block_sample one = sample(0);
        CHECK(one.clock == STAMP_SOFTWARE && one.receive_ns == packet.receive_software_ns && one.transmit_ns > one.receive_ns);
    }
    card.tx_type = HWTSTAMP_TX_ON;
    packet = tick();
    trade(&packet);
    collect_all();
    CHECK(sample(or_kernel).clock == STAMP_HARDWARE && orders.missing == 0);
    end();
}

/* Feed by the card, orders by another one: the kernel's stamps of both are one clock. */
static void only_the_feed_by_the_card(bool or_kernel)
{
    begin(STAMP_HARDWARE, STAMP_SOFTWARE, or_kernel);
    wait_for_stamps();
    struct transport_packet packet = tick();
    trade(&packet);
    collect_all();
    CHECK(BLOCK_GET(block, samples) == or_kernel && BLOCK_GET(block, by_kernel) == or_kernel);
    CHECK(BLOCK_GET(block, unstamped_clocks) == !or_kernel);
    if (or_kernel) {
        struct block_sample one = sample(0);
        CHECK(one.clock == STAMP_SOFTWARE && one.receive_ns == packet.receive_software_ns && one.transmit_ns > one.receive_ns);
    }
    end();
}

static void without_stamps(void)
{
    begin(STAMP_SOFTWARE, STAMP_NONE, false);
    wait_for_stamps();
    struct transport_packet packet = tick();
    trade(&packet);
    connection_collect(&orders, &stamps);
    CHECK(stamps_waiting(&stamps) == 1);
    stamps_flush(&stamps);
    CHECK(BLOCK_GET(block, unstamped) == 1 && BLOCK_GET(block, unstamped_transmit) == 1);
    end();
}

int main(void)
{
    the_card_and_the_kernel(0);
    the_card_and_the_kernel(3); /* the card is slow: stamps of later orders come in between */
    the_kernel_alone();
    for (int or_kernel = 0; or_kernel < 2; or_kernel++) {
        a_filter_that_was_changed(or_kernel);
        a_card_that_skips_orders(or_kernel);
        only_the_feed_by_the_card(or_kernel);
    }
    without_stamps();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tick-to-trade as the exchange sees it: a market-data packet is sent, and the time taken until the order it causes has come. The
 * next packet goes when the order is there and GAP_US have passed. Nothing of the program under test is asked for its opinion.
 *
 *   probe FEED_ADDRESS FEED_PORT FROM ORDERS_PORT LOGIN_HEX SETTLED_HEX PACKETS OFFSET BYTE GAP_US CPU
 *
 * FROM is its own address: the packets go out there, and one order connection is taken. A login is answered with LOGIN_HEX, a query
 * of the account with SETTLED_HEX. PACKETS is a file of packets, each after its length in two bytes of this machine's order; one whose
 * byte at OFFSET is BYTE (a character) causes an order. It prints one JSON line: nanoseconds from before the send until the order was
 * received. */
#include <netinet/tcp.h>

#include "clock.h"
#include "wire.h"

#define SAMPLES_MAX (1u << 20)
#define SETTLE_NS (NS_PER_S / 2)   /* between the login and the first packet */
#define PATIENCE_NS (NS_PER_S / 5) /* for an order */
#define HEARTBEAT_NS NS_PER_S

static uint64_t samples[SAMPLES_MAX];
static uint8_t stream[1 << 16], login[64], settled[64];
static size_t held, login_bytes, settled_bytes;
static uint32_t orders, lost;
static uint64_t heard_ns; /* when the last order came */

static void say(int fd, const uint8_t *bytes, size_t length)
{
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        wire_stop("answer", strerror(errno));
}

/* SoupBinTCP packets that are there. */
static void look(int fd)
{
    ssize_t got = recv(fd, stream + held, sizeof stream - held, MSG_DONTWAIT);
    if (got == 0)
        wire_stop("the connection", "is closed");
    if (got < 0)
        return;
    uint64_t now = clock_now();
    held += (size_t)got;
    size_t at = 0;
    while (held - at >= 3) {
        size_t length = 2 + (size_t)(stream[at] << 8 | stream[at + 1]);
        if (held - at < length)
            break;
        if (stream[at + 2] == 'L') {
            say(fd, login, login_bytes);
        } else if (stream[at + 2] == 'U' && stream[at + 3] == 'Q') {
            say(fd, settled, settled_bytes);
        } else if (stream[at + 2] == 'U') {
            orders++;
            heard_ns = now;
        }
        at += length;
    }
    memmove(stream, stream + at, held - at);
    held -= at;
}

static void look_until(int fd, uint64_t until_ns)
{
    static uint64_t next_heartbeat_ns;
    uint64_t now;
    do {
        look(fd);
        now = clock_now();
        if (now >= next_heartbeat_ns) {
            say(fd, (const uint8_t *)"\0\1H", 3);
            next_heartbeat_ns = now + HEARTBEAT_NS;
        }
    } while (now < until_ns);
}

int main(int argc, char **argv)
{
    if (argc != 12) {
        fprintf(stderr,
                "usage: probe FEED_ADDRESS FEED_PORT FROM ORDERS_PORT LOGIN_HEX SETTLED_HEX PACKETS OFFSET BYTE GAP_US CPU\n");
        return 2;
    }
    struct sockaddr_in to = wire_address(argv[1], argv[2]), from = wire_address(argv[3], "0"), at = wire_address(argv[3], argv[4]);
    login_bytes = wire_bytes("LOGIN_HEX", argv[5], login, sizeof login);
    settled_bytes = wire_bytes("SETTLED_HEX", argv[6], settled, sizeof settled);
    size_t offset = (size_t)atoi(argv[8]);
    uint64_t gap_ns = strtoull(argv[10], NULL, 10) * 1000;
    wire_pin(argv[11]);
    int one = 1, feed = socket(AF_INET, SOCK_DGRAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0);
    if (feed < 0 || listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        wire_stop("sockets", strerror(errno));
    if (bind(feed, (struct sockaddr *)&from, sizeof from) != 0 || connect(feed, (struct sockaddr *)&to, sizeof to) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1) != 0)
        wire_stop("bind", strerror(errno));
    FILE *packets = fopen(argv[7], "rb");
    if (packets == NULL)
        wire_stop(argv[7], strerror(errno));
    fprintf(stderr, "probe: ready\n");
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        wire_stop("accept", strerror(errno));
    look_until(fd, clock_now() + SETTLE_NS);

    uint8_t packet[2048];
    uint16_t length;
    uint32_t count = 0;
    while (fread(&length, sizeof length, 1, packets) == 1 && length <= sizeof packet && fread(packet, length, 1, packets) == 1) {
        uint32_t before = orders;
        uint64_t start = clock_now();
        if (send(feed, packet, length, 0) != length)
            wire_stop("send", strerror(errno));
        if (length > offset && packet[offset] == (uint8_t)argv[9][0]) {
            for (uint32_t spins = 1; orders == before && (spins % 256 != 0 || clock_now() - start < PATIENCE_NS); spins++)
                look(fd);
            if (orders == before)
                lost++;
            else if (count < SAMPLES_MAX)
                samples[count++] = heard_ns - start;
        }
        look_until(fd, clock_now() + gap_ns);
    }
    if (count == 0) {
        fprintf(stderr, "probe: no order came\n");
        return 1;
    }
    wire_sort(samples, count);
    printf("{\"lost\": %u, ", lost);
    wire_print(samples, count);
    printf("}\n");
    return 0;
}

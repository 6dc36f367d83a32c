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
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define SAMPLES_MAX (1u << 20)
#define SETTLE_NS (NS_PER_S / 2)   /* between the login and the first packet */
#define PATIENCE_NS (NS_PER_S / 5) /* for an order */
#define HEARTBEAT_NS NS_PER_S

static uint64_t samples[SAMPLES_MAX];
static uint8_t stream[1 << 16], login[64], settled[64];
static size_t held, login_bytes, settled_bytes;
static uint32_t orders, lost;
static uint64_t heard_ns; /* when the last order came */

static void stop(const char *what)
{
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t from_hex(const char *text, uint8_t *out, size_t capacity)
{
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length && i < capacity; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            stop("LOGIN_HEX and SETTLED_HEX must be hex");
        out[i] = (uint8_t)byte;
    }
    return length < capacity ? length : capacity;
}

static void say(int fd, const uint8_t *bytes, size_t length)
{
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        stop("answer");
}

/* SoupBinTCP packets that are there. */
static void look(int fd)
{
    ssize_t got = recv(fd, stream + held, sizeof stream - held, MSG_DONTWAIT);
    if (got == 0)
        stop("the connection is closed");
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

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 12) {
        fprintf(stderr,
                "usage: probe FEED_ADDRESS FEED_PORT FROM ORDERS_PORT LOGIN_HEX SETTLED_HEX PACKETS OFFSET BYTE GAP_US CPU\n");
        return 2;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))}, from = {.sin_family = AF_INET};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[4]))};
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || inet_pton(AF_INET, argv[3], &from.sin_addr) != 1)
        stop("FEED_ADDRESS and FROM must be IPv4 addresses");
    at.sin_addr = from.sin_addr;
    login_bytes = from_hex(argv[5], login, sizeof login);
    settled_bytes = from_hex(argv[6], settled, sizeof settled);
    size_t offset = (size_t)atoi(argv[8]);
    uint64_t gap_ns = strtoull(argv[10], NULL, 10) * 1000;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(atoi(argv[11]), &here);
    int one = 1, feed = socket(AF_INET, SOCK_DGRAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0);
    if (sched_setaffinity(0, sizeof here, &here) != 0 || feed < 0 || listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        stop("CPU and sockets");
    if (bind(feed, (struct sockaddr *)&from, sizeof from) != 0 || connect(feed, (struct sockaddr *)&to, sizeof to) != 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1) != 0)
        stop("bind");
    FILE *packets = fopen(argv[7], "rb");
    if (packets == NULL)
        stop(argv[7]);
    fprintf(stderr, "probe: ready\n");
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        stop("accept");
    look_until(fd, clock_now() + SETTLE_NS);

    uint8_t packet[2048];
    uint16_t length;
    uint32_t count = 0;
    while (fread(&length, sizeof length, 1, packets) == 1 && length <= sizeof packet && fread(packet, length, 1, packets) == 1) {
        uint32_t before = orders;
        uint64_t start = clock_now();
        if (send(feed, packet, length, 0) != length)
            stop("send");
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
    qsort(samples, count, sizeof samples[0], ascending);
    printf("{\"samples\": %u, \"lost\": %u, \"min_ns\": %llu, \"p10_ns\": %llu, \"median_ns\": %llu, \"p99_ns\": %llu, \"max_ns\": "
           "%llu}\n",
           count, lost, (unsigned long long)samples[0], (unsigned long long)samples[count / 10],
           (unsigned long long)samples[count / 2], (unsigned long long)samples[(uint64_t)count * 99 / 100],
           (unsigned long long)samples[count - 1]);
    return 0;
}

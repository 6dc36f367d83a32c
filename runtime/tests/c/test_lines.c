/* SPDX-License-Identifier: Apache-2.0
 *
 * The market data sockets over lo: lines told apart, turns, stamps, groups joined for one source, the request socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "check.h"
#include "transport/lines.h"

#define GROUP "239.192.110.91"
#define PATIENCE_MS 5000

static uint8_t buffer[MOLD_PACKET_MAX];

/* A UDP socket on an address of lo, any free port. */
static int peer(const char *address, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && inet_pton(AF_INET, address, &at.sin_addr) == 1);
    CHECK(bind(fd, (struct sockaddr *)&at, size) == 0 && getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static uint16_t free_port(void)
{
    uint16_t port;
    close(peer("127.0.0.1", &port));
    return port;
}

static void say(int fd, const char *to, uint16_t port, const char *text)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    CHECK(inet_pton(AF_INET, to, &at.sin_addr) == 1);
    CHECK(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&at, sizeof at) == (ssize_t)strlen(text));
}

/* The next packet, which must be `text` on `line`. */
static void hears(struct lines *lines, enum transport_line line, const char *text)
{
    struct transport_packet packet;
    int got = TRANSPORT_NOTHING;
    for (int waited = 0; got == TRANSPORT_NOTHING && waited < PATIENCE_MS; waited++) {
        for (unsigned i = 0; got == TRANSPORT_NOTHING && i < LINES * LINES_LATE; i++)
            got = lines_receive(lines, &packet);
        if (got == TRANSPORT_NOTHING)
            poll(NULL, 0, 1);
    }
    CHECK(got == TRANSPORT_PACKET);
    CHECK(packet.line == line && packet.length == strlen(text) && memcmp(packet.bytes, text, packet.length) == 0);
}

static void hears_nothing(struct lines *lines)
{
    struct transport_packet packet;
    for (unsigned i = 0; i < 2 * LINES * LINES_LATE; i++)
        CHECK(lines_receive(lines, &packet) == TRANSPORT_NOTHING);
}

static struct feed_settings unicast(void)
{
    struct feed_settings feed = {.group = "127.0.0.1", .interface = "127.0.0.1", .port = free_port()};
    return feed;
}

static void two_lines_and_a_server(void)
{
    struct lines lines;
    struct failure failure;
    struct feed_settings feed = unicast();
    uint16_t port;
    int sender = peer("127.0.0.1", &port), server = peer("127.0.0.1", &port);
    strcpy(feed.group_b, "127.0.0.2");
    feed.port_b = feed.port;
    strcpy(feed.request_host, "127.0.0.1");
    feed.request_port = port;
    lines_init(&lines);
    CHECK(lines_open(&lines, &feed, buffer, &failure));
    hears_nothing(&lines);
    say(sender, "127.0.0.1", feed.port, "a1");
    say(sender, "127.0.0.1", feed.port, "a2");
    say(sender, "127.0.0.2", feed.port_b, "b1");
    say(sender, "127.0.0.2", feed.port_b, "b2");
    lines.turn = LINES - 1; /* so that A is next */
    hears(&lines, TRANSPORT_LINE_A, "a1");
    hears(&lines, TRANSPORT_LINE_B, "b1");
    hears(&lines, TRANSPORT_LINE_A, "a2");
    hears(&lines, TRANSPORT_LINE_B, "b2");
    hears_nothing(&lines);

    /* In a burst `nothing` is said only when both lines are empty. */
    struct transport_packet packet;
    for (int i = 0; i < 5; i++)
        say(sender, "127.0.0.2", feed.port_b, "burst");
    hears(&lines, TRANSPORT_LINE_B, "burst");
    for (int i = 0; i < 4; i++)
        CHECK(lines_receive(&lines, &packet) == TRANSPORT_PACKET && packet.line == TRANSPORT_LINE_B);
    CHECK(lines_receive(&lines, &packet) == TRANSPORT_NOTHING);

    struct sockaddr_in from;
    socklen_t size = sizeof from;
    char request[8];
    CHECK(lines_request(&lines, (const uint8_t *)"please", 6) == 0);
    CHECK(recvfrom(server, request, sizeof request, 0, (struct sockaddr *)&from, &size) == 6);
    CHECK(memcmp(request, "please", 6) == 0);
    CHECK(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, size) == 6);
    hears(&lines, TRANSPORT_LINE_REQUESTED, "answer");
    CHECK(sendto(sender, "forged", 6, 0, (struct sockaddr *)&from, size) == 6); /* not from the server */
    lines.await = 0;
    CHECK(sendto(server, "late", 4, 0, (struct sockaddr *)&from, size) == 4);
    hears(&lines, TRANSPORT_LINE_REQUESTED, "late");
    hears_nothing(&lines);

    close(server); /* refused now: no error of the feed */
    for (int i = 0; i < 3; i++)
        lines_request(&lines, (const uint8_t *)"please", 6);
    hears_nothing(&lines);
    say(sender, "127.0.0.1", feed.port, "");
    hears(&lines, TRANSPORT_LINE_A, ""); /* an empty datagram is a packet, not the end */
    lines_close(&lines);
    close(sender);
}

static void one_line(void)
{
    struct lines lines;
    struct failure failure;
    struct feed_settings feed = unicast();
    struct transport_packet packet;
    uint16_t port;
    int sender = peer("127.0.0.1", &port);
    lines_init(&lines);
    CHECK(lines_open(&lines, &feed, buffer, &failure));
    for (int i = 0; i < 3; i++)
        say(sender, "127.0.0.1", feed.port, "x");
    hears(&lines, TRANSPORT_LINE_A, "x");
    for (int i = 0; i < 2; i++)
        CHECK(lines_receive(&lines, &packet) == TRANSPORT_PACKET);
    CHECK(lines_receive(&lines, &packet) == TRANSPORT_NOTHING);
    CHECK(lines.fds[TRANSPORT_LINE_B] < 0 && lines.fds[TRANSPORT_LINE_REQUESTED] < 0);
    lines_close(&lines);
    close(sender);
}

/* Until stamping has begun, packets may come without one; after it each has one, requested ones too. */
static void every_line_is_stamped(void)
{
    struct lines lines;
    struct failure failure;
    struct feed_settings feed = unicast();
    uint16_t port;
    int sender = peer("127.0.0.1", &port);
    strcpy(feed.group_b, "127.0.0.2");
    feed.port_b = feed.port;
    strcpy(feed.request_host, "127.0.0.1");
    feed.request_port = port;
    lines_init(&lines);
    CHECK(lines_open(&lines, &feed, buffer, &failure) && lines_stamp(&lines, STAMP_SOFTWARE) && !lines.stamped);
    struct sockaddr_in here[LINES];
    unsigned stamped = 0;
    for (unsigned i = 0; i < LINES; i++) {
        socklen_t size = sizeof here[i];
        CHECK(getsockname(lines.fds[i], (struct sockaddr *)&here[i], &size) == 0);
    }
    for (unsigned attempt = 0; stamped != (1u << LINES) - 1 && attempt < PATIENCE_MS / 2; attempt++) {
        struct transport_packet packet;
        for (unsigned i = 0; i < LINES; i++)
            CHECK(sendto(sender, "x", 1, 0, (struct sockaddr *)&here[i], sizeof here[i]) == 1);
        for (unsigned i = 0; i < LINES * LINES_LATE; i++)
            if (lines_receive(&lines, &packet) == TRANSPORT_PACKET && packet.receive_clock == STAMP_SOFTWARE) {
                CHECK(packet.receive_ns != 0 && packet.receive_software_ns == 0 && lines.stamped);
                stamped |= 1u << packet.line;
            }
        poll(NULL, 0, 2);
    }
    CHECK(stamped == (1u << LINES) - 1);
    lines_close(&lines);
    close(sender);
}

static void groups(void)
{
    struct lines lines;
    struct failure failure;
    struct in_addr lo = {htonl(INADDR_LOOPBACK)};
    struct feed_settings feed = {.group = GROUP, .interface = "127.0.0.1", .source = "127.0.0.5", .port = free_port()};
    uint16_t port;
    int right = peer("127.0.0.5", &port), wrong = peer("127.0.0.6", &port);
    strcpy(feed.group_b, GROUP);
    do
        feed.port_b = free_port();
    while (feed.port_b == feed.port);
    CHECK(setsockopt(right, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
    CHECK(setsockopt(wrong, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
    lines_init(&lines);
    CHECK(lines_open(&lines, &feed, buffer, &failure));
    say(wrong, GROUP, feed.port, "wrong on a");
    say(right, GROUP, feed.port, "right on a");
    hears(&lines, TRANSPORT_LINE_A, "right on a");
    say(wrong, GROUP, feed.port_b, "any on b"); /* line B has no source to keep to */
    hears(&lines, TRANSPORT_LINE_B, "any on b");
    hears_nothing(&lines);

    /* The same group and port twice, told apart by the source alone. */
    feed.port_b = feed.port;
    strcpy(feed.source_b, "127.0.0.6");
    CHECK(lines_open(&lines, &feed, buffer, &failure));
    say(right, GROUP, feed.port, "from 5");
    hears(&lines, TRANSPORT_LINE_A, "from 5");
    say(wrong, GROUP, feed.port, "from 6");
    hears(&lines, TRANSPORT_LINE_B, "from 6");
    hears_nothing(&lines);
    lines_close(&lines);
    close(right);
    close(wrong);
}

static void refuses(struct feed_settings feed, int code, const char *text)
{
    struct lines lines;
    struct failure failure;
    lines_init(&lines);
    bool opened = lines_open(&lines, &feed, buffer, &failure);
    lines_close(&lines);
    if (opened || failure.code != code || strstr(failure.text, text) == NULL)
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, opened ? "open" : failure.text);
    CHECK(!opened && failure.code == code && strstr(failure.text, text) != NULL);
}

static void refusals(void)
{
    struct feed_settings feed = unicast();
    strcpy(feed.source, "127.0.0.5");
    refuses(feed, EINVAL, "feed.source 127.0.0.5: only a multicast group");
    strcpy(feed.source, "x");
    refuses(feed, EINVAL, "feed.source \"x\" must be IPv4");
    feed = unicast();
    strcpy(feed.group_b, "localhost");
    refuses(feed, EINVAL, "feed.group_b \"localhost\"");
    strcpy(feed.group_b, feed.group);
    feed.port_b = feed.port;
    refuses(feed, EINVAL, "the same as line A's");
    strcpy(feed.group_b, GROUP);
    strcpy(feed.interface_b, "192.0.2.77");
    refuses(feed, ENODEV, "is feed.interface_b an address of this machine?");
    strcpy(feed.group_b, "192.0.2.77");
    refuses(feed, EADDRNOTAVAIL, "on 192.0.2.77: bind");
    feed = unicast();
    strcpy(feed.request_host, "localhost");
    refuses(feed, EINVAL, "feed.request_host \"localhost\"");
}

int main(void)
{
    two_lines_and_a_server();
    one_line();
    every_line_is_stamped();
    groups();
    refusals();
    return DONE();
}

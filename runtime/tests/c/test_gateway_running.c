/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's gateway over the double of the RDMA libraries, on its thread, with an engine: who subscribes again, or while the way
 * is away; groups; an end that does not read, or is not there; another lane. */
#include "verbs_pair.h"

#define PACKETS 600u

static struct transport_packet packet;

/* --- whether the gateway sleeps --- */

static _Atomic unsigned slept;

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec wait = {timeout_ms / 1000, timeout_ms % 1000 * (long)NS_PER_MS};
    int ready = ppoll(fds, count, timeout_ms < 0 ? NULL : &wait, NULL);
    if (ready == 0 && timeout_ms > 0 && count > 0 && fds[0].fd == gateway.stop)
        atomic_fetch_add(&slept, 1);
    return ready;
}

static unsigned slept_before;

static bool sleeps(void)
{
    return atomic_load(&slept) >= slept_before + 3;
}

static bool gateway_sleeps(void)
{
    slept_before = atomic_load(&slept);
    return within(sleeps);
}

/* --- the feed --- */

static bool subscribed_again(void)
{
    return atomic_load(&gateway.counts.subscriptions) == 4 && both_subscribed();
}

static bool refused_twice(void)
{
    return atomic_load(&gateway.counts.refused) >= 2;
}

/* Packets of both lines: each comes once, in order, on its line. */
static void expect_each_once(int out, const char *group_a, const char *group_b)
{
    uint32_t sent = 0, next[2] = {0, 0};
    uint64_t until = clock_now() + PATIENCE_NS, datagrams = atomic_load(&gateway.counts.datagrams);
    const char *groups[2] = {group_a, group_b};
    const uint16_t ports[2] = {gateway_settings.feed.port, gateway_settings.feed.port_b};
    while ((next[0] < PACKETS || next[1] < PACKETS) && clock_now() < until) {
        for (; sent < PACKETS && sent < next[0] + 64 && sent < next[1] + 64; sent++)
            for (int line = 0; line < 2; line++) {
                struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ports[line])};
                uint8_t bytes[300] = {0};
                put32(bytes, sent);
                CHECK(inet_pton(AF_INET, groups[line], &to.sin_addr) == 1);
                CHECK(sendto(out, bytes, 4 + sent % 296, 0, (struct sockaddr *)&to, sizeof to) == 4 + sent % 296);
            }
        int got = feed.receive(feed.self, &packet);
        CHECK(got == TRANSPORT_PACKET || got == TRANSPORT_NOTHING);
        if (got == TRANSPORT_NOTHING)
            continue;
        uint32_t *expected = &next[packet.line == TRANSPORT_LINE_A ? 0 : 1];
        CHECK(packet.length == 4 + *expected % 296 && get32(packet.bytes) == *expected);
        (*expected)++;
    }
    CHECK(next[0] == PACKETS && next[1] == PACKETS && feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);
    CHECK(atomic_load(&gateway.counts.datagrams) == datagrams + 2 * PACKETS);
}

/* The link was away: the engine asks again, and the goodbye of the connection before is lost. */
static void test_who_asks_again(void)
{
    uint16_t port;
    int out = bound(SOCK_DGRAM, &port);
    start_gateway();
    open_engine();
    CHECK(within(both_subscribed));
    int fd = knock();
    const uint8_t *request = verbs.feed.lines[0].subscription.request;
    CHECK(send(fd, request, SUBSCRIPTION_REQUEST, 0) == (ssize_t)SUBSCRIPTION_REQUEST && answered(fd) == 0);
    CHECK(within(subscribed_again)); /* the engine, whose connection that has ended */
    CHECK(recv(fd, &port, 1, 0) == 0);
    close(fd);
    expect_each_once(out, "127.0.0.1", "127.0.0.1");
    verbs_close(&verbs);
    stop_gateway();
    close(out);
}

/* A way that is away for a moment ends no engine. */
static void test_a_moment_without_a_way(void)
{
    start_gateway();
    twin_of_rdma->way_errno = EHOSTUNREACH;
    open_engine();
    CHECK(within(refused_twice) && feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);
    twin_of_rdma->way_errno = 0;
    CHECK(within(both_subscribed) && feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);
    verbs_close(&verbs);
    stop_gateway();
}

/* Who has joined a line's group gets its datagrams, nobody else does, and all leave. */
static void test_groups(void)
{
    static struct verbs third;
    static uint8_t buffer[MOLD_PACKET_MAX];
    struct gateway_settings alone = gateway_settings;
    struct engine_settings joined = settings, elsewhere;
    struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int out = bound(SOCK_DGRAM, &port), objects = twin_of_rdma->objects;
    unsigned receives = twin_of_rdma->receives;
    CHECK(setsockopt(out, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback) == 0);
    gateway_settings.multicast = true;
    strcpy(gateway_settings.feed.group, "239.255.71.1");
    strcpy(gateway_settings.feed.group_b, "239.255.71.2");
    strcpy(settings.feed.group, "239.255.71.1");
    strcpy(settings.feed.group_b, "239.255.71.2");
    settings.feed.gateway[0] = '\0';
    elsewhere = settings;
    strcpy(elsewhere.feed.group, "239.255.71.3");
    strcpy(elsewhere.feed.group_b, "239.255.71.4");
    start_gateway();
    CHECK(twin_of_rdma->way == (106 << 8 | 5)); /* in the lane, like those to one subscriber */
    open_engine();
    verbs_init(&third);
    CHECK(verbs_open(&third, &elsewhere, &places, buffer, &failure));
    expect_each_once(out, "239.255.71.1", "239.255.71.2");
    struct feed_transport elsewhere_feed = verbs_feed_interface(&third.feed);
    CHECK(elsewhere_feed.receive(elsewhere_feed.self, &packet) == TRANSPORT_NOTHING);
    CHECK(twin_of_rdma->receives == receives + 2 * PACKETS);
    verbs_close(&third);
    verbs_close(&verbs);
    stop_gateway();
    CHECK(twin_of_rdma->objects == objects); /* a queue pair still in a group would be left, and its queues */
    gateway_settings = alone;
    settings = joined;
    close(out);
}

/* The engine does not read, and so the gateway cannot send on what the order server has sent: it sleeps, and loses nothing. */
static void test_an_engine_that_does_not_read(void)
{
    static uint8_t bytes[65536];
    uint64_t state = 9, sent = 0, got = 0, until;
    start_gateway();
    open_engine();
    CHECK(within(both_subscribed));
    int fd = connect_orders();
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)chance(&state);
    twin_of_rdma->hold_completions = 1;
    while (sent < 64 * LINK_SENDS * (uint64_t)LINK_MESSAGE) {
        uint32_t at = sent % sizeof bytes;
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        ssize_t more = send(fd, bytes + at, sizeof bytes - at, MSG_DONTWAIT);
        if (more < 0 && poll(&room, 1, 200) == 0)
            break; /* what the sockets hold is there */
        sent += more > 0 ? (uint64_t)more : 0;
    }
    CHECK(sent > LINK_SENDS * (uint64_t)LINK_MESSAGE && gateway_sleeps());
    twin_of_rdma->hold_completions = 0;
    for (until = clock_now() + PATIENCE_NS; got < sent && clock_now() < until;) {
        uint8_t piece[LINK_MESSAGE];
        int more = orders.receive(orders.self, piece, sizeof piece);
        CHECK(more >= 0);
        for (int i = 0; i < more; i++, got++)
            CHECK(piece[i] == bytes[got % sizeof bytes]);
    }
    CHECK(got == sent);
    close(fd);
    orders.drop(orders.self);
    verbs_close(&verbs);
    stop_gateway();
}

static void *connect_in_vain(void *result)
{
    struct failure why;
    *(int *)result = verbs_connect(&verbs, &settings.orders, -1, &why) ? 0 : why.code;
    return NULL;
}

/* The order server ends a connection that does not stand yet. */
static void test_a_server_that_closes_early(void)
{
    pthread_t thread;
    int code = 0;
    start_gateway();
    open_engine();
    CHECK(within(both_subscribed));
    twin_of_rdma->mute = 2;
    CHECK(pthread_create(&thread, NULL, connect_in_vain, &code) == 0);
    close(accept(server, NULL, NULL));
    CHECK(gateway_sleeps());
    verbs_close(&verbs);
    CHECK(pthread_join(thread, NULL) == 0 && code == ECANCELED);
    twin_of_rdma->mute = 0;
    stop_gateway();
}

static bool bridge_ended(void)
{
    return atomic_load(&gateway.counts.connections) == 1 && atomic_load(&gateway.counts.bridges) == 0;
}

/* A connection in another lane than rdma.tos is ended. */
static void test_another_lane(void)
{
    settings.orders.tos = 72;
    start_gateway();
    open_engine();
    CHECK(verbs_connect(&verbs, &settings.orders, -1, &failure) && within(bridge_ended));
    CHECK(is_told("go with traffic class 72, rdma.tos is 106: another lane than the intent's"));
    close(accept(server, NULL, NULL));
    verbs_close(&verbs);
    stop_gateway();
    settings.orders.tos = 104;
}

/* An order server that takes no connection is one that is away; the gateway does not wait for it. */
static void test_a_server_that_takes_nobody(void)
{
    enum { MOST = 16 };
    uint16_t port = gateway_settings.orders_port;
    int full = bound(SOCK_STREAM, &gateway_settings.orders_port), fds[MOST], count = 0;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(gateway_settings.orders_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool taken_up = true;
    CHECK(listen(full, 0) == 0);
    while (taken_up && count < MOST) {
        fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        taken_up = connect(fds[count], (struct sockaddr *)&to, sizeof to) == 0;
        struct pollfd until = {.fd = fds[count++], .events = POLLOUT};
        taken_up = taken_up || poll(&until, 1, 100) > 0;
    }
    CHECK(!taken_up);
    start_gateway();
    open_engine();
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == ECONNREFUSED);
    CHECK(strstr(failure.text, "does not answer: Connection timed out") != NULL);
    verbs_close(&verbs);
    stop_gateway();
    while (count-- > 0)
        close(fds[count]);
    close(full);
    gateway_settings.orders_port = port;
}

int main(int argc, char **argv)
{
    (void)argc;
    pair_open(argv[0]);
    test_who_asks_again();
    test_a_moment_without_a_way();
    test_groups();
    test_an_engine_that_does_not_read();
    test_a_server_that_closes_early();
    test_a_server_that_takes_nobody();
    test_another_lane();
    pair_close();
    return DONE();
}

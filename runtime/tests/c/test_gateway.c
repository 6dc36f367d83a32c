/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's gateway over the double of the RDMA libraries, step by step: who subscribes again, never, or while the way is away; a
 * queue that is full; packets no slot holds. */
#include "verbs_pair.h"

#include <netinet/tcp.h>

#define LONG_PACKET 4096u

/* --- what the gateway waits for, counted --- */

static _Atomic unsigned yields;

/* At least a millisecond each: so no wait of N ms has more than N and some of them. */
int sched_yield(void)
{
    atomic_fetch_add(&yields, 1);
    return poll(NULL, 0, 1) < 0;
}

/* --- subscribers without an engine, the gateway step by step --- */

static void step(void)
{
    gateway_subscribers_accept(&gateway);
    gateway_subscribers_step(&gateway);
    gateway_feed_step(&gateway);
}

static bool step_until_subscribed(void)
{
    step();
    return both_subscribed();
}

static void open_gateway(void)
{
    CHECK(gateway_open(&gateway, &gateway_settings, &places, &failure));
}

/* Of line A, to the queue pair `number`, which nobody has. */
static void ask_for(int fd, uint32_t number)
{
    uint8_t request[SUBSCRIPTION_REQUEST];
    struct subscription_wish wish = {
        .group.s_addr = htonl(INADDR_LOOPBACK), .port = gateway_settings.feed.port, .queue_pair = number, .key = 1, .mtu = 4096};
    subscription_encode(request, &wish);
    CHECK(send(fd, request, sizeof request, 0) == (ssize_t)sizeof request);
}

static int subscribe(int *fd, uint32_t number)
{
    *fd = knock();
    ask_for(*fd, number);
    step();
    return answered(*fd);
}

/* Who never asks, or is one too many, is let go; who is there is asked by TCP whether it still is. */
static void test_slots(void)
{
    int fds[GATEWAY_SUBSCRIBERS + 1], on = 0, after_ms = 0;
    socklen_t size = sizeof on;
    open_gateway();
    fds[0] = knock();
    CHECK(send(fds[0], "half", 4, 0) == 4);
    step();
    CHECK(gateway.subscribers[0].fd >= 0 && gateway.subscribers[0].due_ns > 0);
    step();
    CHECK(gateway.subscribers[0].fd >= 0);
    gateway.subscribers[0].due_ns = 1; /* its time is up */
    step();
    CHECK(gateway.subscribers[0].fd < 0 && answered(fds[0]) == -1);
    close(fds[0]);
    for (uint32_t i = 0; i < GATEWAY_SUBSCRIBERS; i++)
        CHECK(subscribe(&fds[i], 1000 + i) == 0);
    CHECK(getsockopt(gateway.subscribers[0].fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0 && on == 1);
    CHECK(getsockopt(gateway.subscribers[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &after_ms, &size) == 0 && after_ms > 0);
    gateway.subscribers[0].due_ns = 1; /* no longer of any meaning */
    CHECK(subscribe(&fds[GATEWAY_SUBSCRIBERS], 2000) == -1 && is_told("64 subscribers are there"));
    CHECK(atomic_load(&gateway.counts.subscribers) == GATEWAY_SUBSCRIBERS && atomic_load(&gateway.counts.refused) == 1);
    for (uint32_t i = 0; i <= GATEWAY_SUBSCRIBERS; i++)
        close(fds[i]);
    step();
    CHECK(nobody_subscribed());
    gateway_release(&gateway);
}

static void subscribe_again(void)
{
    int first, again, other;
    CHECK(subscribe(&first, 1000) == 0 && subscribe(&other, 1001) == 0 && subscribe(&again, 1000) == 0);
    CHECK(atomic_load(&gateway.counts.subscribers) == 2 && answered(first) == -1);
    close(first);
    close(again);
    close(other);
    step();
    CHECK(nobody_subscribed());
}

#define ADDRESS "0000:0000:0000:0000:0000:ffff:7f00:0001\n"
#define UNUSED "0000:0000:0000:0000:0000:0000:0000:0000\n"

/* The gateway's address, or the way to the subscriber, may be away: nobody is refused for that, and nothing goes from another address. */
static void test_the_way(void)
{
    int fd;
    open_gateway();
    subscribe_again();
    CHECK(twin_of_rdma->way_from == 1);
    site_gid("1", UNUSED, "");
    site_gid("4", ADDRESS, "RoCE v2\n");
    CHECK(subscribe(&fd, 1000) == 0 && twin_of_rdma->way_from == 4);
    close(fd);
    site_gid("4", UNUSED, "");
    CHECK(subscribe(&fd, 1000) == -1 && is_told("rdma.interface 127.0.0.1"));
    close(fd);
    site_gid("1", ADDRESS, "RoCE v2\n");
    twin_of_rdma->way_errno = EHOSTUNREACH;
    CHECK(subscribe(&fd, 1000) == -1 && is_told("no way to the subscriber's GID from double0"));
    close(fd);
    twin_of_rdma->way_errno = 0;
    CHECK(subscribe(&fd, 1000) == 0 && twin_of_rdma->way_from == 1);
    close(fd);
    gateway_release(&gateway);

    gateway_settings.verbs.gid_index = 1; /* no other will do */
    open_gateway();
    site_gid("1", UNUSED, "");
    site_gid("4", ADDRESS, "RoCE v2\n");
    CHECK(subscribe(&fd, 1000) == -1 && is_told("rdma.gid_index 1 of double0 is unused"));
    close(fd);
    site_gid("4", UNUSED, "");
    site_gid("1", ADDRESS, "RoCE v2\n");
    gateway_settings.verbs.gid_index = -1;
    gateway_release(&gateway);
}

/* A queue that does not move costs each step one wait, however much comes. */
static void test_a_full_queue(void)
{
    uint16_t port;
    int fd, out = bound(SOCK_DGRAM, &port);
    open_gateway();
    CHECK(subscribe(&fd, 1000) == 0);
    twin_of_rdma->hold_completions = 1;
    for (uint32_t i = 0; i < GATEWAY_SENDS; i++) {
        say(out, gateway_settings.feed.port, i, 64);
        step();
    }
    CHECK(atomic_load(&gateway.counts.datagrams) == GATEWAY_SENDS && atomic_load(&yields) == 0);
    for (uint32_t i = 0; i < 100; i++)
        say(out, gateway_settings.feed.port, i, 64);
    step();
    CHECK(atomic_load(&gateway.counts.dropped) == 100 && atomic_load(&yields) <= GATEWAY_FULL_MS + 1);
    twin_of_rdma->hold_completions = 0;
    say(out, gateway_settings.feed.port, 0, 64);
    step();
    CHECK(atomic_load(&gateway.counts.datagrams) == GATEWAY_SENDS + 1 && atomic_load(&gateway.counts.dropped) == 100);
    close(fd);
    close(out);
    gateway_release(&gateway);
}

/* A way is there for as long as the device may need it: until what was posted is completed, or has had its time. */
static void test_the_way_of_one_that_left(void)
{
    uint16_t port;
    int fd, out = bound(SOCK_DGRAM, &port);
    open_gateway();
    for (int quiet = 0; quiet < 2; quiet++) {
        CHECK(subscribe(&fd, 1000) == 0);
        int with_it = twin_of_rdma->objects;
        twin_of_rdma->hold_completions = 1;
        for (uint32_t i = 0; i < GATEWAY_SIGNAL; i++)
            say(out, gateway_settings.feed.port, i, 64);
        step();
        close(fd);
        step();
        step();
        CHECK(nobody_subscribed() && gateway.subscribers[0].fd < 0 && twin_of_rdma->objects == with_it);
        twin_of_rdma->hold_completions = quiet;
        gateway.subscribers[0].due_ns = quiet ? 1 : UINT64_MAX; /* its time is up, or never */
        step();
        step();
        CHECK(gateway.subscribers[0].ah == NULL && twin_of_rdma->objects == with_it - 1);
        twin_of_rdma->hold_completions = 0;
        step();
    }
    close(out);
    gateway_release(&gateway);
}

static struct transport_packet packet;

static bool feed_failed(void)
{
    return feed.receive(feed.self, &packet) < 0;
}

/* What no slot of a subscriber holds ends its queue pair, and so the engine: the gateway never sends it. */
static void test_long_packets(void)
{
    static uint8_t bytes[LONG_PACKET];
    uint16_t port;
    int out = bound(SOCK_DGRAM, &port);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(gateway_settings.feed.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const uint32_t lengths[] = {FEED_DATAGRAM + 1, LONG_PACKET, FEED_DATAGRAM};
    open_gateway();
    open_engine();
    CHECK(within(step_until_subscribed));
    for (uint32_t i = 0; i < 3; i++)
        CHECK(sendto(out, bytes, lengths[i], 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)lengths[i]);
    step();
    CHECK(atomic_load(&gateway.counts.oversize) == 2 && is_told("a packet of 2009 bytes is lost"));
    CHECK(feed.receive(feed.self, &packet) == TRANSPORT_PACKET && packet.length == FEED_DATAGRAM);
    CHECK(feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);

    struct ibv_sge part = {(uintptr_t)gateway.memory, FEED_DATAGRAM + 1, gateway.device.mr->lkey};
    struct ibv_send_wr request = {.sg_list = &part,
                                  .num_sge = 1,
                                  .opcode = IBV_WR_SEND,
                                  .wr.ud = {.ah = gateway.subscribers[0].ah,
                                            .remote_qpn = gateway.subscribers[0].queue_pair,
                                            .remote_qkey = gateway.subscribers[0].key}},
                       *bad;
    CHECK(ibv_post_send(gateway.out->qp, &request, &bad) == 0); /* somebody else's */
    CHECK(within(feed_failed) && feed.receive(feed.self, &packet) == -EIO);
    CHECK(strstr(feed.why(feed.self), "receive: local length error") != NULL);
    CHECK(strstr(feed.why(feed.self), "a packet longer than a slot") != NULL);
    verbs_close(&verbs);
    close(out);
    gateway_release(&gateway);
}

int main(int argc, char **argv)
{
    (void)argc;
    pair_open(argv[0]);
    test_slots();
    test_the_way();
    test_a_full_queue();
    test_the_way_of_one_that_left();
    test_long_packets();
    pair_close();
    return DONE();
}

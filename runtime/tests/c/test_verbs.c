/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs transport as the engine opens it, against the exchange's gateway, both over the double of the RDMA libraries: packets of two
 * lines, orders through the bridge, connections that end and are made again, and what each bad day is told with. */
#include "verbs_pair.h"

#define PACKETS (3 * FEED_SLOTS / 2) /* round the ring */

/* --- market data --- */

static void test_feed(void)
{
    uint16_t port;
    int fd = bound(SOCK_DGRAM, &port);
    uint64_t state = 3, until = clock_now() + PATIENCE_NS;
    uint32_t next[2] = {0, 0}, sent[2] = {0, 0};
    unsigned posts = twin_of_rdma->receive_posts;
    CHECK(within(both_subscribed));
    while ((next[0] < PACKETS || next[1] < PACKETS) && clock_now() < until) {
        struct transport_packet packet;
        for (uint32_t line = 0; line < 2; line++)
            for (int i = 0; i < 8 && sent[line] < PACKETS && sent[line] - next[line] < 64; i++, sent[line]++)
                say(fd, line == 0 ? settings.feed.port : settings.feed.port_b, sent[line], 4 + (uint32_t)(chance(&state) % 1400));
        int got = feed.receive(feed.self, &packet);
        CHECK(got == TRANSPORT_PACKET || got == TRANSPORT_NOTHING);
        if (got == TRANSPORT_NOTHING)
            continue;
        uint32_t line = packet.line == TRANSPORT_LINE_A ? 0 : 1;
        CHECK(packet.length >= 4 && packet.receive_ns != 0);
        CHECK(get32(packet.bytes) == next[line]); /* past the routing header, in order, each once */
        for (uint32_t i = 4; i < packet.length; i++)
            CHECK(packet.bytes[i] == (uint8_t)next[line]);
        next[line]++;
    }
    CHECK(next[0] == PACKETS && next[1] == PACKETS);
    CHECK(twin_of_rdma->receive_posts - posts <= 2 * PACKETS / FEED_REFILL + 2);
    close(fd);
}

/* --- orders --- */

static bool broken(void)
{
    uint8_t byte;
    return orders.receive(orders.self, &byte, 1) < 0;
}

static void receive_exactly(uint8_t *bytes, uint32_t length)
{
    uint64_t until = clock_now() + PATIENCE_NS;
    for (uint32_t at = 0; at < length;) {
        int got = orders.receive(orders.self, bytes + at, length - at);
        CHECK(got >= 0 && clock_now() < until);
        at += (uint32_t)got;
    }
}

static void test_orders(void)
{
    static uint8_t out[100000], back[100000];
    uint64_t state = 5;
    uint32_t last_byte = 0, at = 0;
    int fd = connect_orders();
    for (uint32_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)chance(&state);
    while (at < sizeof out) { /* the server sends everything back */
        uint32_t length = 1 + (uint32_t)(chance(&state) % 400), got = 0;
        length = length < sizeof out - at ? length : (uint32_t)sizeof out - at;
        CHECK(orders.send(orders.self, out + at, length, &last_byte) == 0 && last_byte == at + length - 1);
        while (got < length) {
            ssize_t more = recv(fd, back, length - got, 0);
            CHECK(more > 0 && memcmp(back, out + at + got, (size_t)more) == 0);
            CHECK(send(fd, back, (size_t)more, 0) == more);
            got += (uint32_t)more;
        }
        receive_exactly(back, length);
        CHECK(memcmp(back, out + at, length) == 0);
        at += length;
    }
    close(fd); /* the order server ends it */
    CHECK(within(broken) && strstr(orders.why(orders.self), "the other end closed it") != NULL);
    orders.drop(orders.self);
    CHECK(orders.receive(orders.self, back, 1) == -ENOTCONN && orders.send(orders.self, out, 1, &last_byte) == -ENOTCONN);
}

/* Many connections, some replaced before they are taken: none is lost track of. */
static void test_replacement(void)
{
    uint8_t byte = 7, got = 0;
    uint32_t last_byte, made = atomic_load(&verbs.orders.made);
    for (int i = 0; i < 4; i++) {
        CHECK(verbs_connect(&verbs, &settings.orders, -1, &failure));
        close(accept(server, NULL, NULL));
        int fd = connect_orders();
        CHECK(orders.send(orders.self, &byte, 1, &last_byte) == 0 && last_byte == 0);
        CHECK(recv(fd, &got, 1, 0) == 1 && got == byte);
        close(fd);
        orders.drop(orders.self);
    }
    CHECK(atomic_load(&verbs.orders.made) == made + 4);
}

static void test_the_gateway_goes_away(void)
{
    char problem[256];
    int fd = connect_orders();
    stop_gateway();
    close(fd);
    CHECK(within(broken));
    orders.drop(orders.self);
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == ECONNREFUSED);
    CHECK(strstr(failure.text, "is the exchange's RDMA gateway running?") != NULL);
    start_gateway();
    CHECK(within(both_subscribed)); /* the feed comes back by itself */
    poll(NULL, 0, 2 * VERBS_KEEP_MS);
    verbs_problem(&verbs, problem, sizeof problem);
    CHECK(problem[0] == '\0');
    close(connect_orders());
    orders.drop(orders.self);
}

static void *connect_in_vain(void *result)
{
    struct failure why;
    *(int *)result = verbs_connect(&verbs, &settings.orders, -1, &why) ? 0 : why.code;
    return NULL;
}

/* An attempt under way when the engine closes gives up; nothing it uses goes away before. */
static void test_closing_while_connecting(void)
{
    pthread_t thread;
    int code = 0;
    twin_of_rdma->mute = 1;
    CHECK(pthread_create(&thread, NULL, connect_in_vain, &code) == 0);
    poll(NULL, 0, 50);
    verbs_close(&verbs);
    CHECK(pthread_join(thread, NULL) == 0 && code == ECANCELED);
    twin_of_rdma->mute = 0;
    CHECK(within(nobody_subscribed));
}

/* --- bad days --- */

static struct transport_packet packet;

static bool feed_failed(void)
{
    int got = feed.receive(feed.self, &packet);
    CHECK(got == TRANSPORT_NOTHING || got == TRANSPORT_PACKET || got < 0);
    return got < 0;
}

static void test_refusals(void)
{
    uint16_t port = settings.feed.port;
    settings.feed.port = port == 1 ? 2 : 1;
    open_engine();
    CHECK(within(feed_failed) && strstr(feed.why(feed.self), "refused: there is no line 127.0.0.1:1 here") != NULL);
    CHECK(feed.receive(feed.self, &packet) == -EPROTO);
    verbs_close(&verbs);
    settings.feed.port = port;

    twin_of_rdma->mtu[0] = IBV_MTU_1024; /* of the engine's port alone */
    open_engine();
    CHECK(within(feed_failed) && strstr(feed.why(feed.self), "MTU mismatch: RDMA MTU 4096 at the gateway, 1024 there") != NULL);
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == ECONNREFUSED);
    CHECK(strstr(failure.text, "the gateway refuses: MTU mismatch") != NULL);
    verbs_close(&verbs);

    twin_of_rdma->memory_errno = ENOMEM;
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == EPERM);
    CHECK(strstr(failure.text, "of memory cannot be registered") != NULL);
    twin_of_rdma->memory_errno = 0;

    settings.verbs.roce_version = 1;
    site_gid("2", "0000:0000:0000:0000:0000:0000:0000:0000\n", "");
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == ENODEV);
    CHECK(strstr(failure.text, "verbs.roce_version 1") != NULL);
    settings.verbs.roce_version = 2;

    settings.feed.gateway[0] = '\0';
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == EINVAL);
    CHECK(strstr(failure.text, "is no multicast group: over verbs set feed.gateway") != NULL);
    strcpy(settings.feed.group, "239.1.1.1"); /* joined */
    settings.feed.group_b[0] = '\0';
    open_engine();
    CHECK(feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);
    verbs_close(&verbs);
    strcpy(settings.feed.group, "127.0.0.1");
    strcpy(settings.feed.group_b, "127.0.0.1");
    strcpy(settings.feed.gateway, "127.0.0.1");
}

/* The gateway hears the same device, and an event is heard by one of the two: said until the engine has heard it. */
static bool port_says(unsigned device, int up, const char *said)
{
    char problem[256];
    twin_of_rdma->port_event(device, up);
    verbs_problem(&verbs, problem, sizeof problem);
    return strcmp(problem, said) == 0;
}

static bool port_is_down(void)
{
    return port_says(0, 0, "the RDMA port is down; look at `ip link show dbl0`");
}

static bool port_is_up(void)
{
    return port_says(0, 1, "");
}

static bool second_port_is_down(void)
{
    return port_says(1, 0, "the RDMA port is down; look at `ip link show dbl1`");
}

static bool second_port_is_up(void)
{
    return port_says(1, 1, "");
}

/* Line B on a device of its own: the port that is down is named, and one that comes up says nothing of the other. */
static bool both_down(void)
{
    port_is_down();
    return second_port_is_down() || port_is_down();
}

static bool first_port_alone_is_down(void)
{
    twin_of_rdma->port_event(1, 1);
    return port_is_down();
}

static void test_the_ports_of_two_devices(void)
{
    strcpy(settings.feed.interface_b, "127.0.0.2");
    open_engine();
    CHECK(within(both_subscribed) && within(second_port_is_down) && within(second_port_is_up));
    CHECK(within(both_down) && within(first_port_alone_is_down) && within(port_is_up));
    verbs_close(&verbs);
    settings.feed.interface_b[0] = '\0';
    CHECK(within(nobody_subscribed));
}

static void test_the_port_and_the_device(void)
{
    uint8_t byte;
    open_engine();
    int fd = connect_orders();
    CHECK(within(both_subscribed) && within(port_is_down) && within(port_is_up));
    twin_of_rdma->remove_device(0);
    CHECK(within(feed_failed) && strstr(feed.why(feed.self), "RDMA device double0 was removed") != NULL);
    CHECK(feed.receive(feed.self, &packet) == -ENODEV);
    CHECK(within(broken) && orders.receive(orders.self, &byte, 1) < 0);
    CHECK(pthread_join(gateway_thread, NULL) == 0 && !gateway_good && gateway_failure.code == ENODEV);
    close(fd);
    verbs_close(&verbs);
    gateway_release(&gateway);
}

int main(int argc, char **argv)
{
    (void)argc;
    site_open(argv[0]);
    configure();
    gateway_init(&gateway);
    verbs_init(&verbs);
    start_gateway();
    open_engine();
    test_feed();
    test_orders();
    test_replacement();
    test_the_gateway_goes_away();
    test_closing_while_connecting();
    test_refusals();
    test_the_ports_of_two_devices();
    test_the_port_and_the_device();
    CHECK(twin_of_rdma->objects <= 2); /* this program keeps the double loaded, and so its devices open */
    close(server);
    close(wake);
    site_close();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs transport as the engine opens it, against the exchange's gateway, both over the double of the RDMA libraries: packets of two
 * lines, orders through the bridge, connections that end and are made again, and what each bad day is told with. */
#include "verbs_pair.h"

#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define PACKETS (3 * FEED_SLOTS / 2) /* round the ring */

/* --- market data --- */

static void test_feed(void)
{
    uint16_t port;
    int fd = bound(SOCK_DGRAM, &port);
    uint64_t state = 3, until = clock_now() + PATIENCE_NS;
    uint32_t next[2] = {0, 0}, sent[2] = {0, 0};
    unsigned posts = twin_of_rdma->receive_posts;
    CHECK(within(both_subscribed) && twin_of_rdma->way == (106 << 8 | 5));
    CHECK(twin_of_rdma->way_from == (settings.verbs.roce_version == 1 ? 2 : 1));
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
    twin_of_rdma->ack_timeout = 0;
    int fd = connect_orders();
    CHECK(twin_of_rdma->ack_timeout == 15); /* 4.096 us * 2^15 = 134 ms */
    CHECK(twin_of_rdma->rnr_timer == 1);    /* 0.01 ms */
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
        for (int n = 0; n < VERBS_LINKS; n++) /* the queue pair of the one before sends nothing any more */
            CHECK(atomic_load(&verbs.orders.links[n].state) != VERBS_RETIRED);
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

static void close_after(int ms)
{
    pthread_t thread;
    int code = 0;
    twin_of_rdma->mute = 1;
    CHECK(pthread_create(&thread, NULL, connect_in_vain, &code) == 0);
    poll(NULL, 0, ms);
    verbs_close(&verbs);
    CHECK(pthread_join(thread, NULL) == 0 && code == ECANCELED);
    twin_of_rdma->mute = 0;
    CHECK(within(nobody_subscribed));
}

/* --- RoCE v1 --- */

/* Both ends by its entry of the GID table, and only by that one. Its packets have no DSCP, so no traffic class is the wrong one. */
static void test_roce_v1(void)
{
    stop_gateway();
    gateway_settings.verbs.roce_version = settings.verbs.roce_version = 1;
    start_gateway();
    open_engine();
    CHECK(strstr(verbs.text, "double0 port 1, GID index 2 (RoCE v1), MTU 4096; ") == verbs.text);
    test_feed();
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == EPROTONOSUPPORT);
    CHECK(strstr(failure.text, "the connection manager uses GID index 1, the intent wants index 2") != NULL);
    close(accept(server, NULL, NULL));
    twin_of_rdma->sgid_index = 2;
    twin_of_rdma->traffic_class = 0;
    test_orders();
    twin_of_rdma->sgid_index = 1;
    twin_of_rdma->traffic_class = -1;
    verbs_close(&verbs);
    stop_gateway();
    gateway_settings.verbs.roce_version = settings.verbs.roce_version = 2;
    start_gateway();
}

/* An attempt under way when the engine closes gives up, while it waits for an answer or for the end of the connection before; nothing it
 * uses goes away before. */
static void test_closing_while_connecting(void)
{
    close_after(3 * VERBS_KEEP_MS);
    open_engine();
    close(connect_orders());
    orders.drop(orders.self);
    close_after(VERBS_KEEP_MS / 10);
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

    settings.verbs.mtu = 1024;
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == EMSGSIZE);
    CHECK(strstr(failure.text, "the RDMA MTU of double0 port 1 is 4096, verbs.mtu wants 1024") != NULL);
    settings.verbs.mtu = 0;

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

/* Connections whose packets are in another lane, or of another RoCE version, are refused as soon as they are made, and for good. */
static void test_the_lane(void)
{
    open_engine();
    CHECK(strstr(verbs.text, "double0 port 1, GID index 1 (RoCE v2), MTU 4096; ") == verbs.text);
    twin_of_rdma->traffic_class = 0;
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == EPROTONOSUPPORT);
    CHECK(strstr(failure.text, "with traffic class 0, orders.tos is 104") != NULL);
    close(accept(server, NULL, NULL));
    twin_of_rdma->traffic_class = -1;
    close(connect_orders()); /* with what was asked for */
    verbs_close(&verbs);
}

/* A link that is down may take its address with it: that heals. A device that was removed does not, even between connections. */
static void test_an_address_that_is_away(void)
{
    open_engine();
    twin_of_rdma->no_device = 1;
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == EHOSTUNREACH);
    CHECK(strstr(failure.text, "is orders.interface's still there? See `ip -br address`") != NULL);
    twin_of_rdma->no_device = 0;
    close(connect_orders());
    orders.drop(orders.self);
    verbs_close(&verbs);
}

/* Packets that would not be datagrams are refused at start. */
static void test_long_packets(void)
{
    struct gateway_settings long_settings = gateway_settings;
    struct gateway other;
    long_settings.port = free_port(SOCK_STREAM);
    long_settings.messages_per_packet = 20;
    long_settings.priority = -1;
    gateway_init(&other);
    twin_of_rdma->mtu[0] = IBV_MTU_1024;
    CHECK(!gateway_open(&other, &long_settings, &places, &failure) && failure.code == EMSGSIZE);
    CHECK(strstr(failure.text, "feed.messages_per_packet 20: packets of up to 1060 bytes are longer than the RDMA MTU 1024 of double0") != NULL);
    CHECK(strstr(failure.text, "set it to 19, or raise the MTU of dbl0") != NULL);
    long_settings.messages_per_packet = 19;
    twin_of_rdma->mtu[0] = IBV_MTU_1024;
    CHECK(gateway_open(&other, &long_settings, &places, &failure));
    gateway_release(&other);
    long_settings.messages_per_packet = 64; /* 1472 bytes: more do not go into a packet of the feed */
    CHECK(gateway_open(&other, &long_settings, &places, &failure));
    gateway_release(&other);
}

/* All that are free are ours, and transparent ones are off: there is no hugepage to be had. */
static void test_no_hugepages(void)
{
    enum { MOST = 4096, SIZE = 2 << 20 };
    static void *taken_pages[MOST];
    int count = 0;
    while (count < MOST && (taken_pages[count] = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB,
                                                      -1, 0)) != MAP_FAILED)
        count++;
    CHECK(count < MOST && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    settings.verbs.hugepages = true;
    CHECK(!verbs_open(&verbs, &settings, &places, request_buffer, &failure) && failure.code == EPERM);
    CHECK(strstr(failure.text, "RDMA memory: 9 hugepages of 2 MB needed, 0 reserved ones are free") != NULL);
    CHECK(strstr(failure.text, "reserve more (roce_host_hugepages, vm.nr_hugepages), or set verbs.hugepages = false") != NULL);
    settings.verbs.hugepages = false;
    open_engine();
    CHECK(verbs.short_pages && strstr(verbs.text, "; 18 MB on ordinary pages") != NULL);
    verbs_close(&verbs);
    CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
    while (count-- > 0)
        munmap(taken_pages[count], SIZE);
}

/* So many devices, each registered with once. */
static void open_engine_within(unsigned devices)
{
    unsigned registrations = twin_of_rdma->registrations;
    size_t registered = twin_of_rdma->registered;
    open_engine();
    CHECK(twin_of_rdma->registrations - registrations == devices);
    CHECK(twin_of_rdma->registered - registered == 2 * VERBS_FEED_LINE_MEMORY + VERBS_ORDERS_MEMORY);
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
    open_engine_within(2);
    CHECK(within(both_subscribed) && within(second_port_is_down) && within(second_port_is_up));
    CHECK(within(both_down) && within(first_port_alone_is_down) && within(port_is_up));
    verbs_close(&verbs);
    settings.feed.interface_b[0] = '\0';
    CHECK(within(nobody_subscribed));
}

/* Whichever device has what, no byte is registered twice, and what each posts is under its own key, as the double sees to. */
static void test_the_memory_of_several_devices(void)
{
    uint8_t byte = 7, got = 0;
    uint32_t last_byte;
    for (int n = 0; n < 4; n++) {
        strcpy(settings.feed.interface_b, (n & 1) != 0 ? "127.0.0.2" : "");
        strcpy(settings.orders.interface, (n & 2) != 0 ? "127.0.0.2" : "");
        open_engine_within(n == 0 ? 1 : n == 3 ? 3 : 2);
        test_feed();
        int fd = connect_orders();
        CHECK(orders.send(orders.self, &byte, 1, &last_byte) == 0 && recv(fd, &got, 1, 0) == 1 && got == byte);
        close(fd);
        verbs_close(&verbs);
        CHECK(within(nobody_subscribed));
    }
    settings.feed.interface_b[0] = settings.orders.interface[0] = '\0';
}

#define LOAD 64u

static void next_numbers(uint32_t from, uint32_t count)
{
    uint64_t until = clock_now() + PATIENCE_NS;
    while (count > 0) {
        int got = feed.receive(feed.self, &packet);
        CHECK((got == TRANSPORT_PACKET || got == TRANSPORT_NOTHING) && clock_now() < until);
        if (got == TRANSPORT_PACKET) {
            CHECK(get32(packet.bytes) == from);
            from++;
            count--;
        }
    }
}

static void say_numbers(int fd, uint32_t from)
{
    for (uint32_t i = 0; i < LOAD; i++)
        say(fd, settings.feed.port, from + i, 100);
}

static bool load_is_lost(void)
{
    return twin_of_rdma->dropped >= LOAD;
}

/* The link goes down with packets and orders on their way. What was not acknowledged ends the order connection, though some of it has
 * arrived; a new one cannot be made until the link is back. The feed's queue pair lives on: it has a gap. */
static void test_the_link_goes_down_under_load(void)
{
    static const uint8_t order[20] = {7};
    uint8_t got[8 * sizeof order + 1];
    uint16_t port;
    uint32_t last_byte;
    int out = bound(SOCK_DGRAM, &port);
    open_engine();
    int fd = connect_orders();
    CHECK(within(both_subscribed));
    say_numbers(out, 0);
    next_numbers(0, LOAD / 2);
    twin_of_rdma->hold_completions = 1;
    for (int i = 0; i < 8; i++)
        CHECK(orders.send(orders.self, order, sizeof order, &last_byte) == 0);
    next_numbers(LOAD / 2, LOAD / 2);
    twin_of_rdma->dropped = 0;
    twin_of_rdma->link(0);
    twin_of_rdma->hold_completions = 0;
    CHECK(within(port_is_down));
    say_numbers(out, LOAD);
    CHECK(within(broken) && strstr(orders.why(orders.self), "transport retry counter exceeded") != NULL);
    orders.drop(orders.self);
    CHECK(within(load_is_lost) && twin_of_rdma->dropped == LOAD);
    CHECK(feed.receive(feed.self, &packet) == TRANSPORT_NOTHING);
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == ETIMEDOUT);
    CHECK(strstr(failure.text, "is the exchange's RDMA gateway reachable?") != NULL);
    twin_of_rdma->link(1);
    CHECK(within(port_is_up));
    CHECK(recv(fd, got, sizeof got - 1, MSG_WAITALL) == (ssize_t)sizeof got - 1 && memcmp(got + 7 * sizeof order, order, sizeof order) == 0);
    int again = connect_orders();
    CHECK(orders.send(orders.self, order, sizeof order, &last_byte) == 0);
    CHECK(recv(again, got, sizeof order, MSG_WAITALL) == (ssize_t)sizeof order);
    CHECK(send(again, order, 1, 0) == 1);
    receive_exactly(got, 1);
    say_numbers(out, 2 * LOAD);
    next_numbers(2 * LOAD, LOAD);
    CHECK(send(fd, order, 1, MSG_NOSIGNAL) <= 1 && recv(fd, got, 1, 0) <= 0); /* nobody is behind the old one */
    close(fd);
    close(again);
    close(out);
    verbs_close(&verbs);
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
    orders.drop(orders.self);
    CHECK(!verbs_connect(&verbs, &settings.orders, -1, &failure) && failure.code == ENODEV);
    CHECK(strstr(failure.text, "RDMA device double0 was removed") != NULL);
    CHECK(pthread_join(gateway_thread, NULL) == 0 && !gateway_good && gateway_failure.code == ENODEV);
    close(fd);
    verbs_close(&verbs);
    gateway_release(&gateway);
}

int main(int argc, char **argv)
{
    (void)argc;
    pair_open(argv[0]);
    start_gateway();
    open_engine();
    unsigned registrations = twin_of_rdma->registrations;
    test_feed();
    test_orders();
    test_replacement();
    CHECK(twin_of_rdma->registrations == registrations && registrations == 2); /* engine and gateway, at start */
    test_the_gateway_goes_away();
    test_closing_while_connecting();
    test_roce_v1();
    test_refusals();
    test_the_lane();
    test_an_address_that_is_away();
    test_long_packets();
    test_no_hugepages();
    test_the_ports_of_two_devices();
    test_the_memory_of_several_devices();
    test_the_link_goes_down_under_load();
    test_the_port_and_the_device();
    pair_close();
    return DONE();
}

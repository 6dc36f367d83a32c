/* SPDX-License-Identifier: Apache-2.0
 *
 * A reliable connection over the double of the RDMA libraries: a stream of bytes both ways, completions asked for, queues that are full,
 * and every way it ends. */
#include <arpa/inet.h>
#include <errno.h>

#include "transport/verbs_link.h"
#include "verbs_site.h"

#define STREAM (1u << 20)

static struct verbs_library library;
static struct verbs_device device;
static struct rdma_event_channel *channel;
static uint8_t *memory;
static struct verbs_link a, b;
static struct failure failure;

static struct rdma_cm_event *next_event(enum rdma_cm_event_type wanted)
{
    struct rdma_cm_event *event = NULL;
    CHECK(library.get_cm_event(channel, &event) == 0 && event->event == wanted);
    return event;
}

static struct rdma_cm_id *take_id(enum rdma_cm_event_type wanted)
{
    struct rdma_cm_event *event = next_event(wanted);
    struct rdma_cm_id *id = event->id;
    library.ack_cm_event(event);
    return id;
}

/* Two ends, a at the engine's and b at the gateway's, as orders and gateway make them. */
static void connect_both(void)
{
    uint8_t hello[LINK_HELLO];
    struct rdma_cm_id *listener, *id;
    struct sockaddr_in at = device.address;
    at.sin_port = htons(7);
    CHECK(library.create_id(channel, &listener, NULL, RDMA_PS_TCP) == 0);
    CHECK(library.bind_addr(listener, (struct sockaddr *)&at) == 0 && library.listen(listener, 1) == 0);
    CHECK(library.create_id(channel, &id, NULL, RDMA_PS_TCP) == 0);
    CHECK(library.resolve_addr(id, (struct sockaddr *)&device.address, (struct sockaddr *)&at, 1) == 0);
    CHECK(take_id(RDMA_CM_EVENT_ADDR_RESOLVED) == id);
    CHECK(verbs_link_open(&a, &device, id, NULL, memory, &failure));
    struct rdma_conn_param parameters = verbs_link_parameters(&device, hello);
    CHECK(parameters.rnr_retry_count == 7 && parameters.retry_count == 7);
    CHECK(library.connect(id, &parameters) == 0);
    struct rdma_cm_event *request = next_event(RDMA_CM_EVENT_CONNECT_REQUEST);
    CHECK(verbs_link_hello(&device, request->param.conn.private_data, request->param.conn.private_data_len, &failure));
    CHECK(verbs_link_open(&b, &device, request->id, NULL, memory + LINK_MEMORY, &failure));
    CHECK(library.accept(request->id, &parameters) == 0);
    library.ack_cm_event(request);
    CHECK(take_id(RDMA_CM_EVENT_ESTABLISHED) == b.id && take_id(RDMA_CM_EVENT_ESTABLISHED) == id);
    unsigned timers = twin_of_rdma->rnr_timers;
    CHECK(verbs_link_established(&a, &device, -1, &failure) && verbs_link_established(&b, &device, -1, &failure));
    CHECK(twin_of_rdma->rnr_timers - timers == 2 && twin_of_rdma->rnr_timer == 1); /* the specification's code of 0.01 ms, both ends */
    library.destroy_id(listener);
}

static void open_device(void)
{
    struct verbs_settings settings = {.roce_version = 2, .gid_index = -1};
    CHECK(verbs_library_open(&library, &places, &failure));
    channel = verbs_channel(&library, &failure);
    CHECK(channel != NULL);
    memory = calloc(2, LINK_MEMORY);
    CHECK(verbs_device_open(&device, &library, places.sysfs, channel, "orders.interface", "127.0.0.1", &settings, memory,
                            2 * LINK_MEMORY, &failure));
    CHECK(device.gid.index == 1 && device.mtu == 4096);
}

static void close_device(void)
{
    verbs_link_close(&a);
    verbs_link_close(&b);
    verbs_device_close(&device);
    library.destroy_event_channel(channel);
    CHECK(twin_of_rdma->objects == 1); /* the device itself: this program keeps the double loaded */
    verbs_library_close(&library);
    free(memory);
}

/* Bytes arrive whole and in order whatever the sizes of messages and reads, round the rings many times; and what is asked of the device
 * for it is a completion in LINK_SIGNAL sends and a call for LINK_REFILL receives. */
static void test_a_stream(uint32_t most)
{
    static uint8_t sent[STREAM], got[STREAM];
    uint64_t state = 11;
    uint32_t at = 0, read = 0, copied = 0, messages = 0;
    unsigned sends = twin_of_rdma->sends, signaled = twin_of_rdma->signaled, posts = twin_of_rdma->receive_posts;
    unsigned inlined = twin_of_rdma->inlined;
    for (uint32_t i = 0; i < STREAM; i++)
        sent[i] = (uint8_t)chance(&state);
    while (read < STREAM) {
        uint32_t length = 1 + (uint32_t)(chance(&state) % most);
        length = length < STREAM - at ? length : STREAM - at;
        if (length > 0 && verbs_link_send(&a, sent + at, length) == 0) {
            at += length;
            messages++;
            copied += length > a.max_inline;
        }
        if (chance(&state) % 3 == 0)
            continue; /* the reader lags: more than the receives posted are on their way at times */
        for (int i = 0; i < 3; i++) {
            uint32_t room = 1 + (uint32_t)(chance(&state) % 700);
            int more = verbs_link_receive(&b, got + read, room < STREAM - read ? room : STREAM - read);
            CHECK(more >= 0);
            read += (uint32_t)more;
            if (read == STREAM)
                break;
        }
    }
    CHECK(at == STREAM && memcmp(sent, got, STREAM) == 0);
    CHECK(twin_of_rdma->sends - sends == messages && twin_of_rdma->inlined - inlined == messages - copied);
    CHECK(messages / LINK_SIGNAL <= twin_of_rdma->signaled - signaled && twin_of_rdma->signaled - signaled <= messages / LINK_SIGNAL + 1);
    CHECK(twin_of_rdma->receive_posts - posts <= messages / LINK_REFILL + 1);
}

static void test_too_long(void)
{
    uint8_t bytes[LINK_MESSAGE + 1] = {0};
    CHECK(verbs_link_send(&a, bytes, sizeof bytes) == -EMSGSIZE);
}

/* Without a completion the queue is full at LINK_SENDS; what was refused is not sent, and it goes on when completions come. */
static void test_a_full_queue(void)
{
    uint8_t number = 0, got[LINK_SENDS + LINK_SIGNAL];
    uint32_t taken = 0, read = 0;
    twin_of_rdma->hold_completions = 1;
    while (verbs_link_send(&a, &number, 1) == 0) {
        number++;
        taken++;
        CHECK(taken <= LINK_SENDS);
    }
    CHECK(taken > LINK_SENDS - LINK_SIGNAL && verbs_link_send(&a, &number, 1) == -EAGAIN);
    twin_of_rdma->hold_completions = 0;
    CHECK(verbs_link_send(&a, &number, 1) == 0);
    for (int more; (more = verbs_link_receive(&b, got + read, sizeof got - read)) > 0;)
        read += (uint32_t)more;
    CHECK(read == taken + 1);
    for (uint32_t i = 0; i < read; i++)
        CHECK(got[i] == (uint8_t)i);
}

static void ends_with(struct verbs_link *link, int code, const char *text)
{
    uint8_t byte;
    CHECK(verbs_link_receive(link, &byte, 1) == code && strstr(link->why, text) != NULL);
    CHECK(verbs_link_receive(link, &byte, 1) < 0 || code == -ENODEV); /* and stays so */
}

static void again(void)
{
    struct rdma_cm_event *event;
    verbs_link_close(&a);
    verbs_link_close(&b);
    while (library.get_cm_event(channel, &event) == 0)
        library.ack_cm_event(event);
    connect_both();
}

static void test_its_ends(void)
{
    uint8_t byte = 1;
    /* A send that is not acknowledged: its reason, not that of the receives flushed with it. */
    twin_of_rdma->fail_status = IBV_WC_RETRY_EXC_ERR;
    CHECK(verbs_link_send(&a, &byte, 1) == 0);
    ends_with(&a, -ECONNRESET, "send: transport retry counter exceeded");
    again();
    /* The other end's queue pair is gone and nobody says so, as when its process is killed. */
    library.destroy_qp(b.id);
    CHECK(verbs_link_send(&a, &byte, 1) == 0);
    ends_with(&a, -ECONNRESET, "send: transport retry counter exceeded");
    again();
    /* The link goes down with sends on their way: the first says why, the others are flushed. What had arrived is read all the same, and
     * the other end learns of it when it sends. */
    twin_of_rdma->hold_completions = 1;
    for (int i = 0; i < 3; i++)
        CHECK(verbs_link_send(&a, &byte, 1) == 0);
    twin_of_rdma->link(0);
    twin_of_rdma->hold_completions = 0;
    ends_with(&a, -ECONNRESET, "send: transport retry counter exceeded");
    CHECK(a.completed == 0);
    twin_of_rdma->link(1);
    for (int i = 0; i < 3; i++)
        CHECK(verbs_link_receive(&b, &byte, 1) == 1);
    CHECK(verbs_link_receive(&b, &byte, 1) == 0 && verbs_link_send(&b, &byte, 1) == 0);
    ends_with(&b, -ECONNRESET, "send: transport retry counter exceeded");
    again();
    /* What came before the end is read before it. */
    CHECK(verbs_link_send(&b, &byte, 1) == 0);
    library.disconnect(b.id);
    struct rdma_cm_event *event = next_event(RDMA_CM_EVENT_DISCONNECTED);
    CHECK(event->id == a.id);
    library.ack_cm_event(event);
    atomic_store(&a.lost, ECONNRESET); /* as the keeper does */
    CHECK(verbs_link_receive(&a, &byte, 1) == 1);
    ends_with(&a, -ECONNRESET, "the other end closed it");
    again();
    atomic_store(&a.lost, ENODEV);
    ends_with(&a, -ENODEV, "the RDMA device was removed");
    again();
    library.disconnect(a.id); /* the queue pair in error, and nobody says why */
    ends_with(&a, -ECONNRESET, "its queue pair is in error");
    CHECK(verbs_link_send(&a, &byte, 1) == 0 || a.ended);
}

static void test_hello(void)
{
    uint8_t hello[LINK_HELLO];
    verbs_link_parameters(&device, hello);
    CHECK(verbs_link_hello(&device, hello, sizeof hello, &failure));
    CHECK(!verbs_link_hello(&device, hello, sizeof hello - 1, &failure) && failure.code == EPROTO);
    CHECK(!verbs_link_hello(&device, NULL, 0, &failure) && failure.code == EPROTO);
    hello[6] ^= 1;
    CHECK(!verbs_link_hello(&device, hello, sizeof hello, &failure) && failure.code == EMSGSIZE);
    CHECK(strstr(failure.text, "MTU mismatch") != NULL);
}

static void test_another_gid_index(void)
{
    twin_of_rdma->sgid_index = 2;
    CHECK(!verbs_link_established(&a, &device, -1, &failure) && failure.code == EPROTONOSUPPORT);
    CHECK(strstr(failure.text, "uses GID index 2, the intent wants index 1") != NULL);
    CHECK(strstr(failure.text, "or correct verbs.roce_version") != NULL);
    struct verbs_device of_exchange = device; /* its configuration has another section */
    of_exchange.section = verbs_section("rdma.interface");
    CHECK(!verbs_link_established(&a, &of_exchange, -1, &failure) && strstr(failure.text, "or correct rdma.roce_version") != NULL);
    twin_of_rdma->untold = 1;
    CHECK(verbs_link_established(&a, &device, 104, &failure));
    twin_of_rdma->untold = 0;
    /* The address was away for a moment, and its GID came back elsewhere. */
    site_gid("2", "0000:0000:0000:0000:0000:ffff:7f00:0001\n", "RoCE v2\n");
    CHECK(verbs_link_established(&a, &device, 0, &failure));
    device.fixed_index = true;
    CHECK(!verbs_link_established(&a, &device, 0, &failure) && strstr(failure.text, "wants index 1") != NULL);
    CHECK(strstr(failure.text, "or correct verbs.gid_index") != NULL);
    device.fixed_index = false;
    site_gid("2", "0000:0000:0000:0000:0000:ffff:7f00:0002\n", "RoCE v2\n");
    CHECK(!verbs_link_established(&a, &device, 0, &failure));
    site_gid("2", "0000:0000:0000:0000:0000:ffff:7f00:0001\n", "IB/RoCE v1\n");
    CHECK(!verbs_link_established(&a, &device, 0, &failure));
    twin_of_rdma->sgid_index = 1;
}

static void test_another_lane(void)
{
    twin_of_rdma->traffic_class = 106;
    CHECK(verbs_link_established(&a, &device, 106, &failure) && verbs_link_established(&a, &device, -1, &failure));
    CHECK(verbs_link_established(&a, &device, 104, &failure)); /* the same DSCP */
    twin_of_rdma->traffic_class = 0;
    CHECK(!verbs_link_established(&a, &device, 104, &failure) && failure.code == EPROTONOSUPPORT);
    CHECK(strstr(failure.text, "go with traffic class 0, orders.tos is 104: another lane than the intent's") != NULL);
    twin_of_rdma->traffic_class = -1;
}

int main(int argc, char **argv)
{
    (void)argc;
    site_open(argv[0]);
    open_device();
    connect_both();
    CHECK(a.max_inline == LINK_INLINE);
    test_a_stream(64);
    test_a_stream(LINK_MESSAGE);
    test_too_long();
    again();
    test_a_full_queue();
    again();
    test_its_ends();
    again();
    test_another_gid_index();
    test_another_lane();
    twin_of_rdma->max_inline = 100; /* a device with less room: nothing goes inline, all is copied */
    again();
    CHECK(a.max_inline == 0);
    test_a_stream(LINK_MESSAGE);
    test_hello();
    close_device();
    site_close();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of a benchmark over the double of the RDMA libraries: every message comes back, in registered memory or inline; what
 * cannot be is said, and everything is given back. */
#include <errno.h>
#include <pthread.h>

#include "bench_rdma.h"
#include "bench_register.h"
#include "clock.h"
#include "verbs_site.h"

#define TOTAL 3000u /* more than there are sends in a queue, and receives in the smallest */

static struct bench_rdma client, server;
static struct bench_end client_end, server_end;
static struct failure failure;
static uint64_t samples[TOTAL], reflected;
static int stopped[2];

static bool open_end(struct bench_rdma *rdma, struct bench_end *end, bool datagram, uint32_t size)
{
    return bench_rdma_open(rdma, end, &places, "127.0.0.1", datagram, size, 104, 0x1234567u, &failure);
}

static void open_both(bool datagram, uint32_t size)
{
    CHECK(open_end(&client, &client_end, datagram, size) && open_end(&server, &server_end, datagram, size));
    CHECK(client.here.psn == 0x234567u); /* 24 bits */
    CHECK(bench_rdma_connect(&client, &server.here, &failure) && bench_rdma_connect(&server, &client.here, &failure));
}

static void close_both(void)
{
    bench_rdma_close(&client);
    bench_rdma_close(&server);
    CHECK(twin_of_rdma->objects <= 1); /* the device itself: this program keeps the double loaded */
}

static void *reflect(void *unused)
{
    struct failure why;
    (void)unused;
    CHECK(bench_reflect(&server_end, stopped[0], &reflected, &why));
    return NULL;
}

static void exchange(bool datagram, uint32_t size)
{
    struct bench_plan plan = {.total = TOTAL, .timeout_ns = 60 * NS_PER_S, .burst = 20, .every_ns = 100 * NS_PER_US};
    struct bench_outcome outcome;
    pthread_t thread;
    CHECK(pipe(stopped) == 0);
    plan.watch = stopped[0];
    open_both(datagram, size);
    CHECK(pthread_create(&thread, NULL, reflect, NULL) == 0);
    for (int open_loop = 0; open_loop < 2; open_loop++) {
        bool good = open_loop ? bench_burst(&client_end, &plan, samples, &outcome, &failure)
                              : bench_pingpong(&client_end, &plan, samples, &outcome, &failure);
        CHECK(good && outcome.sent == TOTAL && outcome.late == 0 && client_end.wrong_size == 0);
        for (uint32_t i = 0; i < TOTAL; i++)
            CHECK(samples[i] != BENCH_LOST);
    }
    CHECK(write(stopped[1], "x", 1) == 1);
    pthread_join(thread, NULL);
    CHECK(reflected == 2 * TOTAL);
    close_both();
    close(stopped[0]);
    close(stopped[1]);
}

static void every_message_comes_back(void)
{
    static const uint32_t sizes[] = {8, 64, 1000};
    for (int datagram = 0; datagram < 2; datagram++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            exchange(datagram != 0, sizes[i]);
    unsigned before = twin_of_rdma->inlined;
    twin_of_rdma->max_inline = (int)BENCH_RDMA_INLINE;
    exchange(false, 64);
    CHECK(twin_of_rdma->inlined == before + 4 * TOTAL);
    exchange(false, BENCH_RDMA_INLINE + 1); /* copied */
    CHECK(twin_of_rdma->inlined == before + 4 * TOTAL);
    twin_of_rdma->max_inline = 0;
    exchange(false, BENCH_SIZE_MAX);
}

static void a_message_of_another_size_is_left_out(void)
{
    const uint8_t *message;
    uint8_t bytes[64] = {0};
    CHECK(open_end(&client, &client_end, true, 64) && open_end(&server, &server_end, true, 32));
    CHECK(bench_rdma_connect(&client, &server.here, &failure));
    CHECK(client_end.send(&client, bytes) == 0);
    CHECK(server_end.receive(&server, &message) == 0 && server_end.wrong_size == 1);
    close_both();
}

static void a_full_queue_has_no_room_and_a_broken_one_ends(void)
{
    const uint8_t *message;
    uint8_t bytes[64] = {0};
    open_both(false, 64);
    twin_of_rdma->hold_completions = 1;
    for (uint32_t i = 0; i < BENCH_RDMA_SENDS; i++)
        CHECK(client_end.send(&client, bytes) == 0);
    CHECK(client_end.send(&client, bytes) == -EAGAIN);
    twin_of_rdma->hold_completions = 0;
    CHECK(client_end.send(&client, bytes) == 0);
    twin_of_rdma->fail_status = IBV_WC_RETRY_EXC_ERR;
    CHECK(client_end.send(&client, bytes) == 0);
    CHECK(client_end.receive(&client, &message) == -ETIMEDOUT); /* why the send failed, not that receives were flushed */
    close_both();
}

static void what_cannot_be_is_said(void)
{
    CHECK(!bench_rdma_open(&client, &client_end, &places, "127.0.0.9", false, 64, 0, 0, &failure) && failure.code == ENODEV);
    CHECK(!open_end(&client, &client_end, true, 8000) && failure.code == EINVAL && strstr(failure.text, "MTU") != NULL);
    twin_of_rdma->memory_errno = ENOMEM;
    CHECK(!open_end(&client, &client_end, false, 64) && strstr(failure.text, "registered") != NULL);
    twin_of_rdma->memory_errno = 0;
    CHECK(open_end(&client, &client_end, false, 64));
    struct bench_rdma_address other = client.here;
    other.mtu /= 2;
    CHECK(!bench_rdma_connect(&client, &other, &failure) && failure.code == EMSGSIZE);
    other = client.here;
    other.queue_pair = 999999;
    CHECK(!bench_rdma_connect(&client, &other, &failure) && failure.code == EINVAL);
    close_both();
    bench_rdma_close(&client); /* a second time does nothing */
}

static void registering_takes_both_times_and_gives_everything_back(void)
{
    static struct bench_register cost;
    uint64_t to[5] = {0}, back[5] = {0};
    CHECK(bench_register_open(&cost, &places, "127.0.0.1", &failure));
    CHECK(bench_register_run(&cost, 1 << 20, false, 5, to, back, &failure));
    for (int i = 0; i < 5; i++)
        CHECK(to[i] > 0 && back[i] > 0);
    twin_of_rdma->memory_errno = ENOMEM;
    CHECK(!bench_register_run(&cost, 4096, false, 1, to, back, &failure) && failure.code == EPERM);
    twin_of_rdma->memory_errno = 0;
    CHECK(!bench_register_run(&cost, (size_t)1 << 45, true, 1, to, back, &failure) && strstr(failure.text, "nr_hugepages") != NULL);
    bench_register_close(&cost);
    CHECK(!bench_register_open(&cost, &places, "127.0.0.9", &failure) && failure.code == ENODEV);
    CHECK(twin_of_rdma->objects <= 1);
}

int main(int count, char *arguments[])
{
    (void)count;
    site_open(arguments[0]);
    every_message_comes_back();
    a_message_of_another_size_is_left_out();
    a_full_queue_has_no_room_and_a_broken_one_ends();
    what_cannot_be_is_said();
    registering_takes_both_times_and_gives_everything_back();
    site_close();
    return DONE();
}

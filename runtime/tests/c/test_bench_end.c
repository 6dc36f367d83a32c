/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of a benchmark against an other end made here, which loses, doubles, holds back and refuses as it is told; and over a
 * pair of stream sockets with small buffers, where messages are taken in part. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_socket.h"
#include "check.h"
#include "clock.h"
#include "wire.h"

#define TOTAL 500u
#define SIZE 64u

static uint64_t samples[TOTAL];

/* Echoes from memory. Every `lose`-th message has none, every `twice`-th two; nothing comes before `hold` messages were sent. */
struct echo {
    uint8_t messages[2 * TOTAL][SIZE];
    uint32_t in, out, sent, lose, twice, hold, refuse_every, offers;
    uint64_t refuse_ns, first_ns, taken_ns; /* no room so long after the first was offered; when that was, and when it was taken */
    int broken;
};

static int echo_send(void *opaque, const uint8_t *message)
{
    struct echo *echo = opaque;
    if (echo->broken != 0)
        return echo->broken;
    if (echo->refuse_every > 0 && ++echo->offers % echo->refuse_every != 0)
        return -EAGAIN;
    if (echo->refuse_ns > 0 && echo->taken_ns == 0) {
        uint64_t now = clock_now();
        echo->first_ns = echo->first_ns > 0 ? echo->first_ns : now;
        if (now - echo->first_ns < echo->refuse_ns)
            return -EAGAIN;
        echo->taken_ns = now;
    }
    uint32_t n = echo->sent++;
    for (uint32_t i = 8; i < SIZE; i++)
        CHECK(message[i] == (uint8_t)i);
    if (echo->lose > 0 && n % echo->lose == 0)
        return 0;
    for (uint32_t i = 0; i < (echo->twice > 0 && n % echo->twice == 0 ? 2u : 1u); i++)
        memcpy(echo->messages[echo->in++], message, SIZE);
    return 0;
}

static int echo_receive(void *opaque, const uint8_t **message)
{
    struct echo *echo = opaque;
    if (echo->sent < echo->hold || echo->out == echo->in)
        return 0;
    *message = echo->messages[echo->out++];
    return 1;
}

static struct echo echo;
static struct bench_outcome outcome;
static struct failure failure;
static int watched[2];

static struct bench_end end_of(struct echo how)
{
    echo = how;
    return (struct bench_end){.self = &echo, .send = echo_send, .receive = echo_receive, .size = SIZE};
}

static struct bench_plan plan_of(uint64_t timeout_ns)
{
    return (struct bench_plan){.total = TOTAL, .timeout_ns = timeout_ns, .burst = 50, .every_ns = NS_PER_MS, .watch = watched[0]};
}

static uint32_t lost(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TOTAL; i++)
        count += samples[i] == BENCH_LOST;
    return count;
}

static void every_message_has_its_own_sample(void)
{
    struct bench_plan plan = plan_of(NS_PER_S);
    struct bench_end end = end_of((struct echo){.refuse_every = 3});
    CHECK(bench_pingpong(&end, &plan, samples, &outcome, &failure));
    CHECK(lost() == 0 && outcome.sent == TOTAL && outcome.late == 0);
    end = end_of((struct echo){.refuse_every = 2});
    CHECK(bench_burst(&end, &plan, samples, &outcome, &failure));
    CHECK(lost() == 0 && outcome.sent == TOTAL && outcome.late == 0);
}

static void what_is_lost_is_counted_and_in_its_place(void)
{
    struct bench_plan plan = plan_of(NS_PER_MS / 10);
    struct bench_end end = end_of((struct echo){.lose = 7});
    CHECK(bench_pingpong(&end, &plan, samples, &outcome, &failure));
    for (uint32_t i = 0; i < TOTAL; i += 7)
        CHECK(samples[i] == BENCH_LOST);
    plan.timeout_ns = 5 * NS_PER_MS;
    end = end_of((struct echo){.lose = 7, .twice = 5});
    CHECK(bench_burst(&end, &plan, samples, &outcome, &failure));
    for (uint32_t i = 0; i < TOTAL; i++)
        CHECK((samples[i] == BENCH_LOST) == (i % 7 == 0));
    CHECK(lost() == (TOTAL + 6) / 7 && outcome.sent == TOTAL);
    CHECK(outcome.late > 0); /* second echoes are no samples */
}

/* Nothing comes back before the last message was sent: what was due earlier has waited longer, each from its own due time. */
static void a_stall_is_in_all_samples_that_waited(void)
{
    struct bench_plan plan = plan_of(NS_PER_S);
    plan.gap_ns = 3000;
    struct bench_end end = end_of((struct echo){.hold = TOTAL});
    CHECK(bench_burst(&end, &plan, samples, &outcome, &failure));
    uint64_t last_due = (TOTAL - 1) / 50 * NS_PER_MS + (TOTAL - 1) % 50 * 3000;
    for (uint64_t i = 0; i < TOTAL; i++)
        CHECK(samples[i] >= last_due - (i / 50 * NS_PER_MS + i % 50 * 3000));
}

/* The initiator itself cannot send for a while: charged from the due time, not from when the message left. */
static void a_send_that_waited_is_charged_from_its_due_time(void)
{
    struct bench_plan plan = plan_of(10 * NS_PER_S);
    plan.burst = 1;
    plan.every_ns = 50 * NS_PER_US;
    struct bench_end end = end_of((struct echo){.refuse_ns = 20 * NS_PER_MS});
    CHECK(bench_burst(&end, &plan, samples, &outcome, &failure));
    uint64_t waited = echo.taken_ns - echo.first_ns; /* the first was due at or before it was offered first */
    CHECK(waited >= 20 * NS_PER_MS && outcome.send_late_max_ns > 0);
    for (uint64_t i = 0; i * plan.every_ns < waited && i < TOTAL; i++)
        CHECK(samples[i] >= waited - i * plan.every_ns);
}

static void an_end_that_is_gone_is_told(void)
{
    struct bench_plan plan = plan_of(NS_PER_MS);
    struct bench_end end = end_of((struct echo){.lose = 1});
    CHECK(!bench_pingpong(&end, &plan, samples, &outcome, &failure));
    CHECK(failure.code == ETIMEDOUT && outcome.sent == BENCH_GIVE_UP);
    end = end_of((struct echo){.broken = -ENETDOWN});
    CHECK(!bench_pingpong(&end, &plan, samples, &outcome, &failure) && failure.code == ENETDOWN);
    CHECK(!bench_burst(&end, &plan, samples, &outcome, &failure) && failure.code == ENETDOWN);
    end = end_of((struct echo){.broken = -EAGAIN});
    CHECK(!bench_burst(&end, &plan, samples, &outcome, &failure) && failure.code == ETIMEDOUT);
    CHECK(write(watched[1], "x", 1) == 1);
    plan.timeout_ns = 3600 * NS_PER_S;
    end = end_of((struct echo){.lose = 1});
    CHECK(!bench_pingpong(&end, &plan, samples, &outcome, &failure) && failure.code == ECONNRESET);
    end = end_of((struct echo){.lose = 1});
    CHECK(!bench_burst(&end, &plan, samples, &outcome, &failure) && failure.code == ECONNRESET);
}

/* --- over a stream --- */

#define LARGE 5000u

static int pair[2], stopped[2];
static uint64_t reflected;

static void *other_end(void *unused)
{
    static struct bench_socket socket_;
    struct bench_end end;
    struct failure why;
    (void)unused;
    bench_socket_init(&socket_, &end, pair[1], true, LARGE);
    CHECK(bench_reflect(&end, stopped[0], &reflected, &why));
    return NULL;
}

static void messages_taken_in_part_arrive_whole(void)
{
    static struct bench_socket socket_;
    struct bench_end end;
    struct bench_plan plan = plan_of(60 * NS_PER_S);
    pthread_t thread;
    int small = 1;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(stopped) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    plan.watch = stopped[0];
    plan.every_ns = 1;
    plan.burst = 1;
    CHECK(pthread_create(&thread, NULL, other_end, NULL) == 0);
    bench_socket_init(&socket_, &end, pair[0], true, LARGE);
    CHECK(bench_burst(&end, &plan, samples, &outcome, &failure));
    CHECK(lost() == 0 && outcome.late == 0);
    CHECK(write(stopped[1], "x", 1) == 1);
    pthread_join(thread, NULL);
    CHECK(reflected == TOTAL);
    close(pair[1]);
    const uint8_t *message;
    CHECK(end.receive(end.self, &message) == -ECONNRESET);
}

static void datagrams_of_another_size_are_left_out(void)
{
    static struct bench_socket socket_;
    struct bench_end end;
    const uint8_t *message;
    uint8_t bytes[LARGE] = {0};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    bench_socket_init(&socket_, &end, pair[0], false, SIZE);
    for (uint32_t length = 1; length < LARGE; length += 63) {
        CHECK(send(pair[1], bytes, length, 0) == (ssize_t)length);
        CHECK(end.receive(end.self, &message) == (length == SIZE));
    }
    CHECK(end.wrong_size == (LARGE - 2) / 63);
}

int main(void)
{
    CHECK(pipe(watched) == 0);
    every_message_has_its_own_sample();
    what_is_lost_is_counted_and_in_its_place();
    a_stall_is_in_all_samples_that_waited();
    a_send_that_waited_is_charged_from_its_due_time();
    messages_taken_in_part_arrive_whole();
    datagrams_of_another_size_are_left_out();
    an_end_that_is_gone_is_told();
    return DONE();
}

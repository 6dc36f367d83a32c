/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_end.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

#define EMPTY_TURNS 64u /* of who waits for a message, between two readings of the clock */
#define START_NS NS_PER_MS /* until the first message is due */

/* Whether the watch has become readable; looks every BENCH_LOOK_NS. */
struct look {
    int fd;
    uint64_t next_ns;
};

static bool ended(struct look *look, uint64_t now)
{
    if (LIKELY(now < look->next_ns))
        return false;
    struct pollfd one = {.fd = look->fd, .events = POLLIN};
    look->next_ns = now + BENCH_LOOK_NS;
    return poll(&one, 1, 0) > 0;
}

static bool other_end_gone(struct failure *failure)
{
    return failure_set(failure, ECONNRESET, "the other end has ended the run");
}

static bool broken(struct failure *failure, const char *what, int error)
{
    return failure_set(failure, -error, "%s: %s", what, strerror(-error));
}

static void fill(uint8_t *message, uint32_t size)
{
    for (uint32_t i = 8; i < size; i++)
        message[i] = (uint8_t)i;
}

bool bench_reflect(struct bench_end *end, int watch, uint64_t *reflected, struct failure *failure)
{
    struct look look = {.fd = watch, .next_ns = clock_now() + BENCH_LOOK_NS};
    uint32_t empty = 0;
    *reflected = 0;
    for (;;) {
        const uint8_t *message;
        int got = end->receive(end->self, &message);
        if (LIKELY(got == 0)) {
            if (UNLIKELY(++empty % EMPTY_TURNS == 0) && ended(&look, clock_now()))
                return true;
            continue;
        }
        if (got < 0)
            return ended(&(struct look){.fd = watch}, 0) || broken(failure, "receiving", got);
        int sent;
        while ((sent = end->send(end->self, message)) == -EAGAIN)
            if (ended(&look, clock_now()))
                return true;
        if (sent < 0)
            return ended(&(struct look){.fd = watch}, 0) || broken(failure, "sending back", sent);
        ++*reflected;
    }
}

/* --- closed loop --- */

/* One message and its echo; BENCH_LOST in `sample` when that does not come. */
static bool round_trip(struct bench_end *end, const struct bench_plan *plan, struct look *look, const uint8_t *message,
                       uint64_t *sample, struct bench_outcome *outcome, struct failure *failure)
{
    uint64_t number = get64(message), start = clock_now(), now = start;
    uint32_t empty = 0;
    int sent;
    *sample = BENCH_LOST;
    while ((sent = end->send(end->self, message)) == -EAGAIN) {
        now = clock_now();
        if (ended(look, now))
            return other_end_gone(failure);
        if (now - start > plan->timeout_ns)
            return true;
    }
    if (sent < 0)
        return broken(failure, "sending", sent);
    outcome->sent++;
    for (;;) {
        const uint8_t *echo;
        int got = end->receive(end->self, &echo);
        if (got < 0)
            return broken(failure, "receiving", got);
        if (LIKELY(got == 0) && ++empty % EMPTY_TURNS != 0)
            continue;
        if (got > 0 && LIKELY(get64(echo) == number)) {
            *sample = clock_now() - start;
            return true;
        }
        outcome->late += got > 0;
        /* The time is that of before this look for the echo: who stood still in between has not waited. */
        if (got == 0 && now - start > plan->timeout_ns)
            return true;
        now = clock_now();
        if (UNLIKELY(ended(look, now)))
            return other_end_gone(failure);
    }
}

bool bench_pingpong(struct bench_end *end, const struct bench_plan *plan, uint64_t *samples, struct bench_outcome *outcome,
                    struct failure *failure)
{
    uint8_t message[BENCH_SIZE_MAX];
    uint64_t began = clock_now();
    struct look look = {.fd = plan->watch, .next_ns = began + BENCH_LOOK_NS};
    uint32_t missing = 0;
    memset(outcome, 0, sizeof *outcome);
    fill(message, end->size);
    for (uint64_t n = 0; n < plan->total; n++) {
        put64(message, n);
        if (!round_trip(end, plan, &look, message, &samples[n], outcome, failure))
            return false;
        missing = samples[n] == BENCH_LOST ? missing + 1 : 0;
        if (UNLIKELY(missing == BENCH_GIVE_UP))
            return failure_set(failure, ETIMEDOUT, "%d messages in a row have no echo within %llu ms", BENCH_GIVE_UP,
                               (unsigned long long)(plan->timeout_ns / NS_PER_MS));
    }
    outcome->elapsed_ns = clock_now() - began;
    return true;
}

/* --- open loop --- */

static uint64_t due_of(const struct bench_plan *plan, uint64_t start, uint64_t n)
{
    return start + n / plan->burst * plan->every_ns + (uint64_t)((double)(n % plan->burst) * plan->gap_ns);
}

bool bench_burst(struct bench_end *end, const struct bench_plan *plan, uint64_t *samples, struct bench_outcome *outcome,
                 struct failure *failure)
{
    uint8_t message[BENCH_SIZE_MAX];
    uint64_t start = clock_now() + START_NS, due = start, next = 0, got = 0;
    uint64_t progress = start, refused = 0; /* when something came or left; when room to send was last refused first, 0: it was not */
    struct look look = {.fd = plan->watch, .next_ns = start + BENCH_LOOK_NS};
    memset(outcome, 0, sizeof *outcome);
    fill(message, end->size);
    for (uint64_t n = 0; n < plan->total; n++)
        samples[n] = BENCH_LOST;
    while (got < plan->total) {
        uint64_t now = clock_now();
        if (next < plan->total && now >= due) {
            put64(message, next);
            int sent = end->send(end->self, message);
            if (LIKELY(sent == 0)) {
                if (now - due > outcome->send_late_max_ns)
                    outcome->send_late_max_ns = now - due;
                progress = now;
                refused = 0;
                due = due_of(plan, start, ++next);
            } else if (sent != -EAGAIN) {
                return broken(failure, "sending", sent);
            } else if (refused == 0) {
                refused = now;
            } else if (now > refused && now - refused > plan->timeout_ns) {
                return failure_set(failure, ETIMEDOUT, "there is no room to send for %llu ms: the other end takes nothing",
                                   (unsigned long long)(plan->timeout_ns / NS_PER_MS));
            }
        }
        const uint8_t *echo;
        int came = end->receive(end->self, &echo);
        if (came < 0)
            return broken(failure, "receiving", came);
        if (came > 0) {
            uint64_t number = get64(echo);
            progress = now = clock_now();
            refused = 0;
            if (LIKELY(number < next && samples[number] == BENCH_LOST)) {
                samples[number] = now - due_of(plan, start, number);
                got++;
            } else {
                outcome->late++;
            }
            continue;
        }
        /* `now` is of before the look for echoes: who stood still in between has not waited. */
        if (next == plan->total && now > progress && now - progress > plan->timeout_ns)
            break; /* what has not come by now is lost */
        if (UNLIKELY(ended(&look, now)))
            return other_end_gone(failure);
    }
    outcome->sent = next;
    outcome->elapsed_ns = clock_now() - start;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * One end of a benchmark of transports: the same messages of one size over UDP, TCP, RC or UD, sent and looked for without waiting.
 *
 * The initiator sends numbered messages, the reflector sends each back as it came, and the initiator times the round trip on its own
 * monotonic clock: no two clocks are compared. Both spin; neither sleeps nor allocates while it runs. Who waits for a message pauses
 * the CPU in no turn and reads the clock in few: either would be in the latency of what comes meanwhile.
 *
 *   pingpong  closed loop: the next message leaves when the last one's echo is there or given up. From before the send call to after
 *             the receive that found the whole echo.
 *   burst     open loop: every message has a due time of its own, start + (n / burst) * every + (n % burst) * gap, and is charged from
 *             it. Whatever delays a send, the initiator itself too, is in the latency of all messages due meanwhile.
 *
 * A message is its number (big-endian, 8 bytes) and filler. Every sample is kept; an echo that does not come is BENCH_LOST: in a
 * ping-pong after its time-out, in a burst only at the end of the run, so that a slow echo is a long sample and not a lost one.
 * Whoever watches over the run (a connection between the two ends) is looked at every BENCH_LOOK_NS: a system call a look. */
#ifndef TICKWIRE_BENCH_END_H
#define TICKWIRE_BENCH_END_H

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

#define BENCH_SIZE_MIN 8u
#define BENCH_SIZE_MAX 32768u
#define BENCH_COUNT_MAX 50000000u /* 400 MB of samples */
#define BENCH_LOST UINT64_MAX
#define BENCH_LOOK_NS (100 * 1000000ULL)
#define BENCH_GIVE_UP 10 /* echoes missing in a row, after which a ping-pong ends */

struct bench_end {
    void *self;
    /* 0: taken; -EAGAIN: no room now; other -errno: over. */
    int (*send)(void *self, const uint8_t *message);
    /* 1: a message, which stays until the next call; 0: nothing; -errno: over. Messages of another size are counted and left out. */
    int (*receive)(void *self, const uint8_t **message);
    uint32_t size; /* of every message */
    uint64_t wrong_size;
};

struct bench_plan {
    uint64_t total;      /* messages, those of the warm-up too */
    uint64_t timeout_ns; /* ping-pong: for an echo; burst: without any, once all is sent; both: for room to send */
    uint64_t burst, every_ns;
    double gap_ns; /* between messages of one burst */
    int watch;     /* readable: the other end is gone or has ended the run */
};

struct bench_outcome {
    uint64_t sent;
    uint64_t late;  /* echoes of no open message: come twice or, in a ping-pong, after they were given up */
    uint64_t send_late_max_ns; /* burst: how late after its due time the latest message was handed over */
    uint64_t elapsed_ns;
};

/* Send back what comes, until `watch` is readable. */
bool bench_reflect(struct bench_end *end, int watch, uint64_t *reflected, struct failure *failure);

/* `samples` has plan->total places, of round trips in ns in the order of the messages. False: it cannot go on. */
bool bench_pingpong(struct bench_end *end, const struct bench_plan *plan, uint64_t *samples, struct bench_outcome *outcome,
                    struct failure *failure);
bool bench_burst(struct bench_end *end, const struct bench_plan *plan, uint64_t *samples, struct bench_outcome *outcome,
                 struct failure *failure);

#endif

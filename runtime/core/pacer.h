/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's side of the feed: messages from memory out as MoldUDP64 on one line or two, each packet at its due time.
 *
 * Due times are absolute: a packet sent late does not push the following ones back, so a stall shows where it happens. They are
 * start + n / rate, or with `speed` the file's own: start + (the message's time - the first one's) / speed, where a time that runs
 * backwards counts as the latest before it. No gap of the file is cut short: a quiet hour at speed 1 is an hour.
 *
 * A packet takes up to `messages_per_packet` messages; with `speed` only those that have happened when it leaves. Packets that are
 * due go to the kernel together, up to LINE_BATCH with one call a line; a packet that is not due waits, and those before it do
 * not wait for it. */
#ifndef TICKWIRE_PACER_H
#define TICKWIRE_PACER_H

#include <stdatomic.h>

#include "line.h"
#include "mold.h"

#define PACER_LINES 2

struct pacer {
    const uint8_t *data;
    const uint64_t *index; /* offset << 16 | length */
    uint64_t count;
    uint32_t messages_per_packet;
    uint8_t session[MOLD_SESSION];
    /* All messages below it are sent (or lost on purpose) or on their way into the kernel: it is written just before, so that whoever
     * has seen a message finds it counted. Any thread may look. */
    _Atomic uint64_t next_sequence;
    _Atomic bool running;
    _Atomic bool stop;
    struct line lines[PACER_LINES]; /* a line that is not open has fd -1 */
    uint8_t packets[LINE_BATCH][LINE_PACKET_MAX];
};

struct pacer_pace {
    double rate;  /* messages a second; 0: unpaced */
    double speed; /* not 0: instead of the rate, so many times as fast as the file's own times */
};

struct pacer_result {
    uint64_t messages;
    uint64_t packets; /* of one line, before any fault */
    uint64_t elapsed_ns;
    uint64_t late_max_ns; /* of all packets, how late after its due time the latest was handed to the kernel */
};

/* Send messages first to first + count - 1 (fewer when there are not as many). */
bool pacer_run(struct pacer *pacer, struct pacer_pace pace, uint64_t first, uint64_t count, struct pacer_result *result,
               struct failure *failure);

/* A packet without messages on every line: MOLD_HEARTBEAT or MOLD_END_OF_SESSION. Never lost on purpose. */
bool pacer_send_empty(struct pacer *pacer, uint16_t count, struct failure *failure);

/* The first message at or after `first` and below `end` that a follower of the books of some instruments must look at itself: a
 * message about an order or a trade whose stock locate is set in `locates` (bit n of byte n / 8), and every Stock Directory and
 * Stock Trading Action. `end` when there is none. */
uint64_t pacer_find(const struct pacer *pacer, uint64_t first, uint64_t end, const uint8_t locates[8192]);

#endif

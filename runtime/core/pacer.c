/* SPDX-License-Identifier: Apache-2.0 */
#include "pacer.h"

#include <errno.h>

#include "clock.h"
#include "itch.h"

#define STOP_LATENCY_NS (100 * NS_PER_MS) /* longest sleep between looks at `stop` */

/* Where a run stands. */
struct run {
    struct pacer_pace pace;
    uint64_t start_ns;   /* of the monotonic clock */
    uint64_t first_time; /* the first message's own time */
    uint64_t at, end;    /* next message, and the one behind the last */
    uint64_t due_ns;     /* of the next packet */
    uint64_t latest_ns;  /* latest due time so far */
    uint64_t batch_due_ns; /* of the first packet of the batch */
    uint32_t batched;      /* packets */
    uint64_t batched_end;  /* message behind the last of the batch */
};

static uint64_t time_of(const struct pacer *pacer, uint64_t at)
{
    uint64_t entry = pacer->index[at];
    return (entry & 0xFFFF) < ITCH_S_timestamp + 6 ? 0 : get48(pacer->data + (entry >> 16) + ITCH_S_timestamp);
}

/* When the message may leave. */
static uint64_t due_of(const struct pacer *pacer, const struct run *run, uint64_t at, uint64_t sent)
{
    if (run->pace.speed > 0) {
        uint64_t time = time_of(pacer, at);
        uint64_t due = time <= run->first_time ? run->start_ns
                                               : run->start_ns + (uint64_t)((double)(time - run->first_time) / run->pace.speed);
        return due > run->latest_ns ? due : run->latest_ns;
    }
    return run->pace.rate > 0 ? run->start_ns + (uint64_t)((double)sent * 1e9 / run->pace.rate) : run->start_ns;
}

/* Messages from run->at into a packet; returns its length and how many it took. `now` bounds those of a run by `speed`. */
static uint32_t fill_packet(const struct pacer *pacer, const struct run *run, uint64_t now, uint8_t *packet, uint16_t *count)
{
    uint32_t length = MOLD_HEADER;
    uint64_t at = run->at;
    *count = 0;
    while (at < run->end && *count < pacer->messages_per_packet) {
        uint16_t bytes = (uint16_t)pacer->index[at];
        if (length + 2 + bytes > LINE_PACKET_MAX)
            break;
        if (*count > 0 && run->pace.speed > 0 && due_of(pacer, run, at, 0) > now)
            break;
        put16(packet + length, bytes);
        memcpy(packet + length + 2, pacer->data + (pacer->index[at] >> 16), bytes);
        length += 2u + bytes;
        ++*count;
        ++at;
    }
    mold_header(packet, pacer->session, run->at + 1, *count);
    return length;
}

static bool flush(struct pacer *pacer, struct run *run, struct pacer_result *result, struct failure *failure)
{
    if (run->batched == 0)
        return true;
    if (run->pace.rate > 0 || run->pace.speed > 0) {
        uint64_t late = clock_now() - run->batch_due_ns;
        if (late > result->late_max_ns)
            result->late_max_ns = late;
    }
    run->batched = 0;
    atomic_store_explicit(&pacer->next_sequence, run->batched_end + 1, memory_order_release);
    for (int i = 0; i < PACER_LINES; i++)
        if (pacer->lines[i].fd >= 0 && !line_flush(&pacer->lines[i], failure))
            return false;
    return true;
}

/* False when told to stop meanwhile. */
static bool wait_until(struct pacer *pacer, uint64_t due_ns)
{
    for (;;) {
        if (atomic_load_explicit(&pacer->stop, memory_order_relaxed))
            return false;
        uint64_t now = clock_now();
        if (now >= due_ns)
            return true;
        clock_sleep_until(due_ns - now > STOP_LATENCY_NS ? now + STOP_LATENCY_NS : due_ns);
    }
}

/* The next packet into the batch of every line. */
static bool add_packet(struct pacer *pacer, struct run *run, uint64_t now, struct pacer_result *result, struct failure *failure)
{
    uint16_t took;
    uint8_t *packet = pacer->packets[run->batched];
    uint32_t length = fill_packet(pacer, run, now, packet, &took);
    if (took == 0)
        return failure_set(failure, EMSGSIZE, "message %llu of the feed: longer than a packet of %d bytes",
                           (unsigned long long)run->at, LINE_PACKET_MAX);
    for (int i = 0; i < PACER_LINES; i++)
        if (pacer->lines[i].fd >= 0 && !line_offer(&pacer->lines[i], packet, length, failure))
            return false;
    if (run->batched++ == 0)
        run->batch_due_ns = run->due_ns;
    run->latest_ns = run->due_ns;
    run->at += took;
    run->batched_end = run->at;
    result->messages += took;
    result->packets++;
    return true;
}

bool pacer_run(struct pacer *pacer, struct pacer_pace pace, uint64_t first, uint64_t count, struct pacer_result *result,
               struct failure *failure)
{
    struct run run = {.pace = pace, .start_ns = clock_now()};
    bool paced = pace.rate > 0 || pace.speed > 0;
    bool good = true;
    run.at = first < pacer->count ? first : pacer->count;
    run.end = count < pacer->count - run.at ? run.at + count : pacer->count;
    run.first_time = run.at < run.end ? time_of(pacer, run.at) : 0;
    memset(result, 0, sizeof *result);
    while (good && run.at < run.end) {
        if (atomic_load_explicit(&pacer->stop, memory_order_relaxed))
            break;
        run.due_ns = due_of(pacer, &run, run.at, result->messages);
        uint64_t now = paced ? clock_now() : run.start_ns;
        if (run.due_ns > now) {
            good = flush(pacer, &run, result, failure);
            if (!good || !wait_until(pacer, run.due_ns))
                break;
            now = run.due_ns;
        } else if (run.batched == LINE_BATCH) {
            good = flush(pacer, &run, result, failure);
        }
        good = good && add_packet(pacer, &run, now, result, failure);
    }
    good = good && flush(pacer, &run, result, failure);
    for (int i = 0; i < PACER_LINES; i++)
        if (good && pacer->lines[i].fd >= 0)
            good = line_finish(&pacer->lines[i], failure);
    atomic_store(&pacer->next_sequence, run.at + 1);
    result->elapsed_ns = clock_now() - run.start_ns;
    return good;
}

bool pacer_send_empty(struct pacer *pacer, uint16_t count, struct failure *failure)
{
    uint8_t packet[MOLD_HEADER];
    mold_header(packet, pacer->session, atomic_load(&pacer->next_sequence), count);
    for (int i = 0; i < PACER_LINES; i++)
        if (pacer->lines[i].fd >= 0 && !line_send(&pacer->lines[i], packet, sizeof packet, failure))
            return false;
    return true;
}

uint64_t pacer_find(const struct pacer *pacer, uint64_t first, uint64_t end, const uint8_t locates[8192])
{
    for (uint64_t at = first; at < end; at++) {
        const uint8_t *message = pacer->data + (pacer->index[at] >> 16);
        uint16_t length = (uint16_t)pacer->index[at];
        if (length == 0 || itch_lengths[message[0]] != length)
            continue;
        uint16_t locate = get16(message + 1);
        switch (message[0]) {
        case 'R': case 'H':
            return at;
        case 'A': case 'F': case 'E': case 'C': case 'X': case 'D': case 'U': case 'P': case 'Q':
            if (locates[locate / 8] >> locate % 8 & 1)
                return at;
            break;
        default:
            break;
        }
    }
    return end;
}

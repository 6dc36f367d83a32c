/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets of both lines and of the re-request server, ticks in between, in any order, with losses, repeats, new sessions and damage.
 *
 * Every message made here says which one it is. What the feed hands out must be, within a session, the next message each time, and
 * where the next sequence has moved by more than was taken, that many must be counted as lost and the feed stale. */
#include "clock.h"
#include "feed.h"
#include "fuzz.h"

#define MESSAGE_BYTES 16
#define MARK 0x7469636b77697265u /* begins every message made here; damaged packets hold others */
#define PACKET_MAX 2000
#define SEQUENCES 64 /* of a session; few, so that packets overlap */

struct harness {
    struct feed *feed;
    struct feed_transport transport;
    struct feed_policy policy;
    uint64_t now_ns;
    uint64_t accounted; /* next sequence as it follows from what was handed out */
    uint64_t lost;      /* counted as lost when the session began */
    bool running;
    bool declared; /* messages of this session as lost */
};

static int on_request(void *self, const uint8_t *bytes, uint32_t length)
{
    struct harness *harness = self;
    MUST(harness->policy.request && length == MOLD_HEADER && mold_count(bytes) > 0 && mold_count(bytes) != MOLD_END_OF_SESSION);
    MUST(memcmp(bytes, feed_session(harness->feed), MOLD_SESSION) == 0);
    MUST(mold_sequence(bytes) == feed_next_sequence(harness->feed) && feed_gap_open(harness->feed));
    return 0;
}

/* --- what the engine does with a verdict --- */

/* After anything that may declare messages lost. */
static void account(struct harness *harness)
{
    uint64_t lost = feed_counts(harness->feed)->messages_lost - harness->lost;
    if (lost > 0) {
        harness->declared = true;
        MUST(feed_is_stale(harness->feed));
    }
    harness->lost += lost;
    harness->accounted += lost;
    MUST(!harness->running || feed_next_sequence(harness->feed) == harness->accounted);
}

static void walk(struct harness *harness, const struct transport_packet *packet, const struct mold_view *view)
{
    struct feed *feed = harness->feed;
    if (view->new_session) { /* what the one before still missed is counted with it */
        harness->running = true;
        harness->declared = false;
        harness->lost = feed_counts(feed)->messages_lost - view->lost;
        harness->accounted = feed_next_sequence(feed) - view->lost;
    }
    account(harness);
    MUST(view->duplicates <= view->count);
    const uint8_t *at = packet->bytes + MOLD_HEADER, *end = packet->bytes + packet->length;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        if (end - at < 2 || end - at - 2 < get16(at))
            break;
        if (i >= view->duplicates) {
            if (get16(at) == MESSAGE_BYTES && get64(at + 2) == MARK)
                MUST(get64(at + 10) == feed_next_sequence(feed) + taken);
            taken++;
        }
        at += 2 + get16(at);
    }
    feed_taken(feed, taken);
    harness->accounted += taken;
    account(harness);
    if (view->ends_session)
        harness->running = false;
}

static void drain(struct harness *harness)
{
    struct transport_packet packet;
    struct mold_view view;
    while (feed_has_kept(harness->feed)) {
        if (feed_kept(harness->feed, &packet, &view) != FEED_TAKE)
            break;
        uint8_t *copy = exactly(packet.bytes, packet.length);
        packet.bytes = copy;
        walk(harness, &packet, &view);
        free(copy);
    }
    MUST(!feed_has_kept(harness->feed));
}

static void give(struct harness *harness, const uint8_t *bytes, uint32_t length, uint8_t line)
{
    struct mold_view view;
    struct transport_packet packet = {.length = length, .line = line, .receive_clock = STAMP_SOFTWARE,
                                      .receive_ns = harness->now_ns};
    uint8_t *copy = exactly(bytes, length);
    packet.bytes = copy;
    bool stale = feed_is_stale(harness->feed);
    if (feed_packet(harness->feed, &packet, harness->now_ns, &view) == FEED_TAKE)
        walk(harness, &packet, &view);
    account(harness);
    /* Stale for the rest of the session, but for one joined late that has caught up by requests. */
    MUST(view.new_session || !stale || feed_is_stale(harness->feed) || (harness->policy.request && !harness->declared));
    free(copy);
    drain(harness);
}

/* --- input --- */

static uint32_t build(uint8_t *packet, uint8_t session, uint64_t sequence, uint16_t count, bool only_header)
{
    uint8_t name[MOLD_SESSION];
    memset(name, 'A' + session, sizeof name);
    uint32_t length = mold_header(packet, name, sequence, count);
    for (uint32_t i = 0; !only_header && i < count; i++) {
        put16(packet + length, MESSAGE_BYTES);
        put64(packet + length + 2, MARK);
        put64(packet + length + 10, sequence + i);
        length += 2 + MESSAGE_BYTES;
    }
    return length;
}

static void step(struct harness *harness, struct input *input)
{
    uint8_t packet[PACKET_MAX], what = take8(input), where = take8(input);
    uint8_t line = (what >> 3) % 3, session = what >> 5 & 1;
    uint64_t sequence = 1 + where % SEQUENCES;
    switch (what & 7) {
    case 0: { /* bytes as they come */
        size_t length = take8(input);
        const uint8_t *at = take(input, &length);
        give(harness, at, (uint32_t)length, line);
        break;
    }
    case 1: { /* the tail is cut off */
        uint32_t length = build(packet, session, sequence, 1 + where % 5, false);
        give(harness, packet, length - take8(input) % length, line);
        break;
    }
    case 2:
        give(harness, packet, build(packet, session, sequence, MOLD_HEARTBEAT, true), line);
        break;
    case 3:
        give(harness, packet, build(packet, session, sequence, MOLD_END_OF_SESSION, true), line);
        break;
    case 4:
        harness->now_ns += (uint64_t)where * NS_PER_MS;
        feed_tick(harness->feed, &harness->transport, harness->now_ns);
        account(harness);
        drain(harness);
        break;
    case 5: /* the next in order, whatever that is */
        sequence = feed_next_sequence(harness->feed);
        give(harness, packet, build(packet, session, sequence, 1 + where % 5, false), line);
        break;
    default:
        give(harness, packet, build(packet, session, sequence, 1 + (what >> 6), false), line);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    uint8_t flags = take8(&input);
    struct harness harness = {.now_ns = 1000 * NS_PER_MS};
    harness.policy = (struct feed_policy){.gap_timeout_ms = flags & 1 ? 0 : 40,
                                          .request_ms = 10,
                                          .silent_ms = 100,
                                          .keep_packets = 1 + (flags >> 4 & 7),
                                          .request = flags >> 1 & 1,
                                          .strict_join = flags >> 2 & 1};
    harness.transport = (struct feed_transport){.self = &harness, .request = on_request};
    struct arena arena;
    MUST(arena_open(&arena, feed_footprint(&harness.policy)));
    harness.feed = feed_init(&arena, &harness.policy);
    MUST(harness.feed != NULL);
    while (input.left > 0)
        step(&harness, &input);
    arena_close(&arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed under the sanitizers: each bad day by hand, then noise. What it does on every order of packets is asked from Python. */
#include "check.h"
#include "clock.h"
#include "feed.h"
#include "kept.h"

#define DAY "SESSION A "
#define NEXT_DAY "SESSION B "
#define MS NS_PER_MS

static struct arena arena;
static struct feed *feed;
static uint64_t now_ns = 1;
static struct mold_view seen; /* of the last packet that was taken */
static unsigned sessions, ends, requests;
static uint64_t first_sequence, taken_total; /* of the session */
static uint8_t asked[MOLD_HEADER];

static void start(struct feed_policy policy)
{
    arena_close(&arena);
    CHECK(arena_open(&arena, feed_footprint(&policy)));
    feed = feed_init(&arena, &policy);
    CHECK(feed != NULL && arena.used <= arena.capacity);
    sessions = ends = requests = 0;
    taken_total = 0;
}

static const struct feed_policy usual = {.gap_timeout_ms = 100, .request_ms = 10, .silent_ms = 1000, .keep_packets = 8};

static struct feed_policy asking(void)
{
    struct feed_policy policy = usual;
    policy.request = true;
    return policy;
}

static uint32_t walk(const struct transport_packet *packet, const struct mold_view *view)
{
    const uint8_t *at = packet->bytes + MOLD_HEADER, *end = packet->bytes + packet->length;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < view->count && end - at >= 2 && end - at - 2 >= get16(at); i++) {
        taken += i >= view->duplicates;
        at += 2 + get16(at);
    }
    seen = *view;
    if (view->new_session) {
        sessions++;
        first_sequence = feed_next_sequence(feed);
        taken_total = 0;
    }
    ends += view->ends_session;
    feed_taken(feed, taken);
    taken_total += taken;
    return taken;
}

static uint32_t drain(void)
{
    struct transport_packet packet;
    struct mold_view view;
    uint32_t taken = 0;
    while (feed_has_kept(feed) && feed_kept(feed, &packet, &view) == FEED_TAKE)
        taken += walk(&packet, &view);
    CHECK(!feed_has_kept(feed) && feed_kept(feed, &packet, &view) == FEED_NOTHING);
    return taken;
}

/* Give a packet as it is; how many messages came out. */
static uint32_t give_bytes(const uint8_t *bytes, uint32_t length, enum transport_line line)
{
    uint8_t *exact = exactly(bytes, length);
    struct transport_packet packet = {.bytes = exact, .length = length, .line = (uint8_t)line, .receive_clock = STAMP_HARDWARE, .receive_ns = 77,
                                      .receive_software_ns = 78};
    struct mold_view view;
    uint32_t taken = 0;
    if (feed_packet(feed, &packet, now_ns, &view) == FEED_TAKE)
        taken = walk(&packet, &view);
    taken += drain();
    free(exact);
    return taken;
}

/* A packet of `count` messages of `size` bytes. */
static uint32_t build(uint8_t *packet, const char *session, uint64_t sequence, uint16_t count, uint16_t size)
{
    uint32_t length = mold_header(packet, (const uint8_t *)session, sequence, count);
    for (unsigned i = 0; count != MOLD_END_OF_SESSION && i < count; i++) {
        put16(packet + length, size);
        memset(packet + length + 2, (int)(sequence + i), size);
        length += 2u + size;
    }
    return length;
}

static uint32_t give(const char *session, uint64_t sequence, uint16_t count, enum transport_line line)
{
    uint8_t packet[8192];
    return give_bytes(packet, build(packet, session, sequence, count, 4), line);
}

#define A(sequence, count) give(DAY, sequence, count, TRANSPORT_LINE_A)
#define B(sequence, count) give(DAY, sequence, count, TRANSPORT_LINE_B)
#define R(sequence, count) give(DAY, sequence, count, TRANSPORT_LINE_REQUESTED)
#define END_A(sequence) give(DAY, sequence, MOLD_END_OF_SESSION, TRANSPORT_LINE_A)
#define END_B(sequence) give(DAY, sequence, MOLD_END_OF_SESSION, TRANSPORT_LINE_B)

static int take_request(void *self, const uint8_t *bytes, uint32_t length)
{
    (void)self;
    CHECK(length == MOLD_HEADER);
    memcpy(asked, bytes, length);
    requests++;
    return 0;
}

static bool tick(uint64_t after_ns)
{
    struct feed_transport transport = {.request = take_request};
    now_ns += after_ns;
    return feed_tick(feed, &transport, now_ns);
}

static void both_lines(void)
{
    start(usual);
    CHECK(A(1, 2) == 2 && seen.new_session && B(1, 2) == 0 && B(3, 1) == 1 && A(3, 1) == 0);
    CHECK(A(2, 4) == 2 && seen.duplicates == 2 && B(4, 2) == 0);
    const struct feed_counts *c = feed_counts(feed);
    CHECK(c->packets_a == 3 && c->packets_b == 3 && c->duplicates == 2 + 1 + 2 + 2 && c->gaps == 0);
    CHECK(feed_next_sequence(feed) == 6 && memcmp(feed_session(feed), DAY, 10) == 0 && !feed_gap_open(feed));
}

static void a_gap_is_filled(void)
{
    start(usual);
    CHECK(A(1, 1) == 1 && A(3, 2) == 0 && A(5, 1) == 0 && feed_gap_open(feed));
    CHECK(B(2, 1) == 4 && !feed_gap_open(feed) && !feed_is_stale(feed)); /* 2, and the kept 3 to 5 */
    CHECK(B(3, 2) == 0 && B(5, 1) == 0 && A(6, 1) == 1);
    CHECK(feed_counts(feed)->gaps == 1 && feed_counts(feed)->gaps_closed == 1 && feed_counts(feed)->messages_lost == 0);
    /* Holes within, packets out of order and over each other. */
    CHECK(A(20, 2) == 0 && A(10, 4) == 0 && A(12, 4) == 0 && A(12, 2) == 0 && A(10, 9) == 0);
    CHECK(B(7, 1) == 1 && B(8, 2) == 2 + 9 && feed_gap_open(feed) && B(18, 3) == 4 - 1 && !feed_gap_open(feed));
    CHECK(feed_next_sequence(feed) == 22 && feed_counts(feed)->gaps_closed == 2);
}

static void what_is_kept_keeps_its_stamp_and_line(void)
{
    struct transport_packet packet;
    struct mold_view view;
    uint8_t bytes[256];
    start(usual);
    A(1, 1);
    B(3, 2);
    packet = (struct transport_packet){.bytes = bytes, .length = build(bytes, DAY, 2, 2, 4), .line = TRANSPORT_LINE_A};
    CHECK(feed_packet(feed, &packet, now_ns, &view) == FEED_TAKE);
    feed_taken(feed, 2);
    CHECK(feed_has_kept(feed) && feed_kept(feed, &packet, &view) == FEED_TAKE);
    CHECK(packet.line == TRANSPORT_LINE_B && packet.receive_ns == 77 && packet.length == MOLD_HEADER + 12);
    CHECK(view.count == 2 && view.duplicates == 1 && packet.bytes[MOLD_HEADER + 8] == 4 && !view.new_session);
    feed_taken(feed, 1);
    CHECK(feed_next_sequence(feed) == 5 && !feed_gap_open(feed));
}

static void a_gap_times_out(void)
{
    start(usual);
    CHECK(A(1, 1) == 1 && A(5, 1) == 0);
    CHECK(!tick(99 * MS) && A(2, 1) == 1 && !tick(99 * MS)); /* one of the missing came: the time begins again */
    CHECK(A(6, 0) == 0 && A(6, 1) == 0 && A(1, 1) == 0);     /* these are none of the missing */
    CHECK(tick(MS) && feed_is_stale(feed) && drain() == 2 && feed_next_sequence(feed) == 7);
    CHECK(feed_counts(feed)->messages_lost == 2 && feed_counts(feed)->gaps_closed == 0 && feed_counts(feed)->gaps == 1);
    CHECK(requests == 0 && A(7, 1) == 1 && feed_is_stale(feed));
    CHECK(give(NEXT_DAY, 1, 1, TRANSPORT_LINE_A) == 1 && !feed_is_stale(feed));
    /* A hole behind the first has waited since it was seen, not since the first was declared. */
    start(usual);
    A(1, 1), A(3, 1);
    tick(50 * MS), A(5, 1);
    CHECK(tick(50 * MS) && drain() == 1 && !tick(49 * MS) && tick(MS) && drain() == 1);
    CHECK(feed_counts(feed)->messages_lost == 2 && feed_counts(feed)->gaps == 1 && !feed_gap_open(feed));
}

static void without_a_time_out_a_gap_is_lost_at_once(void)
{
    struct feed_policy policy = usual;
    policy.gap_timeout_ms = 0;
    policy.request = true;
    start(policy);
    CHECK(A(5, 1) == 1 && A(7, 2) == 2 && seen.lost == 1 && feed_is_stale(feed) && !feed_gap_open(feed));
    CHECK(A(12, 0) == 0 && seen.lost == 3 && feed_next_sequence(feed) == 12);
    CHECK(END_A(13) == 0 && seen.lost == 1 && seen.ends_session && feed_counts(feed)->gaps == 3);
    CHECK(feed_counts(feed)->messages_lost == 5 && !tick(MS) && requests == 0);
}

static void too_much_to_keep(void)
{
    start(usual); /* keeps eight */
    A(1, 1);
    for (uint64_t s = 3; s < 11; s++)
        CHECK(A(s, 1) == 0);
    CHECK(feed_gap_open(feed) && A(11, 1) == 9 && seen.count == 1 && feed_is_stale(feed) && !feed_gap_open(feed));
    CHECK(feed_counts(feed)->messages_lost == 1 && feed_next_sequence(feed) == 12);
    /* Every other one is missing: each packet more gives up one hole. */
    for (uint64_t s = 13; s < 13 + 2 * 8; s += 2)
        CHECK(A(s, 1) == 0);
    CHECK(A(29, 1) == 1 && A(31, 1) == 1 && feed_counts(feed)->messages_lost == 3);
    CHECK(A(16, 1) == 2 && feed_next_sequence(feed) == 18); /* the first hole is filled as ever */
}

static void known_ones_take_no_room(void)
{
    start(usual); /* keeps eight */
    A(1, 1);
    for (int i = 0; i < 20; i++)
        CHECK(A(5, 4) == 0 && B(5, 4) == 0 && B(7, 2) == 0 && B(5, 1) == 0);
    CHECK(!feed_is_stale(feed) && feed_counts(feed)->duplicates == 19 * 4 + 20 * (4 + 2 + 1));
    CHECK(A(2, 3) == 7);
}

/* Round the ring many times, with a different fill each time. */
static void the_ring_goes_round(void)
{
    start(usual);
    A(1, 1);
    for (unsigned round = 0; round < 50; round++) {
        uint64_t next = feed_next_sequence(feed);
        unsigned behind = 1 + round % 8;
        for (unsigned i = behind; i > 0; i--) /* the last first */
            CHECK(A(next + i, 1) == 0);
        CHECK(B(next, 1) == behind + 1 && !feed_gap_open(feed));
    }
    CHECK(feed_counts(feed)->messages_lost == 0 && feed_counts(feed)->gaps_closed == 50);
}

static void long_packets(void)
{
    static uint8_t packet[MOLD_PACKET_MAX];
    struct transport_packet kept;
    struct mold_view view;
    start(asking());
    A(1, 1);
    /* The longest packet there is, of messages as ITCH has them, in pieces of which each is a packet. */
    uint32_t length = build(packet, DAY, 3, 1200, 50);
    CHECK(length > 60000 && give_bytes(packet, length, TRANSPORT_LINE_A) == 1200 && feed_is_stale(feed)); /* keeps eight */
    CHECK(feed_next_sequence(feed) == 1203 && feed_counts(feed)->messages_lost == 1);
    struct feed_policy roomy = asking();
    roomy.keep_packets = 100;
    start(roomy);
    A(1, 1);
    CHECK(give_bytes(packet, length, TRANSPORT_LINE_A) == 0 && give_bytes(packet, length, TRANSPORT_LINE_B) == 0);
    CHECK(feed_counts(feed)->duplicates == 1200);
    uint8_t *two = exactly(packet, build(packet, DAY, 2, 1, 4));
    struct transport_packet second = {.bytes = two, .length = MOLD_HEADER + 6, .line = TRANSPORT_LINE_B};
    CHECK(feed_packet(feed, &second, now_ns, &view) == FEED_TAKE);
    feed_taken(feed, 1);
    free(two);
    while (feed_has_kept(feed)) {
        uint64_t next = feed_next_sequence(feed);
        CHECK(feed_kept(feed, &kept, &view) == FEED_TAKE && kept.length <= KEPT_BYTES && kept.receive_ns == 77);
        CHECK(kept.receive_clock == STAMP_HARDWARE && kept.receive_software_ns == 78);
        CHECK(mold_sequence(kept.bytes) == next && mold_count(kept.bytes) == view.count);
        CHECK(mold_whole(kept.bytes, kept.length) == view.count && kept.bytes[MOLD_HEADER + 2] == (uint8_t)next);
        feed_taken(feed, view.count);
    }
    CHECK(feed_next_sequence(feed) == 1203 && !feed_gap_open(feed) && !feed_is_stale(feed));
    /* A message that fits no piece stays missing, and is asked for. */
    length = build(packet, DAY, 1204, 3, KEPT_BLOCKS - 2);
    CHECK(give_bytes(packet, length, TRANSPORT_LINE_A) == 0 && A(1203, 1) == 4 && !feed_gap_open(feed));
    length = build(packet, DAY, 1208, 1, KEPT_BLOCKS - 1);
    CHECK(give_bytes(packet, length, TRANSPORT_LINE_A) == 0 && feed_gap_open(feed) && A(1209, 1) == 0);
    CHECK(!tick(0) && mold_sequence(asked) == 1207 && mold_count(asked) == 2 && B(1207, 1) == 1 && feed_gap_open(feed));
    CHECK(give_bytes(packet, length, TRANSPORT_LINE_B) == 2 && !feed_gap_open(feed));
}

static void missing_messages_are_asked_for(void)
{
    start(asking());
    A(1, 1);
    CHECK(!tick(MS) && requests == 0);
    A(500, 1), A(503, 1);
    CHECK(!tick(0) && requests == 1 && memcmp(asked, DAY, 10) == 0 && mold_sequence(asked) == 2);
    uint16_t count = mold_count(asked);
    CHECK(count == KEPT_BLOCKS / 14);
    CHECK(!tick(9 * MS) && requests == 1 && !tick(MS) && requests == 2); /* again after 10 ms */
    CHECK(R(2, 98) == 98 && !tick(0) && requests == 3 && mold_sequence(asked) == 100); /* an answer: the rest at once */
    for (uint64_t s = 100; s < 500; s += 100)
        CHECK(R(s, 100) == (s == 400 ? 101 : 100)); /* with the last the kept one at 500 */
    CHECK(!tick(0) && requests == 4 && mold_sequence(asked) == 501 && mold_count(asked) == 2); /* the hole behind it */
    CHECK(A(501, 1) == 1 && !tick(0) && requests == 4); /* a line's own packet is no answer */
    CHECK(R(502, 1) == 2 && !feed_gap_open(feed) && !tick(50 * MS) && requests == 4);
    CHECK(feed_counts(feed)->requests == 4 && feed_counts(feed)->packets_requested == 6);
    A(510, 0); /* a heartbeat shows a gap */
    CHECK(!tick(0) && requests == 5 && mold_sequence(asked) == 504 && mold_count(asked) == 6);
    CHECK(!feed_tick(feed, NULL, now_ns + 60 * MS) && tick(100 * MS) && feed_counts(feed)->messages_lost == 6);
    CHECK(R(504, 6) == 0); /* too late */
}

static void a_session_joined_late(void)
{
    start(usual);
    CHECK(A(1000, 2) == 2 && seen.new_session && !feed_gap_open(feed) && !feed_is_stale(feed) && B(1, 999) == 0);
    struct feed_policy strict = usual;
    strict.strict_join = true;
    start(strict);
    CHECK(A(2, 1) == 1 && feed_is_stale(feed) && give(NEXT_DAY, 1, 1, TRANSPORT_LINE_A) == 1 && !feed_is_stale(feed));
    start(asking());
    CHECK(A(100, 2) == 0 && sessions == 1 && seen.new_session && seen.count == 0 && feed_next_sequence(feed) == 1);
    CHECK(!tick(0) && mold_sequence(asked) == 1 && mold_count(asked) == 99 && A(102, 0) == 0);
    CHECK(R(1, 50) == 50 && !tick(99 * MS) && R(51, 49) == 51 && !feed_is_stale(feed) && !feed_gap_open(feed));
    start(asking());
    CHECK(A(100, 0) == 0 && sessions == 1 && feed_gap_open(feed));
    CHECK(tick(100 * MS) && feed_is_stale(feed) && feed_next_sequence(feed) == 100 && A(100, 1) == 1);
}

static void ends_of_sessions(void)
{
    start(usual);
    A(1, 1);
    CHECK(END_A(2) == 0 && ends == 1 && seen.ends_session && END_A(2) == 0 && END_B(2) == 0 && ends == 1);
    CHECK(A(2, 1) == 0 && feed_counts(feed)->out_of_session == 1);
    /* With a gap before it, closed or declared. */
    start(usual);
    A(1, 1), A(3, 1);
    CHECK(END_A(4) == 0 && ends == 0 && B(2, 1) == 2 && ends == 1 && !feed_is_stale(feed));
    start(usual);
    A(1, 1), A(3, 1), A(6, 0);
    CHECK(END_A(6) == 0 && ends == 0 && tick(100 * MS) && drain() == 1 && ends == 0);
    CHECK(tick(MS) && drain() == 0 && ends == 1 && feed_counts(feed)->messages_lost == 3 && !feed_gap_open(feed));
    /* The day's id again: only from sequence 1, only on a line that said the end. */
    CHECK(A(2, 1) == 0 && B(1, 1) == 0 && R(1, 1) == 0 && sessions == 1 && feed_counts(feed)->out_of_session == 3);
    CHECK(A(1, 1) == 1 && sessions == 2 && B(1, 1) == 0 && B(2, 1) == 1 && !feed_is_stale(feed));
    CHECK(END_B(2) == 0 && ends == 1 && feed_counts(feed)->out_of_session == 4); /* late, of the first time */
    /* An end that says less than was thought to exist is believed. */
    CHECK(A(9, 0) == 0 && feed_gap_open(feed) && END_A(3) == 0 && ends == 2 && !feed_gap_open(feed));
    start(usual);
    A(1, 1);
    CHECK(A(10, 0) == 0 && END_A(5) == 0 && B(2, 1) == 1 && B(3, 2) == 2 && ends == 1 && !feed_gap_open(feed));
    start(usual);
    A(1, 1), A(8, 1);
    CHECK(END_A(3) == 0 && tick(100 * MS) && drain() == 0 && ends == 1 && feed_counts(feed)->messages_lost == 1);
    start(usual);
    CHECK(END_A(1) == 0 && sessions == 1 && ends == 1);
}

static void changes_of_session(void)
{
    start(usual);
    A(1, 1), A(5, 1);
    CHECK(give(NEXT_DAY, 1, 2, TRANSPORT_LINE_B) == 2 && seen.new_session && !feed_gap_open(feed));
    CHECK(feed_counts(feed)->messages_lost == 4); /* 2 to 5 of the day before never came or were kept in vain */
    CHECK(A(2, 1) == 0 && A(1, 1) == 0 && END_A(9) == 0 && feed_counts(feed)->out_of_session == 3 && sessions == 2);
    CHECK(give(NEXT_DAY, 3, 1, TRANSPORT_LINE_A) == 1 && feed_next_sequence(feed) == 4);
    CHECK(give("SESSION C ", 1, 1, TRANSPORT_LINE_REQUESTED) == 0 && sessions == 2);
    /* An end that waited goes with its day. */
    start(usual);
    A(1, 1), END_A(3);
    CHECK(give(NEXT_DAY, 1, 3, TRANSPORT_LINE_A) == 3 && ends == 0);
}

static void damage(void)
{
    uint8_t packet[256], other[256];
    const struct feed_counts *c;
    start(usual);
    c = feed_counts(feed);
    uint32_t length = build(packet, DAY, 1, 3, 4);
    CHECK(give_bytes(packet, length - 1, TRANSPORT_LINE_A) == 0 && sessions == 0 && c->malformed == 1); /* no day begins so */
    memcpy(other, packet, length);
    other[3] = '\n';
    CHECK(give_bytes(other, length, TRANSPORT_LINE_A) == 0 && sessions == 0 && c->malformed == 2);
    for (uint32_t cut = 0; cut < MOLD_HEADER; cut++)
        CHECK(give_bytes(packet, cut, TRANSPORT_LINE_A) == 0);
    CHECK(c->malformed == 22 && A(1, 1) == 1);
    /* In order: what is whole is taken, the rest comes from the other line. */
    CHECK(give_bytes(packet, length - 1, TRANSPORT_LINE_A) == 1 && c->malformed == 23 && B(1, 3) == 1);
    put16(packet + MOLD_SESSION + 8, 60000); /* a corrupt count */
    put64(packet + MOLD_SESSION, 4);
    CHECK(give_bytes(packet, length, TRANSPORT_LINE_A) == 3 && c->malformed == 24 && feed_next_sequence(feed) == 7);
    /* Behind a gap: only whole messages count. */
    put64(packet + MOLD_SESSION, 9);
    CHECK(give_bytes(packet, length - 1, TRANSPORT_LINE_A) == 0 && c->malformed == 25 && feed_gap_open(feed));
    CHECK(B(7, 2) == 4 && feed_next_sequence(feed) == 11 && !feed_gap_open(feed));
    put64(packet + MOLD_SESSION, 20);
    CHECK(give_bytes(packet, MOLD_HEADER, TRANSPORT_LINE_A) == 0 && c->malformed == 26 && !feed_gap_open(feed));
    /* A block longer than its packet, and more taken than promised. */
    build(packet, DAY, 11, 1, 4);
    put16(packet + MOLD_HEADER, 0xFFFF);
    CHECK(give_bytes(packet, MOLD_HEADER + 6, TRANSPORT_LINE_A) == 0 && feed_next_sequence(feed) == 11);
    feed_taken(feed, 100);
    CHECK(feed_next_sequence(feed) == 11);
}

static void giant_sequences(void)
{
    const uint64_t giants[] = {FEED_SEQUENCE_LAST + 1, UINT64_MAX - 1, UINT64_MAX};
    const uint16_t counts[] = {1, MOLD_HEARTBEAT, MOLD_END_OF_SESSION};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 3; j++) {
            start(asking());
            CHECK(A(giants[i], counts[j]) == 0 && sessions == 0 && A(1, 1) == 1 && A(giants[i], counts[j]) == 0);
            CHECK(!feed_gap_open(feed) && ends == 0 && feed_counts(feed)->malformed == 2 && A(2, 1) == 1);
        }
    start(usual);
    CHECK(A(FEED_SEQUENCE_LAST, 3) == 3 && A(FEED_SEQUENCE_LAST + 3, 1) == 1 && B(FEED_SEQUENCE_LAST, 3) == 0);
}

static void silence(void)
{
    start(usual);
    CHECK(!tick(0) && !feed_is_silent(feed) && !tick(999 * MS) && !feed_is_silent(feed));
    tick(MS);
    CHECK(feed_is_silent(feed) && A(1, 0) == 0 && !feed_is_silent(feed) && !tick(999 * MS) && !feed_is_silent(feed));
    give_bytes((const uint8_t *)"noise", 5, TRANSPORT_LINE_A);
    give("NOBODY    ", 1, 1, TRANSPORT_LINE_REQUESTED);
    tick(MS);
    CHECK(feed_is_silent(feed) && A(1, 1) == 1 && !feed_is_silent(feed));
    END_A(2);
    tick(1000 * MS);
    CHECK(feed_is_silent(feed) && END_A(2) == 0 && !feed_is_silent(feed));
    struct feed_policy never = usual;
    never.silent_ms = 0;
    start(never);
    tick(1000 * 1000 * MS);
    tick(1000 * 1000 * MS);
    CHECK(!feed_is_silent(feed));
}

/* Headers that nearly fit and bytes that do not: nothing is read beyond a packet, and no message is lost from the account. */
static void noise(void)
{
    uint64_t state = 11;
    struct feed_policy policy = asking();
    for (int round = 0; round < 60; round++) {
        policy.gap_timeout_ms = round % 3 == 0 ? 0 : 20;
        policy.keep_packets = 1 + round % 5;
        start(policy);
        A(1, 1);
        for (int i = 0; i < 2000; i++) {
            uint8_t packet[8192];
            uint64_t next = feed_next_sequence(feed), lost = feed_counts(feed)->messages_lost;
            unsigned began = sessions;
            uint64_t wild = chance(&state), sequence = next + wild % 24 - 8;
            uint16_t count = wild % 50 == 0 ? MOLD_END_OF_SESSION : wild % 6;
            const char *session = wild % 97 == 0 ? NEXT_DAY : DAY;
            uint32_t length = build(packet, session, wild % 89 == 0 ? chance(&state) : sequence, count, 3 + (wild % 400 == 0) * 800);
            for (uint64_t flips = chance(&state) % 4; flips > 2; flips--)
                packet[chance(&state) % length] = (uint8_t)chance(&state);
            if (chance(&state) % 8 == 0)
                length = (uint32_t)(chance(&state) % (length + 1));
            uint64_t before = taken_total;
            give_bytes(packet, length, (enum transport_line)(chance(&state) % 3));
            if (chance(&state) % 16 == 0) {
                tick(chance(&state) % (30 * MS));
                drain();
            }
            if (sessions == began)
                CHECK(feed_next_sequence(feed) == next + (taken_total - before) + (feed_counts(feed)->messages_lost - lost));
            if (sessions > began && chance(&state) % 2 == 0)
                start(policy), A(1, 1);
        }
        const struct feed_counts *c = feed_counts(feed);
        CHECK(c->gaps >= c->gaps_closed + feed_gap_open(feed));
    }
}

int main(void)
{
    both_lines();
    a_gap_is_filled();
    what_is_kept_keeps_its_stamp_and_line();
    a_gap_times_out();
    without_a_time_out_a_gap_is_lost_at_once();
    too_much_to_keep();
    known_ones_take_no_room();
    the_ring_goes_round();
    long_packets();
    missing_messages_are_asked_for();
    a_session_joined_late();
    ends_of_sessions();
    changes_of_session();
    damage();
    giant_sequences();
    silence();
    noise();
    arena_close(&arena);
    return DONE();
}

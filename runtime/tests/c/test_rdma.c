/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures cut and damaged in memory of exactly their length, and the parts that Python sees only through others. */
#include "check.h"
#include "rdma/pairing.h"

enum { FRAME = 14 + 20 + 8 + 12 + 16 + 64 + 4, RETH = 16 };

static struct trace *fresh(uint32_t flows, uint32_t outstanding)
{
    struct trace_limits limits = {.flows = flows, .outstanding = outstanding, .icrc = true};
    return trace_new(calloc(1, trace_footprint(&limits)), &limits);
}

/* A write of 64 bytes, from 10.0.0.`from` to queue pair `qp` of 10.0.0.`to`. */
static void make_write(uint8_t frame[FRAME], uint8_t from, uint8_t to, uint32_t qp, uint32_t psn)
{
    memset(frame, 0, FRAME);
    frame[12] = 0x08;
    frame[14] = 0x45;
    put16(frame + 16, FRAME - 14);
    frame[23] = 17;
    memcpy(frame + 26, (uint8_t[]){10, 0, 0, from, 10, 0, 0, to}, 8);
    put16(frame + 36, 4791);
    put16(frame + 38, FRAME - 34);
    frame[42] = 0x0A;
    put32(frame + 46, qp);
    put32(frame + 50, psn);
    put32(frame + 54 + 12, 64);
}

static void put_record(struct trace *trace, const uint8_t *bytes, uint32_t length, uint64_t time_ns, uint16_t link)
{
    uint8_t *alone = exactly(bytes, length);
    struct capture_record record = {time_ns, alone, length, length, link};
    trace_records(trace, &record, 1);
    free(alone);
}

static void frames_cut_anywhere(void)
{
    static const uint16_t links[] = {1, 101, 113, 228, 229, 276, 147};
    uint8_t frame[FRAME];
    make_write(frame, 1, 2, 7, 5);
    struct trace *trace = fresh(4, 8);
    for (unsigned link = 0; link < sizeof links / sizeof links[0]; link++)
        for (uint32_t length = 0; length <= FRAME; length++)
            put_record(trace, frame, length, length, links[link]);
    CHECK(trace->kinds[PACKET_ROCE] == 64 + 4 + 1); /* Ethernet, from the last header on */
    CHECK(trace->kinds[PACKET_CUT] == 70 - 38);
    CHECK(trace->kinds[PACKET_LINK_UNKNOWN] == FRAME + 1 && trace->unknown_link == 147);
    free(trace);
}

static void frames_damaged(void)
{
    static const uint16_t links[] = {1, 101, 113, 276};
    uint64_t state = 7;
    struct trace *trace = fresh(64, 8);
    for (int round = 0; round < 60000; round++) {
        uint8_t frame[FRAME];
        make_write(frame, 1 + round % 2, 2 - round % 2, (uint32_t)(chance(&state) % 16), (uint32_t)chance(&state) % 64);
        frame[42] = (uint8_t)chance(&state);
        for (uint64_t changes = chance(&state) % 4; changes > 0; changes--)
            frame[chance(&state) % FRAME] = (uint8_t)chance(&state);
        if (round % 3 == 0) /* IPv6, with whatever follows */
            memcpy(frame + 12, "\x86\xDD\x60", 3);
        put_record(trace, frame, (uint32_t)(chance(&state) % (FRAME + 1)), chance(&state) % 100000, links[round % 4]);
        put_record(trace, frame, FRAME, (uint64_t)round, 1);
    }
    uint64_t kinds = 0;
    for (int i = 0; i < PACKET_KINDS; i++) {
        CHECK(i == PACKET_LINK_UNKNOWN || trace->kinds[i] > 0 || i == PACKET_PAUSE);
        kinds += trace->kinds[i];
    }
    CHECK(kinds == 120000 && trace->flow_count == 64);
    free(trace);
}

static void captures_cut_and_damaged(void)
{
    uint8_t file[24 + 3 * (16 + FRAME)] = {0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, [20] = 1};
    uint64_t state = 99;
    for (int i = 0; i < 3; i++) {
        uint8_t *record = file + 24 + i * (16 + FRAME);
        record[8] = record[12] = FRAME;
        make_write(record + 16, 1, 2, 7, (uint32_t)i);
    }
    static struct capture capture;
    struct capture_record record;
    for (int round = 0; round < 20000; round++) {
        uint64_t length = round < (int)sizeof file ? (uint64_t)round : sizeof file;
        uint8_t *bytes = exactly(file, length);
        if (round >= (int)sizeof file)
            for (int changes = 0; changes < 3; changes++)
                bytes[chance(&state) % length] = (uint8_t)chance(&state);
        struct trace *trace = fresh(2, 4);
        capture_start(&capture);
        capture_window(&capture, bytes, length);
        while (capture_next(&capture, &record) == CAPTURE_RECORD)
            trace_records(trace, &record, 1);
        CHECK(capture.at <= length);
        if (round < (int)sizeof file)
            CHECK(capture.records == (length < 24 ? 0 : (length - 24) / (16 + FRAME)) && capture.failure.code == 0);
        free(trace);
        free(bytes);
    }
}

static void a_histogram(void)
{
    static struct histogram h;
    uint64_t state = 3;
    for (uint64_t value = 1; value < 1ull << HISTOGRAM_TOP; value += 1 + value / 50) {
        uint32_t bucket = histogram_bucket(value);
        CHECK(bucket < HISTOGRAM_BUCKETS && histogram_edge(bucket) >= value);
        CHECK(histogram_edge(bucket) - value <= value / 128 && (bucket == 0 || histogram_edge(bucket - 1) < value));
    }
    CHECK(histogram_quantile(&h, 500) == 0);
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&h, value);
    CHECK(histogram_quantile(&h, 500) == 50 && histogram_quantile(&h, 990) == 99 && histogram_quantile(&h, 999) == 100);
    for (int i = 0; i < 1000; i++)
        histogram_add(&h, chance(&state));
    CHECK(h.count == 1100 && histogram_quantile(&h, 999) == h.max && h.min == 1);
}

static void a_series_keeps_its_sums(void)
{
    static struct series series;
    uint64_t state = 5, time_ns = 1000000, packets = 0, samples = 0;
    for (int i = 0; i < 5000; i++) {
        struct series_bin *bin = series_at(&series, time_ns);
        CHECK(bin >= series.bins && bin < series.bins + SERIES_BINS);
        if (bin->packets++ == 0 || (uint64_t)i < bin->low)
            bin->low = (uint64_t)i;
        bin->high = (uint64_t)i;
        bin->samples++;
        time_ns += chance(&state) % (1ull << (i / 100));
    }
    series_at(&series, 0)->packets++; /* from before the first one */
    for (int i = 0; i < SERIES_BINS; i++) {
        packets += series.bins[i].packets;
        samples += series.bins[i].samples;
    }
    CHECK(packets == 5001 && samples == 5000 && series.bins[0].low == 0);
}

static void psns_around_the_wrap(void)
{
    CHECK(psn_distance(0xFFFFFF, 0) == 1 && psn_distance(0, 0xFFFFFF) == -1 && psn_plus(0xFFFFFF, 2) == 1);
    CHECK(psn_distance(5, 5 + 0x7FFFFF) == 0x7FFFFF && psn_distance(0, 0x800000) == -0x800000 && psn_plus(0, -1) == 0xFFFFFF);
}

/* A packet is read into whatever was there: of a packet before it nothing stays. */
static void headers_that_are_not_there(void)
{
    uint8_t frame[FRAME];
    make_write(frame, 1, 2, 7, 5);
    for (int opcode = 0; opcode < 32; opcode++) {
        frame[42] = (uint8_t)opcode;
        struct capture_record record = {1, frame, FRAME, FRAME, 1};
        struct packet packet;
        memset(&packet, 0xFF, sizeof packet);
        if (packet_read(&record, &packet) != PACKET_ROCE)
            continue;
        CHECK(packet.roce.syndrome == 0); /* the frame has zeroes wherever an acknowledge header is */
        CHECK(roce_syndrome(packet.roce.syndrome) == SYNDROME_ACK);
    }
    CHECK(roce_syndrome(0x80 | 0x20) == SYNDROME_NOT_READY && roce_syndrome(0xE3) == SYNDROME_NAK);
}

/* Of more PSNs passed over than the ring has room for the newest are known, and nothing beyond the ring is touched. */
static void a_gap_wider_than_the_ring(void)
{
    uint8_t frame[FRAME];
    struct trace *trace = fresh(1, 8);
    static const uint32_t psns[] = {10, 60010, 60009, 60002, 60001, 60009};
    for (uint32_t i = 0; i < sizeof psns / sizeof psns[0]; i++) {
        make_write(frame, 1, 2, 7, psns[i]);
        put_record(trace, frame, FRAME, i, 1);
    }
    const struct flow_counts *counts = &trace->flows[0].counts;
    CHECK(counts->late_messages == 1 && counts->out_of_order == 1 && counts->retransmissions == 3 && counts->repeated == 1);
    CHECK(counts->missing == 60010 - 11 - 1 && counts->messages[MESSAGE_WRITE] == 3 && counts->restarts == 0);
    free(trace);
}

static void the_table_of_flows(void)
{
    struct trace *trace = fresh(300, 2);
    struct address one = {0, 0x0100000AFFFF0000u}, other = {0, 0x0200000AFFFF0000u};
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t qp = 0; qp < 300; qp++)
            CHECK(trace_flow(trace, qp % 2 ? one : other, qp % 2 ? other : one, qp, FLOW_NONE) == qp);
    CHECK(trace_flow(trace, one, other, 999, FLOW_NONE) == FLOW_NONE && trace->flow_count == 300);
    unsigned between = 0;
    for (uint32_t i = trace_first_between(trace, one, other); i != FLOW_NONE; i = trace->flows[i].next_of_hosts)
        between++;
    CHECK(between == 300 && trace_first_between(trace, one, other) == trace_first_between(trace, other, one));
    pairing_join(trace, 1, 2, PAIRED_BY_PSN);
    pairing_join(trace, 3, 2, PAIRED_BY_CM);
    CHECK(trace->flows[1].peer == FLOW_NONE && trace->flows[1].pairing == PAIRED_NOT && trace->flows[2].peer == 3);
    free(trace);
}

int main(void)
{
    frames_cut_anywhere();
    frames_damaged();
    captures_cut_and_damaged();
    a_histogram();
    a_series_keeps_its_sums();
    psns_around_the_wrap();
    headers_that_are_not_there();
    a_gap_wider_than_the_ring();
    the_table_of_flows();
    return DONE();
}

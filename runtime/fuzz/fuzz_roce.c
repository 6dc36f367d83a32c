/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture file in windows of a size the first byte says: the windows make no difference, nothing is read outside of them or of a
 * record, and every packet is counted once. */
#include "fuzz.h"
#include "rdma/trace.h"

enum { FLOWS = 8, OUTSTANDING = 16 };

static struct trace *fresh(void)
{
    struct trace_limits limits = {.flows = FLOWS, .outstanding = OUTSTANDING, .icrc = true};
    void *zeroes = calloc(1, trace_footprint(&limits));
    MUST(zeroes != NULL);
    return trace_new(zeroes, &limits);
}

/* All records of a window, each in memory of its own length. */
static enum capture_result take_records(struct capture *capture, struct trace *trace)
{
    struct capture_record record;
    enum capture_result result;
    while ((result = capture_next(capture, &record)) == CAPTURE_RECORD) {
        MUST(record.bytes >= capture->bytes && record.bytes + record.length <= capture->bytes + capture->size);
        uint8_t *alone = exactly(record.bytes, record.length);
        record.bytes = alone;
        trace_record(trace, &record);
        free(alone);
    }
    MUST(capture->at <= capture->size);
    MUST((result == CAPTURE_WRONG) == (capture->failure.code != 0));
    return result;
}

/* A window grows by `step` bytes until the file is over. */
static void read_in_windows(const uint8_t *bytes, size_t size, size_t step, struct capture *capture, struct trace *trace)
{
    size_t start = 0, end = 0;
    capture_start(capture);
    do {
        end = size - end < step ? size : end + step;
        uint8_t *window = exactly(bytes + start, end - start);
        capture_window(capture, window, end - start);
        enum capture_result result = take_records(capture, trace);
        start += capture->at;
        free(window);
        if (result == CAPTURE_WRONG)
            return;
    } while (end < size);
}

static void judge(const struct trace *trace, const struct capture *capture)
{
    uint64_t kinds = 0, packets = trace->untracked;
    for (int i = 0; i < PACKET_KINDS; i++)
        kinds += trace->kinds[i];
    MUST(kinds == capture->records && trace->flow_count <= FLOWS);
    for (uint32_t i = 0; i < trace->flow_count; i++) {
        const struct flow *flow = &trace->flows[i];
        packets += flow->counts.packets + flow->counts.copies;
        MUST(flow->peer == FLOW_NONE || (trace->flows[flow->peer].peer == i && flow->pairing != PAIRED_NOT));
        MUST(flow_outstanding(flow) <= OUTSTANDING);
        MUST(flow->round_trip->count + flow->counts.ambiguous + flow->counts.backwards <= flow->counts.requests);
        MUST(histogram_quantile(flow->whole, 500) <= flow->whole->max);
    }
    MUST(packets == trace->kinds[PACKET_ROCE]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct capture whole, parts;
    struct input input = {bytes, size};
    size_t step = 1 + take8(&input);
    struct trace *one = fresh(), *other = fresh();
    read_in_windows(input.at, input.left, input.left + 1, &whole, one);
    read_in_windows(input.at, input.left, step, &parts, other);
    judge(one, &whole);
    judge(other, &parts);
    MUST(whole.records == parts.records && one->flow_count == other->flow_count);
    MUST(whole.failure.code == parts.failure.code);
    MUST(whole.offset + whole.at == parts.offset + parts.at);
    for (uint32_t i = 0; i < one->flow_count; i++)
        MUST(memcmp(&one->flows[i].counts, &other->flows[i].counts, sizeof one->flows[i].counts) == 0);
    free(one);
    free(other);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture file in windows of a size the first byte says: neither the windows nor how many records are followed at a time make a
 * difference, nothing is read outside of a window or a record, and every packet is counted once. */
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

/* All records of a window, each in memory of its own length, so many at a time. */
static enum capture_result take_records(struct capture *capture, struct trace *trace, uint32_t at_a_time)
{
    struct capture_record records[TRACE_BATCH];
    uint8_t *alone[TRACE_BATCH];
    enum capture_result result;
    do {
        uint32_t count = 0;
        while (count < at_a_time && (result = capture_next(capture, &records[count])) == CAPTURE_RECORD) {
            const uint8_t *bytes = records[count].bytes;
            MUST(bytes >= capture->bytes && bytes + records[count].length <= capture->bytes + capture->size);
            records[count].bytes = alone[count] = exactly(bytes, records[count].length);
            count++;
        }
        trace_records(trace, records, count);
        while (count > 0)
            free(alone[--count]);
    } while (result == CAPTURE_RECORD);
    MUST(capture->at <= capture->size);
    MUST((result == CAPTURE_WRONG) == (capture->failure.code != 0));
    return result;
}

/* A window grows by `step` bytes until the file is over. */
static void read_in_windows(const uint8_t *bytes, size_t size, size_t step, uint32_t at_a_time, struct capture *capture,
                            struct trace *trace)
{
    size_t start = 0, end = 0;
    capture_start(capture);
    do {
        end = size - end < step ? size : end + step;
        uint8_t *window = exactly(bytes + start, end - start);
        capture_window(capture, window, end - start);
        enum capture_result result = take_records(capture, trace, at_a_time);
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
    read_in_windows(input.at, input.left, input.left + 1, 1, &whole, one);
    read_in_windows(input.at, input.left, step, TRACE_BATCH, &parts, other);
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

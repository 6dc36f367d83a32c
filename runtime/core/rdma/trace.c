/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "pairing.h"

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static uint32_t power_above(uint32_t count)
{
    uint32_t power = 16;
    while (power < count)
        power *= 2;
    return power;
}

size_t trace_footprint(const struct trace_limits *limits)
{
    size_t slots = power_above(2 * limits->flows) * sizeof(uint32_t), hosts = power_above(limits->flows) * sizeof(uint32_t);
    return aligned(sizeof(struct trace)) + aligned(limits->flows * sizeof(struct flow)) + aligned(slots) + aligned(hosts) +
           limits->flows * flow_footprint(limits->outstanding);
}

struct trace *trace_new(void *zeroes, const struct trace_limits *limits)
{
    uint8_t *at = zeroes;
    struct trace *trace = zeroes;
    trace->limits = *limits;
    trace->slot_mask = power_above(2 * limits->flows) - 1;
    trace->host_mask = power_above(limits->flows) - 1;
    at += aligned(sizeof *trace);
    trace->flows = (struct flow *)at;
    at += aligned(limits->flows * sizeof(struct flow));
    trace->slots = (uint32_t *)at;
    at += aligned((trace->slot_mask + 1) * sizeof(uint32_t));
    trace->hosts = (uint32_t *)at;
    at += aligned((trace->host_mask + 1) * sizeof(uint32_t));
    trace->memory = at;
    if (limits->icrc)
        icrc_start(&trace->icrc);
    return trace;
}

/* --- flows --- */

static uint64_t mixed(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    return value ^ value >> 32;
}

static uint64_t address_hash(struct address address)
{
    return mixed(address.low ^ mixed(address.high));
}

static uint32_t *hosts_slot(const struct trace *trace, struct address one, struct address other)
{
    return &trace->hosts[(address_hash(one) + address_hash(other)) & trace->host_mask];
}

uint32_t trace_first_between(const struct trace *trace, struct address one, struct address other)
{
    return *hosts_slot(trace, one, other) - 1; /* FLOW_NONE when there is none */
}

static uint32_t home_slot(const struct trace *trace, struct address source, struct address destination, uint32_t destination_qp,
                          uint32_t source_qp)
{
    uint64_t hash = mixed(address_hash(source) ^ mixed(address_hash(destination) + destination_qp) ^ (uint64_t)source_qp << 32);
    return (uint32_t)hash & trace->slot_mask;
}

uint32_t trace_flow(struct trace *trace, struct address source, struct address destination, uint32_t destination_qp,
                    uint32_t source_qp)
{
    uint32_t slot = home_slot(trace, source, destination, destination_qp, source_qp);
    for (; trace->slots[slot] != 0; slot = (slot + 1) & trace->slot_mask) {
        const struct flow *flow = &trace->flows[trace->slots[slot] - 1];
        if (LIKELY(flow->destination_qp == destination_qp && flow->source_qp == source_qp &&
                   address_equal(flow->source, source) && address_equal(flow->destination, destination)))
            return trace->slots[slot] - 1;
    }
    if (trace->flow_count == trace->limits.flows)
        return FLOW_NONE;
    uint32_t index = trace->flow_count++;
    struct flow *flow = &trace->flows[index];
    flow_start(flow, trace->memory + index * flow_footprint(trace->limits.outstanding), trace->limits.outstanding);
    flow->source = source;
    flow->destination = destination;
    flow->destination_qp = destination_qp;
    flow->source_qp = source_qp;
    trace->slots[slot] = index + 1;
    uint32_t *first = hosts_slot(trace, source, destination);
    flow->next_of_hosts = *first - 1;
    *first = index + 1;
    return index;
}

/* --- packets --- */

static void count(struct trace *trace, struct flow *flow, const struct roce_packet *p)
{
    struct flow_counts *counts = &flow->counts;
    if (UNLIKELY(counts->packets++ == 0)) {
        flow->first_ns = p->time_ns;
        memcpy(flow->pauses_before, trace->pauses.by_class, sizeof flow->pauses_before);
    }
    flow->last_ns = p->time_ns;
    counts->wire_bytes += p->wire_length;
    counts->payload_bytes += p->payload_length;
    counts->ect += p->ecn == 1 || p->ecn == 2;
    counts->marks += p->ecn == 3;
    counts->becn += p->becn;
    flow->dscp = p->dscp;
    flow->priority = p->priority;
    if (trace->limits.icrc && p->whole) {
        counts->icrc_checked++;
        counts->icrc_wrong += !icrc_holds(&trace->icrc, p);
    }
}

static void answer(struct trace *trace, uint32_t index, const struct roce_packet *p)
{
    struct flow *flow = &trace->flows[index];
    struct flow_counts *counts = &flow->counts;
    if (p->operation == ACKNOWLEDGE) {
        enum roce_syndrome said = roce_syndrome(p->syndrome);
        unsigned value = p->syndrome & 0x1F;
        counts->acks += said == SYNDROME_ACK;
        counts->not_ready[value] += said == SYNDROME_NOT_READY;
        counts->naks[value] += said == SYNDROME_NAK;
        counts->other_syndromes += said == SYNDROME_RESERVED;
    } else {
        counts->read_responses += p->operation != ATOMIC_ACKNOWLEDGE;
        counts->acks += p->operation == ATOMIC_ACKNOWLEDGE;
    }
    uint32_t peer = pairing_find(trace, index, p);
    if (peer == FLOW_NONE) {
        flow->counts.answers_unmatched++;
        return;
    }
    pairing_judge(trace, index, flow_answer(&trace->flows[peer], p));
}

static void connect(struct trace *trace, const struct roce_packet *p)
{
    struct cm_connection c;
    if (!cm_read(&trace->cm, p, &c))
        return;
    uint32_t asked = trace_flow(trace, c.asking, c.asked, c.asked_qp, FLOW_NONE);
    uint32_t asking = trace_flow(trace, c.asked, c.asking, c.asking_qp, FLOW_NONE);
    if (asked == FLOW_NONE || asking == FLOW_NONE || asked == asking)
        return;
    trace->connections++;
    flow_forget(&trace->flows[asked]);
    flow_forget(&trace->flows[asking]);
    pairing_join(trace, asked, asking, PAIRED_BY_CM);
}

static void packet(struct trace *trace, const struct roce_packet *p)
{
    uint32_t source_qp = p->traits & HAS_DETH ? p->source_qp : FLOW_NONE;
    uint32_t index = trace_flow(trace, p->source, p->destination, p->destination_qp, source_qp);
    if (UNLIKELY(index == FLOW_NONE)) {
        trace->untracked++;
        return;
    }
    struct flow *flow = &trace->flows[index];
    if (UNLIKELY(flow_is_copy(flow, p))) {
        flow->counts.copies++;
        return;
    }
    count(trace, flow, p);
    if (p->opcode == ROCE_OPCODE_CNP) { /* it tells the queue pair it goes to to slow down, which sends in the other flow */
        flow->counts.cnps++;
        series_at((flow->peer == FLOW_NONE ? flow : &trace->flows[flow->peer])->series, p->time_ns)->cnps++;
        return;
    }
    flow->service = p->service;
    flow->port = p->source_port;
    if (p->traits & IS_REQUEST)
        flow_request(flow, p);
    else
        answer(trace, index, p);
    if (UNLIKELY((p->traits & HAS_DETH) != 0 && p->destination_qp == CM_QP))
        connect(trace, p);
}

/* --- batches --- */

struct batch {
    struct packet packets[TRACE_BATCH];
    enum packet_kind kinds[TRACE_BATCH];
    struct flow *flows[TRACE_BATCH]; /* a guess, to be looked at early: whose slot is the packet's first one, or NULL */
    uint32_t slots[TRACE_BATCH];
};

static void read_all(struct trace *trace, struct batch *batch, const struct capture_record *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        batch->kinds[i] = packet_read(&records[i], &batch->packets[i]);
        if (batch->kinds[i] != PACKET_ROCE)
            continue;
        const struct roce_packet *p = &batch->packets[i].roce;
        uint32_t source_qp = p->traits & HAS_DETH ? p->source_qp : FLOW_NONE;
        batch->slots[i] = home_slot(trace, p->source, p->destination, p->destination_qp, source_qp);
        prefetch(&trace->slots[batch->slots[i]]);
    }
}

static void ask_for_flow(const struct flow *flow)
{
    for (size_t line = 0; line < FLOW_HOT; line += 64)
        prefetch((const uint8_t *)flow + line);
}

static void ask_for_flows(const struct trace *trace, struct batch *batch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = batch->kinds[i] == PACKET_ROCE ? trace->slots[batch->slots[i]] : 0;
        batch->flows[i] = index == 0 ? NULL : &trace->flows[index - 1];
        if (index != 0)
            ask_for_flow(batch->flows[i]);
    }
}

/* The flow that the packet is about: an answer is about its peer. */
static void ask_for_peers(const struct trace *trace, struct batch *batch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct flow *flow = batch->flows[i];
        if (flow == NULL)
            continue;
        const struct roce_packet *p = &batch->packets[i].roce;
        prefetch(flow_recent(flow, p));
        if ((p->traits & IS_RESPONSE) != 0 && flow->peer != FLOW_NONE) {
            batch->flows[i] = &trace->flows[flow->peer];
            ask_for_flow(batch->flows[i]);
        }
    }
}

static void ask_for_rings(struct batch *batch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (batch->flows[i] != NULL)
            flow_prefetch(batch->flows[i], batch->packets[i].roce.psn);
    for (uint32_t i = 0; i < count; i++)
        if (batch->flows[i] != NULL)
            prefetch(series_look(batch->flows[i]->series, batch->packets[i].roce.time_ns));
}

static void follow(struct trace *trace, const struct capture_record *record, enum packet_kind kind, const struct packet *found)
{
    trace->kinds[kind]++;
    trace->bytes += record->length;
    trace->backwards += record->time_ns < trace->before_ns;
    trace->before_ns = record->time_ns;
    if (trace->first_ns == 0 || record->time_ns < trace->first_ns)
        trace->first_ns = record->time_ns;
    if (record->time_ns > trace->last_ns)
        trace->last_ns = record->time_ns;
    if (LIKELY(kind == PACKET_ROCE))
        packet(trace, &found->roce);
    else if (kind == PACKET_PAUSE)
        pauses_record(&trace->pauses, &found->pause);
    else if (kind == PACKET_LINK_UNKNOWN)
        trace->unknown_link = record->link;
}

void trace_records(struct trace *trace, const struct capture_record *records, uint32_t count)
{
    struct batch batch;
    read_all(trace, &batch, records, count);
    ask_for_flows(trace, &batch, count);
    ask_for_peers(trace, &batch, count);
    ask_for_rings(&batch, count);
    for (uint32_t i = 0; i < count; i++)
        follow(trace, &records[i], batch.kinds[i], &batch.packets[i]);
}

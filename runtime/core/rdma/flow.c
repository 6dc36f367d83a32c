/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_messages.h"

enum { MTU_MIN = 256, MTU_MAX = 4096 };

enum { SYNDROME_ACK, SYNDROME_NOT_READY, SYNDROME_RESERVED, SYNDROME_NAK };

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

size_t flow_footprint(uint32_t outstanding)
{
    return aligned(outstanding * sizeof(struct sent)) + aligned(outstanding * sizeof(struct message)) +
           aligned(FLOW_RECENT * sizeof(struct recent)) + 2 * aligned(sizeof(struct histogram)) + aligned(sizeof(struct series));
}

static void *take(uint8_t **memory, size_t bytes)
{
    void *taken = *memory;
    *memory += aligned(bytes);
    return taken;
}

void flow_start(struct flow *flow, uint8_t *memory, uint32_t outstanding)
{
    flow->mask = outstanding - 1;
    flow->sent = take(&memory, outstanding * sizeof(struct sent));
    flow->messages = take(&memory, outstanding * sizeof(struct message));
    flow->recent = take(&memory, FLOW_RECENT * sizeof(struct recent));
    flow->round_trip = take(&memory, sizeof(struct histogram));
    flow->whole = take(&memory, sizeof(struct histogram));
    flow->series = take(&memory, sizeof(struct series));
    flow->peer = flow->next_of_hosts = FLOW_NONE;
    flow->priority = ROCE_NO_PRIORITY;
    flow->sequence = FLOW_SEQUENCE_BASE;
}

/* A copy has the identification its original had. Some adapters give every packet the same one; then it says nothing. */
bool flow_is_copy(struct flow *flow, const struct roce_packet *p)
{
    struct recent *recent = flow_recent(flow, p);
    uint8_t direction = p->link_direction | 0x80;
    bool same = (recent->direction & 0x80) != 0 && recent->psn == p->psn && recent->opcode == p->opcode;
    if (same && p->ip_id != 0 && recent->ip_id == p->ip_id && !flow->ids_repeat)
        return true;
    if (same && p->ip_id == 0 && recent->ip_id == 0 && recent->direction != direction)
        return true;
    if (p->ip_id != 0 && p->ip_id == flow->last_id && p->psn != flow->last_psn)
        flow->ids_repeat = true;
    flow->last_id = p->ip_id;
    flow->last_psn = p->psn;
    *recent = (struct recent){.psn = p->psn, .ip_id = p->ip_id, .opcode = p->opcode, .direction = direction};
    return false;
}

/* --- requests --- */

void flow_forget(struct flow *flow)
{
    flow->counts.unacknowledged += flow->tail - flow->head;
    flow->head = flow->tail;
    flow->started = flow->read_open = false;
    memset(flow->sent, 0, ((size_t)flow->mask + 1) * sizeof *flow->sent);
}

static enum flow_message_kind kind_of(uint8_t operation)
{
    if (operation == READ_REQUEST)
        return MESSAGE_READ;
    if (operation == COMPARE_SWAP || operation == FETCH_ADD)
        return MESSAGE_ATOMIC;
    return operation >= WRITE_FIRST && operation <= WRITE_ONLY_IMMEDIATE ? MESSAGE_WRITE : MESSAGE_SEND;
}

static uint32_t responses_of(uint32_t length, uint32_t mtu)
{
    uint64_t count = ((uint64_t)length + mtu - 1) / mtu;
    return count == 0 ? 1 : (uint32_t)count;
}

static void advance(struct flow *flow, uint32_t next_psn)
{
    flow->sequence += (uint64_t)(int64_t)psn_distance(flow->next_psn, next_psn);
    flow->next_psn = next_psn;
}

/* The newest request is a read of so many responses. */
static void end_read(struct flow *flow, uint32_t responses)
{
    flow->read_open = false;
    advance(flow, psn_plus(flow->read_psn, (int32_t)responses));
    end_message(flow, psn_plus(flow->next_psn, -1));
}

static void learn_mtu(struct flow *flow, uint32_t mtu)
{
    if (mtu < MTU_MIN || mtu > MTU_MAX || (mtu & (mtu - 1)) != 0)
        return;
    flow->mtu = mtu;
    if (flow->read_open)
        end_read(flow, responses_of(flow->read_length, mtu));
}

/* A request has come after a read of which nobody knows how many PSNs it takes: most that one of the five MTUs allows for. */
static void close_read(struct flow *flow, uint32_t psn)
{
    int32_t taken = psn_distance(flow->read_psn, psn);
    if (taken < 1)
        return; /* the read once more, or something older */
    uint32_t best = responses_of(flow->read_length, MTU_MAX), fitting = 0, fits = 0;
    for (uint32_t mtu = MTU_MAX; mtu >= MTU_MIN; mtu /= 2) {
        uint32_t responses = responses_of(flow->read_length, mtu);
        if (responses <= (uint32_t)taken)
            best = responses;
        if (responses == (uint32_t)taken) {
            fitting++;
            fits = mtu;
        }
    }
    if (fitting == 1)
        flow->mtu = fits;
    end_read(flow, best);
}

static void open_read(struct flow *flow, const struct roce_packet *p)
{
    flow->read_psn = p->psn;
    flow->read_length = p->dma_length;
    flow->read_open = true;
    if (flow->mtu != 0 || p->dma_length <= MTU_MIN)
        end_read(flow, responses_of(p->dma_length, flow->mtu != 0 ? flow->mtu : MTU_MIN));
}

static bool is_reliable(const struct flow *flow)
{
    return flow->service == SERVICE_RC || flow->service == SERVICE_XRC;
}

static void remember(struct flow *flow, const struct roce_packet *p)
{
    flow->sent[p->psn & flow->mask] = (struct sent){.time_ns = p->time_ns, .psn = p->psn, .count = 1};
}

static void begin(struct flow *flow, uint32_t psn)
{
    flow->started = true;
    flow->next_psn = psn;
}

static void place_message(struct flow *flow, const struct roce_packet *p)
{
    enum flow_message_kind kind = kind_of(p->operation);
    if (p->traits & ENDS)
        flow->counts.messages[kind]++;
    if (!is_reliable(flow))
        return;
    struct message *last = newest(flow);
    if (p->traits & BEGINS)
        begin_message(flow, p, kind, false);
    else if (last == NULL || last->ended)
        begin_message(flow, p, kind, true);
    if (p->operation == READ_REQUEST)
        open_read(flow, p);
    else if (p->traits & ENDS)
        end_message(flow, p->psn);
}

/* A PSN from before the next one. */
static void again(struct flow *flow, const struct roce_packet *p, uint32_t back)
{
    struct sent *sent = &flow->sent[p->psn & flow->mask];
    bool seen = sent->count > 0 && sent->psn == p->psn;
    /* A read may be asked for again from its middle; and what the ring has lost can only have been sent before. */
    if (is_reliable(flow) && (seen || back > flow->mask || p->operation == READ_REQUEST)) {
        flow->counts.retransmissions++;
        flow->counts.retransmitted_bytes += p->payload_length;
        series_at(flow->series, p->time_ns)->retransmissions++;
        if (seen && sent->count < UINT16_MAX)
            sent->count++;
        return;
    }
    flow->counts.out_of_order++;
    if (flow->counts.missing > 0)
        flow->counts.missing--;
    if (is_reliable(flow))
        remember(flow, p);
}

static void count_sequence(struct flow *flow, const struct roce_packet *p)
{
    uint64_t at = flow->sequence + (uint64_t)(int64_t)psn_distance(flow->next_psn, p->psn);
    struct series_bin *bin = series_at(flow->series, p->time_ns);
    if (bin->packets++ == 0 || at < bin->low)
        bin->low = at;
    if (at > bin->high)
        bin->high = at;
    bin->marks += p->ecn == 3;
}

void flow_request(struct flow *flow, const struct roce_packet *p)
{
    flow->counts.requests++;
    if (UNLIKELY(!flow->started))
        begin(flow, p->psn);
    if (flow->read_open)
        close_read(flow, p->psn);
    int32_t step = psn_distance(flow->next_psn, p->psn);
    bool datagram = flow->service == SERVICE_UD; /* numbered by the sender over all its destinations */
    if (UNLIKELY(step > FLOW_RESTART || step < -FLOW_RESTART) && !datagram) {
        flow_forget(flow);
        flow->counts.restarts++;
        begin(flow, p->psn);
        step = 0;
    }
    count_sequence(flow, p);
    if (!datagram && UNLIKELY(step < 0)) {
        again(flow, p, (uint32_t)-step);
        return;
    }
    if (!datagram)
        flow->counts.missing += (uint64_t)step;
    if (is_reliable(flow))
        remember(flow, p);
    advance(flow, psn_plus(p->psn, 1));
    if ((p->traits & BEGINS) != 0 && (p->traits & ENDS) == 0)
        learn_mtu(flow, p->payload_length);
    place_message(flow, p);
}

/* --- answers --- */

static void measure(struct flow *flow, const struct roce_packet *p)
{
    struct sent *sent = &flow->sent[p->psn & flow->mask];
    if (sent->count == 0 || sent->psn != p->psn || sent->answered)
        return;
    sent->answered = true;
    if (sent->count > 1) {
        flow->counts.ambiguous++;
        return;
    }
    if (UNLIKELY(p->time_ns < sent->time_ns)) {
        flow->counts.backwards++;
        return;
    }
    uint64_t took_ns = p->time_ns - sent->time_ns;
    histogram_add(flow->round_trip, took_ns);
    struct series_bin *bin = series_at(flow->series, p->time_ns);
    if (bin->samples++ == 0 || took_ns < bin->min_ns)
        bin->min_ns = took_ns;
    if (took_ns > bin->max_ns)
        bin->max_ns = took_ns;
    bin->sum_ns += took_ns;
}

static void response(struct flow *flow, const struct roce_packet *p)
{
    if (p->operation != ATOMIC_ACKNOWLEDGE && (p->traits & ENDS) == 0)
        learn_mtu(flow, p->payload_length);
    struct message *message = newest(flow);
    if ((p->traits & ENDS) != 0 && flow->read_open && message != NULL && psn_distance(message->first, p->psn) >= 0) {
        flow->read_open = false;
        advance(flow, psn_plus(p->psn, 1));
        end_message(flow, p->psn);
    }
    if (p->traits & BEGINS)
        measure(flow, p);
    if (p->traits & ENDS)
        complete(flow, p->psn, p->time_ns, true);
    else
        complete(flow, psn_plus(p->psn, -1), p->time_ns, false);
}

bool flow_answer(struct flow *flow, const struct roce_packet *p)
{
    bool is_response = p->operation != ACKNOWLEDGE;
    unsigned type = p->syndrome >> 5 & 3;
    int32_t ahead = psn_distance(flow->next_psn, p->psn);
    /* A read whose end is not known may be answered beyond; a NAK names the PSN that is waited for, which may be the next one. */
    bool may_be_ahead = (is_response && flow->read_open) || type == SYNDROME_NAK;
    if (!flow->started || ahead < -FLOW_RESTART || ahead > FLOW_RESTART || (ahead >= 0 && !may_be_ahead))
        return false;
    if (is_response) {
        response(flow, p);
        return true;
    }
    struct series_bin *bin = series_at(flow->series, p->time_ns);
    uint32_t acknowledged = type == SYNDROME_ACK ? p->psn : psn_plus(p->psn, -1);
    bin->acks += type == SYNDROME_ACK;
    bin->naks += type == SYNDROME_NAK;
    bin->not_ready += type == SYNDROME_NOT_READY;
    uint64_t at = flow->sequence + (uint64_t)(int64_t)psn_distance(flow->next_psn, acknowledged);
    if (at > bin->acknowledged)
        bin->acknowledged = at;
    if (type == SYNDROME_ACK)
        measure(flow, p);
    complete(flow, acknowledged, p->time_ns, false);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_messages.h"
#include "flow_reads.h"

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
    flow->peer = flow->next_of_hosts = flow->late_psn = FLOW_NONE;
    flow->priority = ROCE_NO_PRIORITY;
    flow->sequence = FLOW_SEQUENCE_BASE;
}

/* A copy has the identification its original had. Some adapters give every packet the same one; then it says nothing. Nor does it of
 * congestion notifications: all of them have PSN 0, so one after the other with a constant identification looks the same. */
bool flow_is_copy(struct flow *flow, const struct roce_packet *p)
{
    struct recent *recent = flow_recent(flow, p);
    uint8_t direction = p->link_direction | 0x80;
    bool same = (recent->direction & 0x80) != 0 && recent->psn == p->psn && recent->opcode == p->opcode;
    if (same && p->ip_id != 0 && recent->ip_id == p->ip_id && !flow->ids_repeat && p->opcode != ROCE_OPCODE_CNP)
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
    flow->late_psn = FLOW_NONE;
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

static bool is_reliable(const struct flow *flow)
{
    return flow->service == SERVICE_RC || flow->service == SERVICE_XRC;
}

/* So many PSNs from the next one on were passed over. */
static void pass_over(struct flow *flow, uint32_t count)
{
    uint32_t kept = count > flow->mask ? flow->mask + 1 : count;
    for (uint32_t psn = psn_plus(flow->next_psn, (int32_t)(count - kept)); kept > 0; kept--, psn = psn_plus(psn, 1))
        flow->sent[psn & flow->mask] = (struct sent){.psn = psn, .missed = true};
}

/* How far back a PSN may be for this life of the queue pair. */
static int32_t reach(struct flow *flow)
{
    const struct message *message = flow->peer == FLOW_NONE ? NULL : oldest(flow);
    int32_t span = message == NULL ? 0 : psn_distance(message->first, flow->next_psn);
    return span > FLOW_RESTART ? span : FLOW_RESTART;
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
        reads_open(flow, p);
    else if (p->traits & ENDS)
        end_message(flow, p->psn);
}

/* A packet seen for the first time, behind later ones. */
static void count_late(struct flow *flow, const struct roce_packet *p)
{
    bool all_late = (p->traits & BEGINS) != 0 || p->psn == flow->late_psn, ends = (p->traits & ENDS) != 0;
    if (ends)
        flow->counts.messages[kind_of(p->operation)]++;
    flow->late_psn = all_late && !ends ? psn_plus(p->psn, 1) : FLOW_NONE;
    if (!is_reliable(flow))
        return;
    flow->counts.late_messages += all_late && ends;
    remember(flow, p);
}

/* A PSN from before the next one. */
static void again(struct flow *flow, const struct roce_packet *p, uint32_t back)
{
    struct sent *sent = &flow->sent[p->psn & flow->mask];
    bool seen = sent->count > 0 && sent->psn == p->psn, passed = sent->missed && sent->psn == p->psn;
    bool is_read = p->operation == READ_REQUEST;
    /* A read may be asked for again from its middle; and what the ring has lost can only have been sent before. */
    if (is_reliable(flow) && (seen || back > flow->mask || (is_read && !passed))) {
        flow->counts.retransmissions++;
        flow->counts.retransmitted_bytes += p->payload_length;
        series_at(flow->series, p->time_ns)->retransmissions++;
        flow->counts.repeated += seen && sent->count == 1;
        if (seen && sent->count < UINT16_MAX)
            sent->count++;
        return;
    }
    flow->counts.out_of_order++;
    bool fills = flow->counts.missing > 0;
    if (is_read)
        reads_came_late(flow, p);
    else if (fills)
        flow->counts.missing--;
    if (is_reliable(flow) || fills) /* of others nothing is remembered: without a gap it is a copy */
        count_late(flow, p);
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
        reads_close(flow, p->psn);
    int32_t step = psn_distance(flow->next_psn, p->psn);
    bool datagram = flow->service == SERVICE_UD; /* numbered by the sender over all its destinations */
    if (UNLIKELY(step > FLOW_RESTART || (step < -FLOW_RESTART && step < -reach(flow))) && !datagram) {
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
    if (is_reliable(flow)) {
        if (UNLIKELY(step > 0))
            pass_over(flow, (uint32_t)step);
        remember(flow, p);
    }
    flow_advance(flow, psn_plus(p->psn, 1));
    if ((p->traits & BEGINS) != 0 && (p->traits & ENDS) == 0)
        reads_learn_mtu(flow, p->payload_length);
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
        reads_learn_mtu(flow, p->payload_length);
    struct message *message = newest(flow);
    if ((p->traits & ENDS) != 0 && flow->read_open && message != NULL && psn_distance(message->first, p->psn) >= 0) {
        flow->read_open = false;
        flow_advance(flow, psn_plus(p->psn, 1));
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
    enum roce_syndrome said = roce_syndrome(p->syndrome);
    int32_t ahead = psn_distance(flow->next_psn, p->psn);
    /* A read whose end is not known may be answered beyond; a NAK names the PSN that is waited for, which may be the next one. */
    bool may_be_ahead = is_response ? flow->read_open : said == SYNDROME_NAK;
    if (!flow->started || ahead > FLOW_RESTART || (ahead >= 0 && !may_be_ahead))
        return false;
    if (UNLIKELY(ahead < -FLOW_RESTART && ahead < -reach(flow)))
        return false;
    if (is_response) {
        response(flow, p);
        return true;
    }
    struct series_bin *bin = series_at(flow->series, p->time_ns);
    uint32_t acknowledged = said == SYNDROME_ACK ? p->psn : psn_plus(p->psn, -1);
    bin->acks += said == SYNDROME_ACK;
    bin->naks += said == SYNDROME_NAK;
    bin->not_ready += said == SYNDROME_NOT_READY;
    uint64_t at = flow->sequence + (uint64_t)(int64_t)psn_distance(flow->next_psn, acknowledged);
    if (at > bin->acknowledged)
        bin->acknowledged = at;
    if (said == SYNDROME_ACK)
        measure(flow, p);
    complete(flow, acknowledged, p->time_ns, false);
    return true;
}

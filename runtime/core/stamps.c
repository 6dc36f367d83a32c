/* SPDX-License-Identifier: Apache-2.0 */
#include "stamps.h"

#include "transport/transport.h"

_Static_assert((STAMPS_RING & (STAMPS_RING - 1)) == 0, "indices wrap by mask");
_Static_assert(sizeof(struct stamps_entry) == 32, "none lies across two cache lines");

void stamps_init(struct stamps *stamps, struct block *block, bool or_kernel)
{
    stamps->or_kernel = or_kernel;
    stamps->block = block;
    stamps->head = stamps->tail = stamps->beside = stamps->expiring = 0;
}

static struct stamps_entry *entry(struct stamps *stamps, uint32_t at)
{
    return &stamps->waiting[at & (STAMPS_RING - 1)];
}

/* --- without the stamps that were wanted --- */

static bool sample_by_kernel(const struct stamps *stamps, const struct stamps_entry *order)
{
    struct block_sample sample = {.transmit_ns = order->transmit_software_ns, .clock = STAMP_SOFTWARE};
    sample.receive_ns = order->receive_clock == STAMP_SOFTWARE ? order->receive_ns : order->receive_software_ns;
    if (!stamps->or_kernel || order->receive_clock > STAMP_HARDWARE || sample.receive_ns == 0 || sample.transmit_ns == 0)
        return false;
    block_add_sample(stamps->block, &sample);
    BLOCK_COUNT(stamps->block, by_kernel, 1);
    return true;
}

static void give_up(struct stamps *stamps, const struct stamps_entry *given_up)
{
    struct block *block = stamps->block;
    if (sample_by_kernel(stamps, given_up))
        return;
    BLOCK_COUNT(block, unstamped, 1);
    if (given_up->receive_clock == STAMP_NONE)
        BLOCK_COUNT(block, unstamped_receive, 1);
    else
        BLOCK_COUNT(block, unstamped_transmit, 1);
}

static void give_up_before(struct stamps *stamps, uint32_t end)
{
    for (; (int32_t)(end - stamps->head) > 0; stamps->head++)
        give_up(stamps, entry(stamps, stamps->head));
}

void stamps_expire(struct stamps *stamps)
{
    give_up_before(stamps, stamps->expiring);
    stamps->expiring = stamps->tail;
}

void stamps_flush(struct stamps *stamps)
{
    give_up_before(stamps, stamps->tail);
}

/* --- from send to sample --- */

void stamps_sent(struct stamps *stamps, uint32_t last_byte, const struct transport_packet *packet)
{
    if (UNLIKELY(stamps_waiting(stamps) == STAMPS_RING))
        give_up_before(stamps, stamps->head + 1);
    *entry(stamps, stamps->tail++) = (struct stamps_entry){.receive_ns = packet->receive_ns,
                                                           .receive_software_ns = packet->receive_software_ns,
                                                           .last_byte = last_byte,
                                                           .receive_clock = packet->receive_clock};
}

/* The transmit stamp of an order; `line`: it and its packet's are ticks. */
struct arrival {
    uint64_t transmit;
    enum stamp_clock clock;
    const struct ticks_line *line;
};

/* The two stamps of an order. */
static void finish(struct stamps *stamps, struct stamps_entry *order, const struct arrival *arrival)
{
    struct block *block = stamps->block;
    enum stamp_clock clock = arrival->clock;
    uint64_t transmit_ns = arrival->transmit;
    struct block_sample sample = {.receive_ns = order->receive_ns, .transmit_ns = transmit_ns, .clock = (uint32_t)clock};
    if (clock == STAMP_SOFTWARE) /* it may stand beside another clock's of the packet */
        order->transmit_software_ns = transmit_ns;
    if (clock == STAMP_NONE || order->again || order->receive_clock == STAMP_NONE) {
        give_up(stamps, order);
        return;
    }
    if (order->receive_clock != clock) {
        if (!sample_by_kernel(stamps, order)) {
            BLOCK_COUNT(block, unstamped, 1);
            BLOCK_COUNT(block, unstamped_clocks, 1);
        }
        return;
    }
    if (arrival->line != NULL) {
        sample.receive_ns = ticks_wall_ns(arrival->line, order->receive_ns);
        sample.transmit_ns = sample.receive_ns + (uint64_t)ticks_span_ns(arrival->line, order->receive_ns, arrival->transmit);
    }
    if (order->receive_software_ns != 0 && order->transmit_software_ns != 0) {
        sample.receive_software_ns = order->receive_software_ns;
        sample.transmit_software_ns = order->transmit_software_ns;
    }
    block_add_sample(block, &sample);
}

static void arrived(struct stamps *stamps, uint32_t last_byte, const struct arrival *arrival)
{
    while (stamps->head != stamps->tail) {
        struct stamps_entry *first = entry(stamps, stamps->head);
        int32_t ahead = (int32_t)(last_byte - first->last_byte);
        if (ahead < 0)
            return; /* of something sent before: a login, a heartbeat, a retransmission */
        stamps->head++;
        if (ahead == 0) {
            finish(stamps, first, arrival);
            return;
        }
        give_up(stamps, first); /* overtaken: its stamp was lost */
    }
}

void stamps_transmitted(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns, enum stamp_clock clock)
{
    arrived(stamps, last_byte, &(struct arrival){.transmit = transmit_ns, .clock = clock});
}

void stamps_completed(struct stamps *stamps, uint32_t last_byte, uint64_t ticks, const struct ticks_line *line)
{
    arrived(stamps, last_byte, &(struct arrival){.transmit = ticks, .clock = STAMP_COMPLETION, .line = line});
}

void stamps_beside(struct stamps *stamps, uint32_t last_byte, uint64_t transmit_ns)
{
    uint32_t at = stamps->head;
    if ((int32_t)(stamps->beside - at) > 0 && (int32_t)(last_byte - entry(stamps, stamps->beside - 1)->last_byte) > 0)
        at = stamps->beside; /* they come in order, so the search goes on where the last one ended */
    for (; at != stamps->tail; at++) {
        struct stamps_entry *order = entry(stamps, at);
        if ((int32_t)(last_byte - order->last_byte) > 0)
            continue;
        if (last_byte == order->last_byte) {
            order->again = order->transmit_software_ns != 0;
            order->transmit_software_ns = order->again ? order->transmit_software_ns : transmit_ns;
            stamps->beside = at + 1;
        }
        return;
    }
}

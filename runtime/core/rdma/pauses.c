/* SPDX-License-Identifier: Apache-2.0 */
#include "pauses.h"

static struct pauser *sender_of(struct pauses *pauses, const struct pause_frame *frame)
{
    for (uint32_t i = 0; i < pauses->sender_count; i++)
        if (memcmp(pauses->senders[i].address, frame->source, sizeof frame->source) == 0)
            return &pauses->senders[i];
    if (pauses->sender_count == PAUSES_SENDERS) {
        pauses->beyond++;
        return NULL;
    }
    struct pauser *pauser = &pauses->senders[pauses->sender_count++];
    memcpy(pauser->address, frame->source, sizeof pauser->address);
    pauser->first_ns = frame->time_ns;
    return pauser;
}

static void count(struct pauses *pauses, struct pauser *pauser, uint32_t class, uint16_t quanta, uint64_t time_ns)
{
    if (quanta > 0) {
        pauses->by_class[class]++;
        series_at(&pauses->series_of_class[class], time_ns)->pauses++;
    }
    if (pauser == NULL)
        return;
    pauser->pauses[class] += quanta > 0;
    pauser->resumes[class] += quanta == 0;
    pauser->quanta[class] += quanta;
}

void pauses_record(struct pauses *pauses, const struct pause_frame *frame)
{
    struct pauser *pauser = sender_of(pauses, frame);
    bool stops = false;
    if (pauser != NULL)
        pauser->last_ns = frame->time_ns;
    for (uint32_t i = 0; i < ROCE_PRIORITIES; i++) {
        if ((frame->enabled >> i & 1) == 0)
            continue;
        stops |= frame->quanta[i] > 0;
        if (!frame->whole_port)
            count(pauses, pauser, i, frame->quanta[i], frame->time_ns);
    }
    if (frame->whole_port)
        count(pauses, pauser, ROCE_PRIORITIES, frame->quanta[0], frame->time_ns);
    series_at(&pauses->series, frame->time_ns)->pauses += stops;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Who paused whom: pause frames by the port that sent them and by priority, and over time all of them and those that stop each
 * priority. Their link sees them and no other, so they say nothing about a queue pair by themselves. */
#ifndef TICKWIRE_RDMA_PAUSES_H
#define TICKWIRE_RDMA_PAUSES_H

#include "packet.h"
#include "series.h"

#define PAUSES_SENDERS 64 /* those of further ports count for all of them together */

struct pauser {
    uint8_t address[6];
    uint64_t pauses[ROCE_PRIORITIES + 1]; /* by priority; the last one: 802.3 PAUSE, of the whole port */
    uint64_t resumes[ROCE_PRIORITIES + 1];
    uint64_t quanta[ROCE_PRIORITIES + 1]; /* sum of what was asked for, of 512 bit times */
    uint64_t first_ns, last_ns;
};

struct pauses {
    uint64_t by_class[ROCE_PRIORITIES + 1]; /* frames that stop it; the last one: the whole port */
    uint64_t beyond;                        /* frames of further senders */
    uint32_t sender_count;
    struct pauser senders[PAUSES_SENDERS];
    struct series series;                                 /* of frames that stop anything */
    struct series series_of_class[ROCE_PRIORITIES + 1]; /* of those that stop it, as in by_class */
};

void pauses_record(struct pauses *pauses, const struct pause_frame *frame);

#endif

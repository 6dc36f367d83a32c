/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of the exchange's feed: a socket, a batch of packets on their way to it, and the faults it makes on purpose.
 *
 * Every packet with messages is drawn for each fault from the line's own generator (splitmix64), always three draws in the same
 * order: the same seed gives the same decisions on every run, the decisions about one fault do not depend on the probability of
 * another, and two lines decide independently.
 *
 *   lost        not sent
 *   duplicated  sent twice, one behind the other
 *   reordered   held back until the packet after it has been sent (or lost); held packets never overtake each other */
#ifndef TICKWIRE_LINE_H
#define TICKWIRE_LINE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "failure.h"
#include "wire.h"

#define LINE_BATCH 64
#define LINE_PACKET_MAX 1472 /* a datagram that fits an Ethernet frame of 1500 */
#define LINE_QUEUE (2 * LINE_BATCH + 2) /* every packet of a batch twice, and a held one from the batch before */

struct line_faults {
    double loss, duplicate, reorder; /* probabilities, 0 to 1 */
    uint64_t seed;
};

struct line_counts {
    uint64_t lost, duplicated, reordered; /* packets */
};

struct line {
    int fd; /* -1: there is no such line */
    uint32_t queued;
    uint32_t held_length; /* 0: nothing is held back */
    uint32_t held_copies;
    bool held_queued; /* `held` is part of the batch and must stay as it is until line_flush */
    uint64_t random;
    struct line_faults faults;
    struct line_counts counts;
    struct sockaddr_in to;
    struct iovec parts[LINE_QUEUE];
    struct mmsghdr batch[LINE_QUEUE];
    uint8_t held[LINE_PACKET_MAX];
};

bool line_open(struct line *line, const char *group, uint16_t port, const char *interface, int ttl, int tos,
               struct failure *failure);
void line_close(struct line *line);

/* Have each datagram from now on stamped as it leaves, by the kernel or (`card`) by the card as well; the first one's id is 0
 * (transport/options.h). */
bool line_stamp(struct line *line, bool card, struct failure *failure);

/* Start over with these faults: counts are zero, nothing is held. */
void line_impair(struct line *line, const struct line_faults *faults);

/* Put a packet into the batch, unless the draws say otherwise; at most LINE_BATCH between two calls of line_flush. `packet` must
 * stay as it is until then. */
bool line_offer(struct line *line, uint8_t *packet, uint32_t length, struct failure *failure);

/* Hand the batch to the kernel. */
bool line_flush(struct line *line, struct failure *failure);

/* Send what is held back: nothing comes after it. */
bool line_finish(struct line *line, struct failure *failure);

/* One packet at once, without faults. */
bool line_send(struct line *line, uint8_t *packet, uint32_t length, struct failure *failure);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's side of the feed: messages from memory out as MoldUDP64, each packet at its due time. Due times are absolute
 * (start + n / rate): a packet sent late does not push the following ones back, so a stall shows where it happens. */
#ifndef TICKWIRE_PACER_H
#define TICKWIRE_PACER_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "failure.h"
#include "mold.h"

#define PACER_PACKET_MAX 1472 /* a datagram that fits an Ethernet frame of 1500 */

struct pacer {
    const uint8_t *data;
    const uint64_t *index; /* offset << 16 | length */
    uint64_t count;
    uint32_t messages_per_packet;
    uint8_t session[MOLD_SESSION];
    struct sockaddr_in to;
    int fd;
    uint64_t next_sequence;
    _Atomic bool running;
    _Atomic bool stop;
};

struct pacer_result {
    uint64_t messages;
    uint64_t packets;
    uint64_t elapsed_ns;
    uint64_t late_max_ns; /* of all packets, how late after its due time the latest was handed to the kernel */
};

/* The socket; session, data and index are the caller's to set. */
bool pacer_open(struct pacer *pacer, const char *group, uint16_t port, const char *interface, int ttl, int tos,
                struct failure *failure);
void pacer_close(struct pacer *pacer);

/* Send messages first to first + count - 1 (fewer when there are not as many) at `rate` messages a second, 0: unpaced. */
bool pacer_run(struct pacer *pacer, double rate, uint64_t first, uint64_t count, struct pacer_result *result,
               struct failure *failure);

/* A packet without messages: MOLD_HEARTBEAT or MOLD_END_OF_SESSION. */
bool pacer_send_empty(struct pacer *pacer, uint16_t count, struct failure *failure);

#endif

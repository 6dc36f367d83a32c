/* SPDX-License-Identifier: Apache-2.0
 *
 * When the bytes of a TCP connection arrived: reads with time stamps, each told apart from those whose stamp is not its own.
 *
 * The kernel gives a read the stamp of the last segment in it, and joins segments that wait in its queue. So the stamp is that of the
 * bytes only when the read took all that had come, and all of it in one segment. How many segments have come with data, and how many
 * bytes, TCP_INFO says; it is asked before each read, so what comes between the two is seen as more bytes than expected. Where that
 * happens, or TCP has received something twice, the read is not `whole`: never the other way round. */
#ifndef TICKWIRE_TRANSPORT_ARRIVAL_H
#define TICKWIRE_TRANSPORT_ARRIVAL_H

#include "options.h"

/* What has been read of a connection. */
struct arrivals {
    int fd;
    uint64_t bytes;
    uint32_t segments; /* that brought them */
    bool known;        /* `segments` is of just these bytes */
};

struct arrival {
    struct packet_stamps at; /* of the last segment read */
    bool whole;              /* which is all that was read */
};

/* Of a connection that was accepted and not yet read; its stamps were asked for before (receive_stamping). */
void arrivals_init(struct arrivals *self, int fd);

/* Bytes read, 0 at the end of the stream, -errno. Never blocks. */
int arrivals_read(struct arrivals *self, uint8_t *bytes, uint32_t capacity, struct arrival *arrival);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Transport over kernel sockets: UDP in, TCP out, both non-blocking and spun upon, stamped by SO_TIMESTAMPING. */
#ifndef TICKWIRE_TRANSPORT_SOCKET_H
#define TICKWIRE_TRANSPORT_SOCKET_H

#include "lines.h"

#define SOCKET_PENDING 4096 /* bytes of a packet the kernel took only in part */
#define SOCKET_CONNECT_TIMEOUT_MS 5000

struct socket_transport {
    struct lines feed;
    int orders; /* -1: closed */
    int wake;   /* eventfd that ends a wait */
    bool stamped;
    uint32_t sent_bytes; /* of the order connection, modulo 2^32: the kernel's key of transmit stamps */
    uint32_t pending;
    uint8_t pending_bytes[SOCKET_PENDING];
};

void socket_transport_init(struct socket_transport *self);

/* Open the feed, connect the order session, switch on time stamps. On failure everything is closed again. */
bool socket_transport_open(struct socket_transport *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                           struct failure *failure);
void socket_transport_close(struct socket_transport *self);

/* From any thread: end a wait in progress. */
void socket_transport_wake(struct socket_transport *self);

struct transport socket_transport_interface(struct socket_transport *self);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Transport over kernel sockets: UDP in (lines.h), TCP out (connection.h), all non-blocking and spun upon, stamped by
 * SO_TIMESTAMPING. */
#ifndef TICKWIRE_TRANSPORT_SOCKET_H
#define TICKWIRE_TRANSPORT_SOCKET_H

#include "connection.h"
#include "lines.h"
#include "twin.h"

struct socket_transport {
    struct lines feed;
    struct connection orders;
    struct twin twin;
    int wake; /* eventfd that ends a wait, for good: only who stops writes to it */
};

void socket_transport_init(struct socket_transport *self);

/* Open the feed. On failure everything is closed again. */
bool socket_transport_open(struct socket_transport *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                           struct failure *failure);

/* Make the order connection and hand it to the engine; from a thread that has time. */
bool socket_transport_connect(struct socket_transport *self, const struct orders_settings *settings, struct failure *failure);

/* Close feed and order connection; release also forgets the wake-up, when no other thread can use it any more. */
void socket_transport_close(struct socket_transport *self);
void socket_transport_release(struct socket_transport *self);

/* From any thread: end a wait in progress, and every later one at once. */
void socket_transport_wake(struct socket_transport *self);

struct transport socket_transport_interface(struct socket_transport *self);

#endif

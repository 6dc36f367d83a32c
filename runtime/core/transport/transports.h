/* SPDX-License-Identifier: Apache-2.0
 *
 * The transports the configuration chose, feed.transport and orders.transport: each side has a file of its own, and this one opens,
 * wakes and closes them together.
 *
 *   lines.h       feed over kernel sockets: UDP, spun upon, stamped by SO_TIMESTAMPING
 *   connection.h  orders over kernel sockets: TCP, spun upon, stamped likewise; twin.h keeps its way warm
 *   verbs.h       either or both over RDMA */
#ifndef TICKWIRE_TRANSPORT_TRANSPORTS_H
#define TICKWIRE_TRANSPORT_TRANSPORTS_H

#include "connection.h"
#include "lines.h"
#include "twin.h"
#include "verbs.h"

struct transports {
    struct lines lines;
    struct connection connection;
    struct twin twin;
    struct verbs verbs;
    int wake; /* eventfd that ends a wait, for good: only who stops writes to it */
    enum transport_kind feed_kind, orders_kind;
    struct transport chosen;
};

void transports_init(struct transports *self);

/* Open the feed and choose the order side. On failure everything is closed again. */
bool transports_open(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                     struct failure *failure);

/* What is wrong with a side now and may mend itself, for people; "" for nothing. From any thread. */
void transports_problem(struct transports *self, char *text, size_t capacity);

/* Make the order connection and hand it to the engine; from a thread that has time. */
bool transports_connect(struct transports *self, const struct orders_settings *settings, struct failure *failure);

/* Order connections handed over so far, from any thread; one that replaced another before it was taken does not count. */
uint32_t transports_connections(const struct transports *self);

/* Whether packets of the feed come with a stamp. */
enum block_source transports_stamps(const struct transports *self);

/* Close feed and order connection; release also forgets the wake-up, when no other thread can use it any more. */
void transports_close(struct transports *self);
void transports_release(struct transports *self);

/* From any thread: end a wait in progress, and every later one at once. */
void transports_wake(struct transports *self);

#endif

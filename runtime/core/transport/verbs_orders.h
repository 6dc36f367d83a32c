/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders over a reliable connection (verbs_link.h), and its replacement by another.
 *
 * As over TCP (connection.h) a connection is made on a thread that has time and handed over by one word, taken by the engine when it
 * has none. What is made, handed over, in use and given up are `links`, each in one state and so in one thread's hands:
 *
 *   free -> making (the connector's) -> offered (nobody's) -> taken (the engine's) -> retired (the keeper's) -> free
 *
 * The engine only marks a link as retired: what ending it takes of system calls is the keeper's, and until that is done no other is
 * made. A connection that fails loses what was under way, as a TCP connection that is abandoned does; the order session logs in again
 * and resumes by sequence (orders.h).
 *
 * An order's transmit stamp is the engine's clock behind the send, or, where the device stamps completions, the device's when the send
 * completed; the engine's stands beside it then. On a reliable connection a send completes when the other end's device has
 * acknowledged it (the InfiniBand specification lets it complete no sooner), so that stamp is not the departure: it has the way to the
 * exchange's device and back in it. */
#ifndef TICKWIRE_TRANSPORT_VERBS_ORDERS_H
#define TICKWIRE_TRANSPORT_VERBS_ORDERS_H

#include "../engine.h"
#include "verbs_link.h"

#define VERBS_LINKS 3 /* in use, offered, and one that is made or ended */
#define VERBS_ORDERS_MEMORY (VERBS_LINKS * LINK_MEMORY)
#define VERBS_CONNECT_MS 5000

enum verbs_link_state { VERBS_FREE, VERBS_MAKING, VERBS_OFFERED, VERBS_TAKEN, VERBS_RETIRED };

struct verbs_orders {
    const struct verbs_device *device;
    uint8_t *memory;
    struct {
        struct verbs_link link;
        struct rdma_event_channel *channel;
        _Atomic int state; /* verbs_link_state */
    } links[VERBS_LINKS];
    int current;            /* the engine's link; -1: none */
    _Atomic int next;       /* offered; -1: none */
    _Atomic uint32_t made;  /* as in struct connection */
    _Atomic bool removed;   /* the device: no connection can be made any more */
    uint32_t sent_bytes;    /* modulo 2^32: the key of stamps */
    uint32_t posted, collected; /* sends on it, and those whose stamps have been collected or were lost; modulo 2^32 */
    struct {
        uint64_t posted_ns; /* CLOCK_REALTIME, behind the send */
        uint32_t last_byte;
    } sent[LINK_SENDS];     /* by number modulo LINK_SENDS */
    struct ticks_clock *clock; /* of the device, with stamped completions; NULL: the engine's own stamps are all there are */
    struct ticks_line line;    /* as last taken from it */
};

/* `memory`: VERBS_ORDERS_MEMORY bytes registered with the device; `clock` of a device whose completions are stamped, or NULL. */
void verbs_orders_init(struct verbs_orders *self, const struct verbs_device *device, uint8_t *memory, struct ticks_clock *clock);

/* Connect and hand over. Gives up when `wake` or `stop` becomes readable (ECANCELED). From any one thread. */
bool verbs_orders_connect(struct verbs_orders *self, const struct orders_settings *settings, int wake, int stop,
                          struct failure *failure);

/* The keeper's: take in the events that have come, end what is retired. `fds` has room for VERBS_LINKS. */
uint32_t verbs_orders_fds(struct verbs_orders *self, int fds[]);
void verbs_orders_keep(struct verbs_orders *self);

/* When no other thread uses it any more. */
void verbs_orders_close(struct verbs_orders *self);

struct order_transport verbs_orders_interface(struct verbs_orders *self);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Both sides over RDMA verbs: market data over datagrams (UD, verbs_feed.h), orders over a reliable connection (RC, verbs_orders.h).
 * Either may be chosen alone; with both, this is the hybrid.
 *
 *   verbs_library.h       the libraries, loaded at run time
 *   verbs_gid.h           which device, port and GID index an interface stands for
 *   verbs_device.h        the device, and the memory registered with it
 *   verbs_feed.h          UD
 *   verbs_subscription.h  how the gateway learns of a UD queue pair
 *   verbs_link.h          RC, as both ends use it
 *   verbs_orders.h        RC as the engine uses it: connections are replaced
 *   verbs_queue.h         completion queues, with the device's stamps where it has them
 *   verbs_keeper.h        the thread for what waits
 *
 * Memory is one arena, on hugepages, registered once at start, with each device the part that it uses. The engine's thread polls
 * completions and nothing else; it arms no event. What must be waited for (the connection manager, the device, the gateway) is waited
 * for by a thread of its own, the keeper, which leaves what the engine must know in one word. The keeper runs where the thread that
 * opened this runs: on a housekeeping CPU.
 *
 * A device that goes away ends the engine, with its name: nothing here brings it back, and the kernel cannot remove it before its last
 * user has let go. Order state is in the journal and at the exchange. */
#ifndef TICKWIRE_TRANSPORT_VERBS_H
#define TICKWIRE_TRANSPORT_VERBS_H

#include <pthread.h>

#include "../arena.h"
#include "verbs_feed.h"
#include "verbs_orders.h"

#define VERBS_KEEP_MS 100 /* at most, until what the engine gave up is ended */

struct verbs {
    struct verbs_library library;
    struct arena arena;
    struct rdma_event_channel *channel; /* of devices and lines; NULL: not open */
    struct verbs_device a, b, o; /* of line A, line B and the orders; those that are not used are not open */
    struct verbs_feed feed;
    struct verbs_orders orders;
    bool has_feed, has_orders, b_is_a, o_is_a;
    enum stamp_clock stamps;  /* of the samples: STAMP_COMPLETION, STAMP_APPLICATION or STAMP_NONE */
    char why[BLOCK_STAMPING]; /* they are, for people */
    bool stamped;             /* completions are, by line A's device; the keeper ends it with the device */
    struct ticks_clock clock; /* of that device */
    pthread_t keeper;
    bool keeping;
    int stop; /* eventfd that ends keeper and attempts to connect; -1: not open */
    _Atomic bool closing;
    pthread_mutex_t connecting; /* held while an attempt uses what closing takes away */
    pthread_mutex_t telling;    /* guards `problem` */
    char problem[256];
    char text[384]; /* of what was opened, for people: devices, ports, GID indices, RoCE version, MTU, memory; "": nothing was */
    bool short_pages; /* the memory is on ordinary pages, as verbs.hugepages allows */
};

void verbs_init(struct verbs *self);

/* Open what the settings choose verbs for. `request_buffer` as transports_open has it. On failure everything is closed again. */
bool verbs_open(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places, uint8_t *request_buffer,
                struct failure *failure);

/* Whether a receive and a send have been completed with the device's stamps, where these were chosen: what the device says of itself
 * was true at the start, and this is the proof. The engine's thread. */
bool verbs_stamped(const struct verbs *self);

/* From any one thread. */
bool verbs_connect(struct verbs *self, const struct orders_settings *settings, int wake, struct failure *failure);

/* What is wrong now and may mend itself (a gateway that is away, a port that is down), for people; "" for nothing. From any thread. */
void verbs_problem(struct verbs *self, char *text, size_t capacity);

/* The names of the devices that are open, each once, a blank between; "" for none. From the thread that opened them. */
void verbs_devices(const struct verbs *self, char text[BLOCK_RDMA]);

/* The engine's thread, or when it is gone. An attempt to connect under way is given up. */
void verbs_close(struct verbs *self);

#endif

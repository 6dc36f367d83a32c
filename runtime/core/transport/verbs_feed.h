/* SPDX-License-Identifier: Apache-2.0
 *
 * Market data over unreliable datagrams: for line A and, where there is one, line B a queue pair with FEED_SLOTS receives posted, each
 * into a slot of the arena. A slot begins with 40 bytes for the global routing header; the MoldUDP64 packet lies behind it and is used
 * where it lies. Slots that were read are posted again FEED_REFILL at a time. What finds no receive is lost, like a datagram that
 * finds a full socket, and the feed's own sequence shows it.
 *
 * A line is a multicast group, joined through the connection manager, or, with feed.gateway, what the exchange's gateway sends to this
 * queue pair (verbs_subscription.h). Requests for lost packets go over a UDP socket, as with the kernel's sockets.
 *
 * Polling takes up to FEED_POLL completions at once; they are given out one a call. The lines have their turns; a line that has more is
 * read on until what one poll gave is used. */
#ifndef TICKWIRE_TRANSPORT_VERBS_FEED_H
#define TICKWIRE_TRANSPORT_VERBS_FEED_H

#include <stdatomic.h>

#include "../engine.h"
#include "verbs_queue.h"
#include "verbs_subscription.h"

#define FEED_LINES 2u
#define FEED_SLOTS 4096u
#define FEED_STRIDE 2048u
#define FEED_GRH 40u
#define FEED_DATAGRAM (FEED_STRIDE - FEED_GRH) /* the longest packet a slot holds */
#define FEED_POLL 16u
#define FEED_REFILL 64u
#define VERBS_FEED_LINE_MEMORY (FEED_SLOTS * (size_t)FEED_STRIDE)
#define FEED_JOIN_MS 5000

struct verbs_feed_line {
    struct rdma_cm_id *id; /* NULL: there is no such line */
    struct verbs_queue queue;
    uint8_t *memory;
    uint32_t key;
    uint32_t next_refill, freed;
    bool subscribed;  /* over a gateway; else joined */
    struct sockaddr_in joined; /* family 0: none */
    struct subscription subscription;
};

struct verbs_feed {
    const struct verbs_library *library;
    struct verbs_feed_line lines[FEED_LINES];
    uint32_t open, turn;
    struct ibv_wc done[FEED_POLL]; /* of line `turn` */
    uint64_t ticks[FEED_POLL];     /* their stamps, with STAMP_COMPLETION */
    uint32_t count, at;
    uint64_t receive_ns; /* when they were polled */
    uint8_t clock; /* STAMP_COMPLETION, STAMP_APPLICATION, or STAMP_NONE where no stamps are wanted */
    int request_fd; /* -1: none */
    uint32_t await, rounds;
    uint8_t *request_buffer; /* MOLD_PACKET_MAX bytes */
    _Atomic bool breaking;   /* somebody, the keeper or the engine, is writing `why` */
    _Atomic int broken;      /* errno, after `why` */
    char why[256];
};

void verbs_feed_init(struct verbs_feed *feed, const struct verbs_library *library);

/* Open lines and request socket; line B on `b`, which may be `a`. `memory` of each device has a line's VERBS_FEED_LINE_MEMORY bytes at
 * its place. On failure the caller closes. */
bool verbs_feed_open(struct verbs_feed *feed, const struct feed_settings *settings, const struct verbs_device *a,
                     const struct verbs_device *b, struct rdma_event_channel *channel, uint8_t *memory, uint8_t *request_buffer,
                     struct failure *failure);
void verbs_feed_close(struct verbs_feed *feed);

/* The keeper's: it cannot go on. The first reason counts. */
void verbs_feed_break(struct verbs_feed *feed, int code, const char *why);

struct feed_transport verbs_feed_interface(struct verbs_feed *feed);

#endif

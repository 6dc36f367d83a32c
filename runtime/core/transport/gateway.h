/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's RDMA gateway: the other end of the verbs transport. It stands beside the exchange's own sockets and changes no byte:
 *
 *   feed    what comes on the feed's UDP lines goes out as datagrams (UD) to every queue pair that has subscribed over TCP
 *           (verbs_subscription.h) and, if wanted, to the multicast group of the line
 *   orders  each reliable connection (RC, verbs_link.h) is bridged to a TCP connection of its own to the order server
 *
 * One thread that sleeps until something comes: it is no part of what is measured, and shares its machine with the exchange.
 *
 * A subscriber is known by GID, queue pair and line: whoever asks again takes the place of what asked before, for the goodbye of a host
 * or a link that went away never comes.
 *
 *   gateway.c              memory, device, the loop
 *   gateway_subscribers.c  who wants datagrams
 *   gateway_feed.c         datagrams
 *   gateway_orders.c       bridges */
#ifndef TICKWIRE_TRANSPORT_GATEWAY_H
#define TICKWIRE_TRANSPORT_GATEWAY_H

#include <pthread.h>

#include "../arena.h"
#include "lines.h"
#include "verbs_feed.h"
#include "verbs_link.h"

#define GATEWAY_SUBSCRIBERS 64
#define GATEWAY_BRIDGES 16
#define GATEWAY_SENDS 1024u
#define GATEWAY_SLOT FEED_STRIDE
#define GATEWAY_SIGNAL 32u
#define GATEWAY_FULL_MS 20 /* a step waits so long for room in the queue; then what finds none is lost at once */
#define GATEWAY_REQUEST_MS 2000 /* from a subscriber's connection to its request */
#define GATEWAY_LEAVE_MS 1000   /* until what was posted for a subscriber is gone, though no completion says so */
#define GATEWAY_SERVER_MS 20 /* until the order server, which is on this host, has taken a connection */
#define GATEWAY_CLOSE_MS 200 /* for what was sent before the order server closed */
#define GATEWAY_FDS (8 + GATEWAY_SUBSCRIBERS + GATEWAY_BRIDGES)

struct gateway_settings {
    char interface[64];
    uint16_t port; /* of the subscriptions (TCP) and of the order connections (RDMA) */
    uint8_t tos;
    int8_t priority; /* of datagrams, 0 to 7; -1: the precedence in `tos` */
    bool multicast;
    uint32_t messages_per_packet; /* of the lines, ITCH messages; 0: unknown */
    struct verbs_settings verbs;
    struct feed_settings feed; /* the lines as a listener on this host has them */
    char orders_host[64];
    uint16_t orders_port;
};

struct gateway_counts {
    _Atomic uint64_t datagrams, dropped, oversize, subscriptions, connections, refused;
    _Atomic uint32_t subscribers, bridges;
};

struct gateway_subscriber {
    int fd; /* -1: none */
    uint64_t due_ns; /* by when its request must be there, or what was posted for one that has left must be gone */
    uint32_t left;   /* datagrams posted when it left */
    uint32_t got;
    uint8_t request[SUBSCRIPTION_REQUEST];
    struct ibv_ah *ah; /* NULL: has not asked yet; without fd: has left */
    uint8_t line;
    uint8_t gid[16];
    uint32_t queue_pair, key;
};

struct gateway_bridge {
    bool open, established;
    struct verbs_link link;
    int fd; /* to the order server */
    uint64_t closing_ns; /* 0: not closing */
    uint32_t held; /* bytes received that the order server has not taken yet */
    uint8_t bytes[LINK_MESSAGE];
};

struct gateway {
    struct gateway_settings settings;
    struct verbs_library library;
    struct arena arena;
    struct rdma_event_channel *channel;
    struct ibv_comp_channel *arrivals;
    struct verbs_device device;
    struct lines lines;
    int listener, stop;
    bool removed; /* the device */
    /* datagrams */
    struct rdma_cm_id *out;
    struct ibv_cq *sends;
    uint32_t posted, completed, max_inline;
    uint64_t patience_ns; /* until when this step waits for room; 0: it has not had to */
    enum ibv_wc_status failed; /* of the first datagram that could not be sent: the queue pair is in error from there */
    uint8_t *memory;
    struct sockaddr_in joined[2]; /* by line; family 0: none */
    struct ibv_ah *groups[2];     /* by line; NULL: not sent to */
    struct gateway_subscriber subscribers[GATEWAY_SUBSCRIBERS];
    /* orders */
    struct rdma_cm_id *orders;
    struct gateway_bridge bridges[GATEWAY_BRIDGES];
    struct gateway_counts counts;
    pthread_mutex_t telling; /* guards `problem` */
    char problem[256];       /* why somebody was refused last, for people */
    uint8_t packet[MOLD_PACKET_MAX];
};

void gateway_init(struct gateway *self);
bool gateway_open(struct gateway *self, const struct gateway_settings *settings, const struct verbs_places *places,
                  struct failure *failure);

/* Until gateway_stop: true. False when it cannot go on. */
bool gateway_run(struct gateway *self, struct failure *failure);
void gateway_stop(struct gateway *self); /* from any thread */
void gateway_close(struct gateway *self);
void gateway_release(struct gateway *self); /* closes, and no thread may call gateway_stop any more */
void gateway_problem(struct gateway *self, char *text, size_t capacity); /* from any thread */

/* --- between the files of the gateway --- */

/* Of its datagrams. */
static inline uint8_t gateway_service_level(const struct gateway_settings *settings)
{
    return (uint8_t)(settings->priority >= 0 ? settings->priority : settings->tos >> 5);
}

__attribute__((format(printf, 2, 3))) void gateway_tell(struct gateway *self, const char *format, ...);
bool gateway_feed_open(struct gateway *self, struct failure *failure);
void gateway_feed_close(struct gateway *self);
void gateway_feed_step(struct gateway *self); /* packets that have come */
void gateway_subscribers_accept(struct gateway *self);
void gateway_subscribers_step(struct gateway *self);
void gateway_subscribers_close(struct gateway *self);
bool gateway_orders_open(struct gateway *self, struct failure *failure);
void gateway_orders_close(struct gateway *self);
void gateway_orders_event(struct gateway *self, struct rdma_cm_event *event); /* acknowledges it */
void gateway_orders_step(struct gateway *self);

#endif

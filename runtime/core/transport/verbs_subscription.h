/* SPDX-License-Identifier: Apache-2.0
 *
 * How a datagram queue pair learns to be sent to: a TCP connection to the exchange's gateway, over which the engine says which line it
 * wants and where (GID, queue pair, key, MTU), and which lives as long as it wants it. A gateway that goes away ends the connection;
 * it is made again when it is back, and says the same.
 *
 *   request, 64 bytes, big-endian: magic, group[4], port, GID[16], queue pair, key, MTU, zeros
 *   answer, 256 bytes: an errno (0: subscribed), then text up to a zero
 *
 * All of it is the keeper's; nothing waits. */
#ifndef TICKWIRE_TRANSPORT_VERBS_SUBSCRIPTION_H
#define TICKWIRE_TRANSPORT_VERBS_SUBSCRIPTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define SUBSCRIPTION_MAGIC 0x54574631u /* "TWF1" */
#define SUBSCRIPTION_REQUEST 64u
#define SUBSCRIPTION_ANSWER 256u
#define SUBSCRIPTION_RETRY_MS 250u
#define SUBSCRIPTION_ANSWER_MS 5000u

struct subscription_wish {
    struct in_addr group;
    uint16_t port;
    uint8_t gid[16];
    uint32_t queue_pair, key, mtu;
};

void subscription_encode(uint8_t request[SUBSCRIPTION_REQUEST], const struct subscription_wish *wish);
bool subscription_decode(const uint8_t request[SUBSCRIPTION_REQUEST], struct subscription_wish *wish);

/* Of both ends: a host that is gone says no goodbye. After 5 s without a word, or with something it has not acknowledged, the
 * connection ends. */
void subscription_keepalive(int fd);

enum subscription_state { SUBSCRIPTION_IDLE, SUBSCRIPTION_CONNECTING, SUBSCRIPTION_ASKED, SUBSCRIPTION_THERE, SUBSCRIPTION_REFUSED };

struct subscription {
    int fd;
    enum subscription_state state;
    uint64_t due_ns; /* of the next attempt, or by when the answer must be there */
    struct sockaddr_in gateway;
    uint8_t request[SUBSCRIPTION_REQUEST];
    uint8_t answer[SUBSCRIPTION_ANSWER];
    uint32_t got;
    char problem[256]; /* why it is not there, "" when it is; of a refusal what the gateway said */
};

void subscription_init(struct subscription *self, const struct sockaddr_in *gateway, const struct subscription_wish *wish);

/* Go as far as it goes without waiting. Call when the descriptor is ready and every SUBSCRIPTION_RETRY_MS. */
void subscription_step(struct subscription *self, uint64_t now_ns);

/* What to poll for; the descriptor may be -1. */
short subscription_events(const struct subscription *self);
void subscription_close(struct subscription *self);

#endif

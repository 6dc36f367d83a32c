/* SPDX-License-Identifier: Apache-2.0
 *
 * The twin of the order connection: a TCP connection of the process to itself, over loopback. What is sent on it walks nearly all
 * of the kernel's way of an order (the system call, TCP, IP, routing, the queue of a device) and never leaves the machine, so that
 * way stays in the caches while no order goes out. A send of nothing on the order connection ends before TCP has made a segment,
 * and saves half of what the twin saves or less; see docs/decisions/0010.
 *
 * What it cannot keep warm is the driver of the network card. What it costs: about 10 microseconds in which a packet waits. */
#ifndef TICKWIRE_TRANSPORT_TWIN_H
#define TICKWIRE_TRANSPORT_TWIN_H

#include <stdbool.h>
#include <stdint.h>

#define TWIN_READ_EVERY 32u /* sends: what has arrived by then is thrown away together */
#define TWIN_READ_BYTES (1 << 16)

struct twin {
    int out, in; /* -1: there is none */
    uint32_t unread; /* sends */
};

void twin_init(struct twin *twin);

/* Connect, with the socket options of the order connection. False when loopback is down: then there is no twin, and nothing is lost
 * but its warmth. */
bool twin_open(struct twin *twin, int tos);
void twin_close(struct twin *twin);

/* Send what an order would be; without a twin nothing. */
void twin_send(struct twin *twin, const uint8_t *bytes, uint32_t length);

#endif

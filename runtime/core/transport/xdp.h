/* SPDX-License-Identifier: Apache-2.0
 *
 * Market data by AF_XDP: packets are read where they were received, without a system call, from the rings of xdp_port.h. Line A and
 * line B may come on one interface or on two.
 *
 * Beside the rings the sockets of lines.h are open as well. They join the groups, so that switch and NIC deliver them; the re-request
 * server answers there; and what the XDP program leaves to the kernel (fragments, datagrams too long for a frame, what came before the
 * program was there) arrives at them, so nothing of a line is lost. They are looked at in every XDP_KERNEL-th call, and in each while
 * an answer is awaited or a packet has just come there.
 *
 * An interface that is removed takes its line along, and the other one goes on; when both are gone the feed ends with an error, and
 * whoever started the engine starts it again. A link that is down only brings nothing: the rings stay.
 *
 * A frame is the engine's from `receive` to the next call; then it goes back, in batches. A datagram with a wrong checksum is
 * dropped, as the kernel would: the packet is missing then, and asked for again. */
#ifndef TICKWIRE_TRANSPORT_XDP_H
#define TICKWIRE_TRANSPORT_XDP_H

#include "lines.h"
#include "xdp_port.h"

#define XDP_PORTS 2u
#define XDP_KERNEL 16384u /* a power of two: so often that a packet waits there for a fraction of a millisecond */

struct xdp {
    uint32_t queues;               /* of both ports */
    uint32_t turn;
    uint32_t calls;
    bool wakes;                    /* busy polling: a look at an empty ring is a system call */
    struct xdp_queue *held;        /* whose frame the engine has */
    uint64_t held_address;
    int64_t tai_ns;                /* CLOCK_TAI less CLOCK_REALTIME */
    struct xdp_queue *polled[XDP_PORTS * STEER_QUEUES];
    uint8_t line_of[XDP_PORTS][STEER_LINES];
    uint64_t by_ring, by_kernel, damaged; /* packets */
    _Atomic bool gone[XDP_PORTS];  /* interfaces that were removed */
    bool ended;                    /* all of them */
    struct lines lines;
    struct xdp_port ports[XDP_PORTS];
    int wait;                      /* epoll of all queues */
    char text[512];                /* for people: what was got; once closed, what came */
    char why[96];                  /* for people: why it ended */
};

void xdp_init(struct xdp *xdp);

/* Open what the settings name, with the card's stamps if `card` and if they can be had; `buffer` and failure as lines_open has
 * them. */
bool xdp_open(struct xdp *xdp, const struct feed_settings *feed, int32_t cpu, bool card, uint8_t *buffer, struct failure *failure);

/* Why an interface gives no stamps of its card though they were wanted; "": all give them. */
const char *xdp_no_card(const struct xdp *xdp);

/* What is wrong with an interface, for people; "" for nothing. From any thread. */
void xdp_problem(struct xdp *xdp, char *text, size_t capacity);
void xdp_close(struct xdp *xdp);

/* As struct feed_transport says. */
int xdp_receive(struct xdp *xdp, struct transport_packet *packet);
struct feed_transport xdp_interface(struct xdp *xdp);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * AF_XDP on one interface: its frames (UMEM), a socket with its rings for each receive queue, and the XDP program that steers the
 * feed's lines to them.
 *
 * Frames. Each queue has XDP_FRAMES frames, which are on the fill ring, with the driver, on the receive ring, or with the engine.
 * So the rings, as large, are never full, and a burst of XDP_FRAMES packets waits in them while the engine is busy.
 *
 * Modes, each less direct than the one before. Zero-copy: the driver receives into the frames. Copy: the driver's program copies to
 * them. Generic: the kernel copies from its own buffers, on any driver. `auto` takes the first that driver and kernel have.
 *
 * The program hangs on a bpf_link, which is this process's and nobody else's: it is gone when the process is, however that ends. So
 * there is nothing to clean up before a start, and a program that is there belongs to somebody who runs. */
#ifndef TICKWIRE_TRANSPORT_XDP_PORT_H
#define TICKWIRE_TRANSPORT_XDP_PORT_H

#include <linux/if_xdp.h>

#include "../arena.h"
#include "../failure.h"
#include "netdev.h"
#include "steer.h"
#include "transport.h"
#include "xdp_libs.h"

#define XDP_FRAME_BYTES 2048u
#define XDP_FRAMES 4096u /* of each queue */
#define XDP_BATCH 64u    /* frames that go back at once */

struct xdp_queue {
    struct xdp_ring receive;
    struct xdp_ring fill;
    uint8_t *frames;     /* of the port: addresses in the rings count from here */
    uint8_t port, fresh; /* fresh: frames given back and not yet shown to the kernel */
    int fd;
    uint32_t number;
    struct xsk_socket *socket;
    struct xdp_ring send; /* bench only: has no entries here */
    struct xdp_ring completion;
};

struct xdp_port {
    const struct xdp_libs *libs;
    struct netdev netdev;
    struct arena memory;
    struct xsk_umem *umem;
    struct bpf_object *program;
    int link; /* -1: the program is not attached */
    uint32_t count;
    enum xdp_mode mode;                     /* that was got */
    bool card;                              /* the program asks the driver for the card's stamps */
    char no_card[160];                      /* why it does not, where that was wanted; else "" */
    struct steer_line lines[STEER_LINES];
    struct xdp_queue queues[STEER_QUEUES];
    char text[240];                         /* for people: what was got, and what was refused before */
};

struct xdp_port_settings {
    enum xdp_mode mode;
    bool card;                 /* stamps of the card are wanted */
    uint64_t queues;           /* a bit each; 0: all that the interface has */
    uint32_t busy_poll_us;     /* both 0: no busy polling */
    uint32_t busy_poll_budget;
    uint32_t send_entries;     /* of a ring to send by; 0: none */
    int32_t cpu;               /* whose memory is near */
    const char *program_path;
};

void xdp_port_init(struct xdp_port *port);

/* Open on port->netdev for port->lines. On failure everything is closed again. */
bool xdp_port_open(struct xdp_port *port, const struct xdp_port_settings *settings, struct failure *failure);
void xdp_port_close(struct xdp_port *port);

/* Whether the interface has been removed: nothing will come from the rings any more. */
bool xdp_port_gone(const struct xdp_port *port);

/* Packets the kernel dropped for want of room, since the start; all queues. */
uint64_t xdp_port_dropped(const struct xdp_port *port);

/* --- the rings --- */

/* The next frame, if there is one; it is the caller's until xdp_queue_give_back. */
static inline bool xdp_queue_take(struct xdp_queue *queue, struct xdp_desc *frame)
{
    struct xdp_ring *ring = &queue->receive;
    if (ring->cached_prod == ring->cached_cons) {
        ring->cached_prod = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
        if (ring->cached_prod == ring->cached_cons)
            return false;
    }
    *frame = ((const struct xdp_desc *)ring->ring)[ring->cached_cons++ & ring->mask];
    return true;
}

/* Show the kernel what was given back: entries of the receive ring it may write again, frames it may fill. */
static inline void xdp_queue_flush(struct xdp_queue *queue)
{
    queue->fresh = 0;
    __atomic_store_n(queue->receive.consumer, queue->receive.cached_cons, __ATOMIC_RELEASE);
    __atomic_store_n(queue->fill.producer, queue->fill.cached_prod, __ATOMIC_RELEASE);
}

/* Any address within the frame will do. */
static inline void xdp_queue_give_back(struct xdp_queue *queue, uint64_t address)
{
    struct xdp_ring *ring = &queue->fill;
    ((uint64_t *)ring->ring)[ring->cached_prod++ & ring->mask] = address & ~(uint64_t)(XDP_FRAME_BYTES - 1);
    if (++queue->fresh == XDP_BATCH)
        xdp_queue_flush(queue);
}

static inline bool xdp_queue_needs_wakeup(const struct xdp_queue *queue)
{
    return (*(volatile const uint32_t *)queue->fill.flags & XDP_RING_NEED_WAKEUP) != 0;
}

/* Have the driver look at the fill ring, or poll the device: a system call. */
void xdp_queue_wake(struct xdp_queue *queue);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../clock.h"
#include "checksum.h"

/* --- opening --- */

/* CLOCK_TAI is ahead by whole seconds, which change when somebody tells the kernel of leap seconds. */
static int64_t tai_offset_ns(void)
{
    struct timespec tai, real;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_TAI, &tai);
    int64_t ahead = (int64_t)(tai.tv_sec - real.tv_sec) * (int64_t)NS_PER_S + tai.tv_nsec - real.tv_nsec;
    return (ahead + (int64_t)NS_PER_S / 2) / (int64_t)NS_PER_S * (int64_t)NS_PER_S;
}

/* A line onto its interface's port: that of line A when it is the same. The addresses have been checked by lines_open. */
static bool add_line(struct xdp *xdp, uint8_t line, const struct feed_settings *feed, struct failure *failure)
{
    const bool b = line == TRANSPORT_LINE_B, own = b && feed->interface_b[0] != '\0';
    struct in_addr interface, group, source = {INADDR_ANY};
    struct netdev netdev;
    inet_pton(AF_INET, own ? feed->interface_b : feed->interface, &interface);
    inet_pton(AF_INET, b ? feed->group_b : feed->group, &group);
    inet_pton(AF_INET, b ? feed->source_b : feed->source, &source); /* "": stays any */
    if (!netdev_of(&netdev, interface, own ? "feed.interface_b" : "feed.interface", failure))
        return false;
    uint32_t at = b && netdev.index != xdp->ports[0].netdev.index ? 1 : 0, n = b && at == 0 ? 1 : 0;
    struct xdp_port *port = &xdp->ports[at];
    port->netdev = netdev;
    port->lines[n] = (struct steer_line){
        .group = group.s_addr, .source = source.s_addr, .port = htons(b ? feed->port_b : feed->port)};
    xdp->line_of[at][n] = line;
    return true;
}

static bool open_ports(struct xdp *xdp, const struct feed_settings *feed, int32_t cpu, bool card, struct failure *failure)
{
    const struct xdp_port_settings settings = {.mode = feed->xdp_mode,
                                               .card = card,
                                               .queues = feed->xdp_queues,
                                               .busy_poll_us = feed->busy_poll_us,
                                               .busy_poll_budget = feed->busy_poll_budget,
                                               .cpu = cpu,
                                               .program_path = feed->xdp_program};
    for (uint32_t p = 0; p < XDP_PORTS; p++) {
        struct xdp_port *port = &xdp->ports[p];
        if (port->netdev.index == 0)
            continue;
        if (!xdp_port_open(port, &settings, failure))
            return false;
        for (uint32_t i = 0; i < port->count; i++) {
            struct xdp_queue *queue = &port->queues[i];
            struct epoll_event event = {.events = EPOLLIN};
            queue->port = (uint8_t)p;
            xdp->polled[xdp->queues++] = queue;
            if (epoll_ctl(xdp->wait, EPOLL_CTL_ADD, queue->fd, &event) != 0)
                return failure_set(failure, errno, "epoll: %s", strerror(errno));
        }
        size_t used = strlen(xdp->text);
        snprintf(xdp->text + used, sizeof xdp->text - used, "%s%s", p > 0 ? "; " : "AF_XDP on ", port->text);
    }
    return true;
}

void xdp_init(struct xdp *xdp)
{
    memset(xdp, 0, sizeof *xdp);
    xdp->wait = -1;
    lines_init(&xdp->lines);
    for (uint32_t p = 0; p < XDP_PORTS; p++)
        xdp_port_init(&xdp->ports[p]);
}

bool xdp_open(struct xdp *xdp, const struct feed_settings *feed, int32_t cpu, bool card, uint8_t *buffer, struct failure *failure)
{
    xdp_close(xdp);
    xdp_init(xdp);
    xdp->wakes = feed->busy_poll_us > 0 && feed->busy_poll_budget > 0;
    xdp->tai_ns = tai_offset_ns();
    xdp->wait = epoll_create1(EPOLL_CLOEXEC);
    if (xdp->wait < 0)
        failure_set(failure, errno, "epoll: %s", strerror(errno));
    else if (lines_open(&xdp->lines, feed, buffer, failure) && add_line(xdp, TRANSPORT_LINE_A, feed, failure) &&
             (feed->group_b[0] == '\0' || add_line(xdp, TRANSPORT_LINE_B, feed, failure)) &&
             open_ports(xdp, feed, cpu, card, failure)) {
        xdp->lines.busy = true; /* what came before the program was there is older than what is in the rings: it goes first */
        return true;
    }
    xdp_close(xdp);
    return false;
}

const char *xdp_no_card(const struct xdp *xdp)
{
    return xdp->ports[0].no_card[0] != '\0' ? xdp->ports[0].no_card : xdp->ports[1].no_card;
}

void xdp_close(struct xdp *xdp)
{
    uint64_t dropped = 0;
    bool opened = xdp->queues > 0;
    for (uint32_t p = 0; p < XDP_PORTS; p++) {
        dropped += xdp_port_dropped(&xdp->ports[p]);
        xdp_port_close(&xdp->ports[p]);
    }
    lines_close(&xdp->lines);
    if (xdp->wait >= 0)
        close(xdp->wait);
    xdp->wait = -1;
    xdp->queues = 0;
    xdp->held = NULL;
    if (opened)
        snprintf(xdp->text, sizeof xdp->text,
                 "AF_XDP: %llu packets by ring, %llu by the kernel's sockets, %llu with a wrong checksum, %llu dropped for want of room",
                 (unsigned long long)xdp->by_ring, (unsigned long long)xdp->by_kernel, (unsigned long long)xdp->damaged,
                 (unsigned long long)dropped);
}

/* --- running --- */

/* What the XDP program put before the frame. Taken away, so that a frame that comes without is not given the time of the one before. */
static inline struct steer_stamps stamps_before(uint8_t *frame)
{
    struct steer_stamps stamps, none = {0, 0};
    memcpy(&stamps, frame - sizeof stamps, sizeof stamps);
    memcpy(frame - sizeof none, &none, sizeof none);
    return stamps;
}

/* As lines.c does it: the card's stamp where it stamps, with the program's beside it, which is of the kernel's clock. */
static inline void put_stamps(struct xdp *xdp, struct transport_packet *packet, struct steer_stamps at)
{
    const uint8_t clock = xdp->lines.clock;
    uint64_t software = at.tai != 0 ? at.tai - (uint64_t)xdp->tai_ns : 0;
    bool card = clock == STAMP_HARDWARE && at.card != 0;
    packet->receive_ns = card ? at.card : software;
    packet->receive_software_ns = card ? software : 0;
    packet->receive_clock = card ? STAMP_HARDWARE : software != 0 && clock != STAMP_NONE ? STAMP_SOFTWARE : STAMP_NONE;
    xdp->lines.stamped |= packet->receive_clock == clock;
    xdp->lines.unstamped |= packet->receive_clock != clock;
}

static inline bool take(struct xdp *xdp, struct xdp_queue *queue, struct transport_packet *packet)
{
    struct xdp_desc got;
    while (xdp_queue_take(queue, &got)) {
        uint8_t *frame = queue->frames + got.addr;
        struct steer_found found;
        struct steer_stamps stamps = stamps_before(frame);
        if (LIKELY(steer_match(xdp->ports[queue->port].lines, frame, frame + got.len, got.len, &found) &&
                   checksum_good(found.ip, found.udp_bytes))) {
            *packet = (struct transport_packet){.bytes = found.ip + STEER_IP + STEER_UDP,
                                                .length = found.udp_bytes - STEER_UDP,
                                                .line = xdp->line_of[queue->port][found.line]};
            put_stamps(xdp, packet, stamps);
            xdp->held = queue;
            xdp->held_address = got.addr;
            xdp->by_ring++;
            return true;
        }
        xdp->damaged++;
        xdp_queue_give_back(queue, got.addr);
    }
    return false;
}

static void look_at_ports(struct xdp *xdp)
{
    bool ended = true;
    for (uint32_t p = 0; p < XDP_PORTS; p++) {
        if (xdp->ports[p].netdev.index == 0)
            continue;
        if (!atomic_load(&xdp->gone[p]) && xdp_port_gone(&xdp->ports[p]))
            atomic_store(&xdp->gone[p], true);
        ended = ended && atomic_load(&xdp->gone[p]);
    }
    xdp->ended = ended;
}

static int look_at_kernel(struct xdp *xdp, struct transport_packet *packet)
{
    if (xdp->calls % XDP_KERNEL == 0) {
        xdp->tai_ns = tai_offset_ns();
        look_at_ports(xdp);
    }
    int got = lines_receive(&xdp->lines, packet);
    xdp->by_kernel += got == TRANSPORT_PACKET;
    return got;
}

int xdp_receive(struct xdp *xdp, struct transport_packet *packet)
{
    if (xdp->held != NULL) {
        xdp_queue_give_back(xdp->held, xdp->held_address);
        xdp->held = NULL;
    }
    if (UNLIKELY(++xdp->calls % XDP_KERNEL == 0 || xdp->lines.busy || xdp->lines.await > 0)) {
        int got = look_at_kernel(xdp, packet);
        if (got != TRANSPORT_NOTHING)
            return got;
    }
    for (uint32_t left = xdp->queues; left > 0; left--) {
        xdp->turn = xdp->turn + 1 < xdp->queues ? xdp->turn + 1 : 0;
        struct xdp_queue *queue = xdp->polled[xdp->turn];
        if (take(xdp, queue, packet))
            return TRANSPORT_PACKET;
        if (UNLIKELY(xdp->wakes || xdp_queue_needs_wakeup(queue)))
            xdp_queue_wake(queue);
    }
    return UNLIKELY(xdp->ended) ? -ENODEV : TRANSPORT_NOTHING;
}

void xdp_problem(struct xdp *xdp, char *text, size_t capacity)
{
    text[0] = '\0';
    for (uint32_t p = 0; p < XDP_PORTS && text[0] == '\0'; p++)
        if (atomic_load(&xdp->gone[p]))
            snprintf(text, capacity, "AF_XDP: interface %s was removed; bring it back (`ip link`) and start again",
                     xdp->ports[p].netdev.name);
}

static const char *why(void *opaque)
{
    struct xdp *xdp = opaque;
    xdp_problem(xdp, xdp->why, sizeof xdp->why);
    return xdp->why;
}

static int receive(void *opaque, struct transport_packet *packet)
{
    return xdp_receive(opaque, packet);
}

static int request(void *opaque, const uint8_t *bytes, uint32_t length)
{
    return lines_request(&((struct xdp *)opaque)->lines, bytes, length);
}

static uint32_t fds_to_wait_on(void *opaque, int fds[])
{
    struct xdp *xdp = opaque;
    look_at_ports(xdp);
    for (uint32_t i = 0; i < xdp->queues; i++)
        xdp_queue_flush(xdp->polled[i]); /* what was read and not yet given back would end the wait at once */
    for (unsigned i = 0; i < LINES; i++)
        fds[i] = xdp->lines.fds[i];
    fds[LINES] = xdp->wait;
    return LINES + 1;
}

struct feed_transport xdp_interface(struct xdp *xdp)
{
    return (struct feed_transport){.self = xdp,
                                   .receive = receive,
                                   .request = xdp->lines.fds[TRANSPORT_LINE_REQUESTED] >= 0 ? request : NULL,
                                   .fds = fds_to_wait_on,
                                   .why = why};
}

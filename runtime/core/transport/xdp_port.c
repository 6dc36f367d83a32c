/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_port.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "options.h"
#include "xdp_program.h"

#ifndef SO_PREFER_BUSY_POLL /* Linux 5.11 */
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

#define RELEASE_WAIT_MS 20 /* the kernel takes a moment to let go of the queues of a socket that is closed */
#define RELEASE_WAITS 100u

#define COMPLETIONS 64u /* libxdp wants a completion ring, sent on or not */

static const char *const mode_names[] = {"auto", "zerocopy", "copy", "generic"}; /* by enum xdp_mode */

/* --- one attempt, in one mode --- */

static bool open_umem(struct xdp_port *port, const struct xdp_port_settings *settings, struct failure *failure)
{
    const struct xdp_umem_config config = {.fill_size = XDP_FRAMES, .comp_size = COMPLETIONS, .frame_size = XDP_FRAME_BYTES};
    struct xdp_queue *first = &port->queues[0];
    size_t bytes = (size_t)port->count * XDP_FRAMES * XDP_FRAME_BYTES;
    if (!arena_open_near(&port->memory, bytes, settings->cpu))
        return failure_set(failure, ENOMEM,
                           "%zu MB of memory for %u receive queues of %s cannot be had: %s; name fewer in feed.xdp_queues, or free "
                           "memory",
                           bytes >> 20, port->count, port->netdev.name, strerror(errno));
    int error = -port->libs->xsk_umem__create(&port->umem, port->memory.base, bytes, &first->fill, &first->completion, &config);
    if (error == 0)
        return true;
    port->umem = NULL;
    if (error == EPERM || error == EACCES)
        return failure_set(failure, error, "frames: %s", strerror(error));
    if (error != ENOBUFS)
        return failure_set(failure, error,
                           "AF_XDP on %s: %zu MB of frames for %u receive queues cannot be registered: %s; name fewer in "
                           "feed.xdp_queues, or free memory",
                           port->netdev.name, bytes >> 20, port->count, strerror(error));
    return failure_set(failure, error,
                       "AF_XDP on %s: the limit of locked memory is below the %zu MB of %u receive queues; raise it (systemd: "
                       "LimitMEMLOCK=infinity), or name fewer in feed.xdp_queues",
                       port->netdev.name, bytes >> 20, port->count);
}

static bool open_queue(struct xdp_port *port, struct xdp_queue *queue, const struct xdp_port_settings *settings,
                       struct failure *failure)
{
    const bool zerocopy = port->mode == XDP_MODE_ZEROCOPY, sends = settings->send_entries > 0;
    const struct xdp_socket_config config = {
        .rx_size = XDP_FRAMES,
        .tx_size = settings->send_entries,
        .libxdp_flags = XDP_INHIBIT_PROG_LOAD,
        .bind_flags = (uint16_t)((zerocopy ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP),
    };
    int error = -port->libs->xsk_socket__create_shared(&queue->socket, port->netdev.name, queue->number, port->umem, &queue->receive,
                                                       sends ? &queue->send : NULL, &queue->fill, &queue->completion, &config);
    if (error != 0) {
        queue->socket = NULL;
        return failure_set(failure, error, "queue %u: %s", queue->number, strerror(error));
    }
    queue->fd = port->libs->xsk_socket__fd(queue->socket);
    queue->frames = port->memory.base;
    queue->fresh = 0;
    uint64_t from = (uint64_t)(queue - port->queues) * XDP_FRAMES * XDP_FRAME_BYTES;
    for (uint32_t i = 0; i < XDP_FRAMES; i++)
        xdp_queue_give_back(queue, from + i * XDP_FRAME_BYTES);
    if (settings->busy_poll_us == 0 || settings->busy_poll_budget == 0)
        return true;
    if (set_int(queue->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, 1) &&
        set_int(queue->fd, SOL_SOCKET, SO_BUSY_POLL, (int)settings->busy_poll_us) &&
        set_int(queue->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, (int)settings->busy_poll_budget))
        return true;
    return failure_set(failure, errno, "preferred busy polling: %s; it needs Linux 5.11, or set feed.busy_poll_budget = 0",
                       strerror(errno));
}

/* `memory`: our own was had, so that what failed is of this mode. The driver asks for more in zero-copy than the others need, and
 * what it cannot map for its device is ENOMEM too. */
static bool attempt(struct xdp_port *port, const struct xdp_port_settings *settings, bool *memory, struct failure *failure)
{
    bool good = *memory = open_umem(port, settings, failure);
    for (uint32_t i = 0; good && i < port->count; i++)
        good = open_queue(port, &port->queues[i], settings, failure);
    good = good && xdp_program_start(port, settings, failure);
    if (!good)
        xdp_port_close(port);
    return good;
}

/* --- all attempts --- */

static bool choose_queues(struct xdp_port *port, uint64_t wanted, struct failure *failure)
{
    const struct netdev *netdev = &port->netdev;
    uint32_t have = netdev->receive_queues;
    if (wanted == 0 && have > STEER_QUEUES)
        return failure_set(failure, EINVAL,
                           "feed.xdp_queues: %s has %u receive queues, at most %u can be served; name those the feed comes on, or "
                           "`ethtool -L %s combined %u`",
                           netdev->name, have, STEER_QUEUES, netdev->name, STEER_QUEUES);
    port->count = 0;
    for (uint32_t number = 0; number < STEER_QUEUES; number++) {
        bool this_one = wanted == 0 ? number < have : (wanted >> number & 1) != 0;
        if (this_one && number >= have)
            return failure_set(failure, EINVAL, "feed.xdp_queues: %s has no receive queue %u, only 0 to %u; see `ethtool -l %s`",
                               netdev->name, number, have - 1, netdev->name);
        if (this_one)
            port->queues[port->count++] = (struct xdp_queue){.number = number, .fd = -1};
    }
    return true;
}

/* What no other mode would cure, said with what to do. */
static bool is_final(const struct xdp_port *port, bool memory, struct failure *failure)
{
    char why[sizeof failure->text];
    const char *name = port->netdev.name;
    uint32_t id;
    memcpy(why, failure->text, sizeof why);
    switch (failure->code) {
    case EPERM:
    case EACCES:
        failure_set(failure, EPERM,
                    "AF_XDP on %s is not allowed: %.120s; it needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW (systemd: "
                    "AmbientCapabilities=), or set feed.transport = \"socket\"",
                    name, why);
        return true;
    case EBUSY:
    case EEXIST:
        id = xdp_program_there(port);
        if (id != 0)
            failure_set(failure, EBUSY,
                        "AF_XDP on %s: XDP program %u is there already, of another engine or tool; stop that (`bpftool link show` "
                        "names it, `ip link set %s %s off` takes a forgotten one away), or set feed.transport = \"socket\"",
                        name, id, name, xdp_program_is_generic(port) ? "xdpgeneric" : "xdp");
        else
            failure_set(failure, EBUSY,
                        "AF_XDP on %s: %.120s: another program has the queue; stop it (`ss --xdp -p` names it), or name other queues "
                        "in feed.xdp_queues",
                        name, why);
        return true;
    case ENETDOWN: /* a driver may want it up for zero-copy: a lesser mode would be had for good by an accident of the start */
        failure_set(failure, ENETDOWN, "AF_XDP on %s: %.120s: bring it up (`ip link set %s up`) and start again", name, why, name);
        return true;
    case ENOENT:
        return true;
    default:
        return !memory;
    }
}

bool xdp_port_open(struct xdp_port *port, const struct xdp_port_settings *settings, struct failure *failure)
{
    const bool automatic = settings->mode == XDP_MODE_AUTO;
    enum xdp_mode mode = automatic ? XDP_MODE_ZEROCOPY : settings->mode;
    char refused[160] = "";
    unsigned waits = 0;
    port->libs = xdp_libs(failure);
    if (port->libs == NULL || !choose_queues(port, settings->queues, failure))
        return false;
    for (;; mode++) {
        port->mode = mode;
        bool good, memory;
        while (!(good = attempt(port, settings, &memory, failure)) && failure->code == EBUSY && xdp_program_there(port) == 0 &&
               waits++ < RELEASE_WAITS)
            poll(NULL, 0, RELEASE_WAIT_MS);
        if (good)
            break;
        if (is_final(port, memory, failure))
            return false;
        size_t used = strlen(refused);
        snprintf(refused + used, sizeof refused - used, "%s%s: %.60s", used > 0 ? "; " : "", mode_names[mode], failure->text);
        if (!automatic || mode == XDP_MODE_GENERIC)
            return failure_set(failure, failure->code,
                               "AF_XDP on %s (MTU %u) is refused: %s; %s, or set feed.transport = \"socket\"", port->netdev.name,
                               port->netdev.mtu, refused,
                               automatic ? "see the kernel's log" : "set feed.xdp_mode = \"auto\" for what the driver can do");
    }
    snprintf(port->text, sizeof port->text, "%s: %s, %u queue%s%s%s%s", port->netdev.name, mode_names[mode], port->count,
             port->count == 1 ? "" : "s", refused[0] != '\0' ? " (refused: " : "", refused, refused[0] != '\0' ? ")" : "");
    return true;
}

void xdp_port_init(struct xdp_port *port)
{
    memset(port, 0, sizeof *port);
    port->link = -1;
}

void xdp_port_close(struct xdp_port *port)
{
    xdp_program_stop(port);
    for (uint32_t i = 0; i < port->count; i++)
        if (port->queues[i].socket != NULL)
            port->libs->xsk_socket__delete(port->queues[i].socket);
    if (port->umem != NULL)
        port->libs->xsk_umem__delete(port->umem); /* where no socket was bound it unmaps by the rings of the first queue */
    port->umem = NULL;
    for (uint32_t i = 0; i < port->count; i++)
        port->queues[i] = (struct xdp_queue){.number = port->queues[i].number, .fd = -1};
    arena_close(&port->memory);
}

/* The kernel puts the error on each socket of the interface, once. */
bool xdp_port_gone(const struct xdp_port *port)
{
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(port->queues[0].fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ENETDOWN;
}

uint64_t xdp_port_dropped(const struct xdp_port *port)
{
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < port->count; i++) {
        struct xdp_statistics counts;
        socklen_t size = sizeof counts;
        if (getsockopt(port->queues[i].fd, SOL_XDP, XDP_STATISTICS, &counts, &size) == 0 && size == sizeof counts)
            dropped += counts.rx_dropped + counts.rx_ring_full;
    }
    return dropped;
}

void xdp_queue_wake(struct xdp_queue *queue)
{
    if (queue->fresh > 0)
        xdp_queue_flush(queue);
    recvfrom(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL); /* nothing is read: it is the call that counts */
}

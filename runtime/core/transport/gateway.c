/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../itch.h"
#include "../line.h"
#include "../mold.h"

#define STEP_MS 20 /* at most between two looks at what has a time of its own */

void gateway_init(struct gateway *self)
{
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->telling, NULL);
    lines_init(&self->lines);
    self->listener = self->stop = -1;
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++)
        self->subscribers[i].fd = -1;
    for (int i = 0; i < GATEWAY_BRIDGES; i++)
        self->bridges[i].fd = -1;
}

static bool open_listener(struct gateway *self, struct failure *failure)
{
    const struct gateway_settings *settings = &self->settings;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(settings->port)};
    int one = 1;
    inet_pton(AF_INET, settings->interface, &at.sin_addr); /* the device has found it good */
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->listener >= 0 && setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(self->listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(self->listener, GATEWAY_SUBSCRIBERS) == 0)
        return true;
    return failure_set(failure, errno, "rdma.port %u on %s: %s; see who holds it with `ss -ltnp sport = :%u`, or choose another", settings->port,
                       settings->interface, strerror(errno), settings->port);
}

/* The longest packet of the lines must be a datagram. */
static bool packets_fit(const struct gateway *self, struct failure *failure)
{
    uint32_t mtu = self->device.mtu, messages = self->settings.messages_per_packet;
    uint32_t bytes = MOLD_HEADER + messages * (2 + ITCH_MESSAGE_MAX);
    bytes = bytes < LINE_PACKET_MAX ? bytes : LINE_PACKET_MAX;
    if (messages == 0 || bytes <= mtu)
        return true;
    return failure_set(failure, EMSGSIZE,
                       "feed.messages_per_packet %u: packets of up to %u bytes are longer than the RDMA MTU %u of %s, and would be lost; set "
                       "it to %u, or raise the MTU of %s (fabric.mtu.host)",
                       messages, bytes, mtu, self->device.gid.device, (mtu - MOLD_HEADER) / (2 + ITCH_MESSAGE_MAX), self->device.gid.netdev);
}

static bool open_all(struct gateway *self, const struct verbs_places *places, struct failure *failure)
{
    const struct gateway_settings *settings = &self->settings;
    if (!verbs_library_open(&self->library, places, failure))
        return false;
    size_t bytes = (size_t)GATEWAY_SENDS * GATEWAY_SLOT + GATEWAY_BRIDGES * LINK_MEMORY;
    if (!arena_open(&self->arena, bytes))
        return failure_set(failure, ENOMEM, "RDMA gateway: %zu MB of memory cannot be had: %s", bytes >> 20, strerror(errno));
    self->memory = self->arena.base;
    self->channel = verbs_channel(&self->library, failure);
    if (self->channel == NULL)
        return false;
    if (!verbs_device_open(&self->device, &self->library, places->sysfs, self->channel, "rdma.interface", settings->interface,
                           &settings->verbs, self->arena.base, self->arena.capacity, failure))
        return false;
    if (!packets_fit(self, failure))
        return false;
    self->arrivals = self->library.create_comp_channel(self->device.context);
    if (self->arrivals == NULL)
        return failure_set(failure, errno, "%s: completion channel: %s", self->device.gid.device, strerror(errno));
    fcntl(self->arrivals->fd, F_SETFL, fcntl(self->arrivals->fd, F_GETFL) | O_NONBLOCK);
    return lines_open(&self->lines, &settings->feed, self->packet, failure) && gateway_feed_open(self, failure) &&
           gateway_orders_open(self, failure) && open_listener(self, failure);
}

bool gateway_open(struct gateway *self, const struct gateway_settings *settings, const struct verbs_places *places,
                  struct failure *failure)
{
    gateway_init(self);
    self->settings = *settings;
    self->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->stop < 0)
        return failure_set(failure, errno, "eventfd: %s", strerror(errno));
    if (open_all(self, places, failure))
        return true;
    gateway_release(self);
    return false;
}

void gateway_close(struct gateway *self)
{
    gateway_orders_close(self);
    gateway_feed_close(self); /* its queue pair before the ways of what is posted to it */
    gateway_subscribers_close(self);
    lines_close(&self->lines);
    if (self->listener >= 0)
        close(self->listener);
    if (self->arrivals != NULL)
        self->library.destroy_comp_channel(self->arrivals);
    verbs_device_close(&self->device);
    if (self->channel != NULL)
        self->library.destroy_event_channel(self->channel);
    arena_close(&self->arena);
    verbs_library_close(&self->library);
    self->listener = -1;
    self->arrivals = NULL;
    self->channel = NULL;
}

void gateway_release(struct gateway *self)
{
    gateway_close(self);
    if (self->stop >= 0)
        close(self->stop);
    self->stop = -1;
}

void gateway_stop(struct gateway *self)
{
    uint64_t one = 1;
    if (self->stop >= 0 && write(self->stop, &one, sizeof one) < 0)
        return; /* full: it is stopping */
}

void gateway_tell(struct gateway *self, const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&self->telling);
    va_start(arguments, format);
    vsnprintf(self->problem, sizeof self->problem, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&self->telling);
}

void gateway_problem(struct gateway *self, char *text, size_t capacity)
{
    pthread_mutex_lock(&self->telling);
    snprintf(text, capacity, "%s", self->problem);
    pthread_mutex_unlock(&self->telling);
}

/* --- the loop --- */

static void hear(struct gateway *self)
{
    struct rdma_cm_event *event;
    while (self->library.get_cm_event(self->channel, &event) == 0) {
        if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL)
            self->removed = true;
        gateway_orders_event(self, event);
    }
    struct pollfd now = {.fd = self->device.context->async_fd, .events = POLLIN};
    struct ibv_async_event what;
    while (poll(&now, 1, 0) > 0 && (now.revents & POLLIN) && self->library.get_async_event(self->device.context, &what) == 0) {
        self->removed = self->removed || what.event_type == IBV_EVENT_DEVICE_FATAL;
        self->library.ack_async_event(&what);
    }
    self->removed = self->removed || (now.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

/* Ask to be woken again, before looking at what has come: nothing falls in between. */
static void rearm(struct gateway *self)
{
    struct ibv_cq *queue;
    void *of;
    while (self->library.get_cq_event(self->arrivals, &queue, &of) == 0) {
        self->library.ack_cq_events(queue, 1);
        ibv_req_notify_cq(queue, 0);
    }
}

/* What of the order server can be used now: what cannot would end every wait at once. Where there is no room the next look is after
 * STEP_MS. */
static short awaited(struct gateway_bridge *bridge)
{
    if (!bridge->open || !bridge->established || bridge->closing_ns != 0)
        return 0;
    return (short)((verbs_link_room(&bridge->link) > 0 ? POLLIN : 0) | (bridge->held > 0 ? POLLOUT : 0));
}

static uint32_t collect(struct gateway *self, struct pollfd on[GATEWAY_FDS])
{
    uint32_t count = 0;
    on[count++] = (struct pollfd){.fd = self->stop, .events = POLLIN};
    on[count++] = (struct pollfd){.fd = self->channel->fd, .events = POLLIN};
    on[count++] = (struct pollfd){.fd = self->arrivals->fd, .events = POLLIN};
    on[count++] = (struct pollfd){.fd = self->device.context->async_fd, .events = POLLIN};
    on[count++] = (struct pollfd){.fd = self->listener, .events = POLLIN};
    for (int i = 0; i < 2; i++)
        on[count++] = (struct pollfd){.fd = self->lines.fds[i], .events = POLLIN};
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++)
        if (self->subscribers[i].fd >= 0)
            on[count++] = (struct pollfd){.fd = self->subscribers[i].fd, .events = POLLIN};
    for (int i = 0; i < GATEWAY_BRIDGES; i++) {
        short events = awaited(&self->bridges[i]);
        if (events != 0) /* with 0 an error would be told all the same */
            on[count++] = (struct pollfd){.fd = self->bridges[i].fd, .events = events};
    }
    return count;
}

bool gateway_run(struct gateway *self, struct failure *failure)
{
    struct pollfd on[GATEWAY_FDS];
    for (;;) {
        uint32_t count = collect(self, on);
        poll(on, count, STEP_MS);
        if (on[0].revents != 0)
            return true;
        rearm(self);
        hear(self);
        if (self->removed)
            return failure_set(failure, ENODEV, "RDMA gateway: device %s was removed; see `rdma link show`", self->device.gid.device);
        gateway_subscribers_accept(self);
        gateway_subscribers_step(self);
        gateway_feed_step(self);
        gateway_orders_step(self);
        if (self->failed != IBV_WC_SUCCESS)
            return failure_set(failure, EIO, "RDMA gateway: datagrams cannot be sent: %s; is the link of %s up?",
                               self->library.wc_status_str(self->failed), self->device.gid.netdev);
    }
}

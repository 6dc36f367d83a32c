/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_keeper.h"

#include <errno.h>
#include <poll.h>

#include "../clock.h"

#define VERBS_DEVICES 3u

void verbs_problem(struct verbs *self, char *text, size_t capacity)
{
    pthread_mutex_lock(&self->telling);
    snprintf(text, capacity, "%s", self->problem);
    pthread_mutex_unlock(&self->telling);
}

static void tell(struct verbs *self, const char *problem)
{
    pthread_mutex_lock(&self->telling);
    snprintf(self->problem, sizeof self->problem, "%s", problem);
    pthread_mutex_unlock(&self->telling);
}

/* Of the lines and the orders; several may be one RDMA device. */
static void all_devices(struct verbs *self, struct verbs_device *devices[VERBS_DEVICES])
{
    devices[0] = &self->a;
    devices[1] = &self->b;
    devices[2] = &self->o;
}

static void lose_device(struct verbs *self, const struct verbs_device *device)
{
    char why[160];
    snprintf(why, sizeof why, "RDMA device %s was removed; see `rdma link show`, bring it back and start again", device->gid.device);
    self->stamped = false; /* its counter can no longer be read */
    if (self->has_feed && device != &self->o)
        verbs_feed_break(&self->feed, ENODEV, why);
    if (!self->has_orders || self->orders.device != device)
        return;
    atomic_store(&self->orders.removed, true);
    for (int n = 0; n < VERBS_LINKS; n++)
        atomic_store(&self->orders.links[n].link.lost, ENODEV);
}

/* Events of the connection manager for devices and lines. */
static void hear_channel(struct verbs *self)
{
    struct verbs_device *devices[VERBS_DEVICES];
    struct rdma_cm_event *event;
    all_devices(self, devices);
    while (self->library.get_cm_event(self->channel, &event) == 0) {
        enum rdma_cm_event_type what = event->event;
        const struct rdma_cm_id *id = event->id;
        self->library.ack_cm_event(event);
        for (size_t i = 0; what == RDMA_CM_EVENT_DEVICE_REMOVAL && i < VERBS_DEVICES; i++)
            if (devices[i]->context != NULL && id->verbs == devices[i]->context)
                lose_device(self, devices[i]);
        if (what == RDMA_CM_EVENT_MULTICAST_ERROR)
            verbs_feed_break(&self->feed, ENETDOWN, "the multicast group was lost");
    }
}

/* One event of a device, which may be that of several sides: the first to read it has it for all. */
static void hear_event(struct verbs *self, const struct ibv_context *context, enum ibv_event_type what, int port)
{
    struct verbs_device *devices[VERBS_DEVICES];
    all_devices(self, devices);
    for (size_t i = 0; i < VERBS_DEVICES; i++) {
        struct verbs_device *device = devices[i];
        if (device->context != context)
            continue;
        if (what == IBV_EVENT_DEVICE_FATAL)
            lose_device(self, device);
        else if ((what == IBV_EVENT_PORT_ERR || what == IBV_EVENT_PORT_ACTIVE) && port == device->gid.port)
            device->down = what == IBV_EVENT_PORT_ERR;
    }
}

/* Events of the devices. The connection manager may hear of a removal later, or wait for us to hear of this. */
static void hear_devices(struct verbs *self)
{
    struct verbs_device *devices[VERBS_DEVICES];
    struct ibv_async_event event;
    all_devices(self, devices);
    for (size_t i = 0; i < VERBS_DEVICES; i++) {
        struct ibv_context *context = devices[i]->context;
        if (context == NULL)
            continue;
        struct pollfd now = {.fd = context->async_fd, .events = POLLIN};
        while (poll(&now, 1, 0) > 0 && (now.revents & POLLIN) && self->library.get_async_event(context, &event) == 0) {
            enum ibv_event_type what = event.event_type;
            int port = event.element.port_num; /* of the events of a port */
            self->library.ack_async_event(&event);
            hear_event(self, context, what, port);
        }
        if (now.revents & (POLLERR | POLLHUP | POLLNVAL))
            hear_event(self, context, IBV_EVENT_DEVICE_FATAL, 0);
    }
}

/* What is wrong now, into `text`; a refusal by the gateway ends the feed. */
static void look_at_lines(struct verbs *self, char *text, size_t capacity)
{
    struct verbs_device *devices[VERBS_DEVICES];
    all_devices(self, devices);
    text[0] = '\0';
    for (size_t i = 0; i < VERBS_DEVICES && text[0] == '\0'; i++)
        if (devices[i]->context != NULL && devices[i]->down)
            snprintf(text, capacity, "the RDMA port is down; look at `ip link show %s`", devices[i]->gid.netdev);
    for (uint32_t n = 0; self->has_feed && n < FEED_LINES; n++) {
        struct verbs_feed_line *line = &self->feed.lines[n];
        if (!line->subscribed)
            continue;
        subscription_step(&line->subscription, clock_now());
        if (line->subscription.problem[0] != '\0' && text[0] == '\0')
            snprintf(text, capacity, "%s", line->subscription.problem);
        if (line->subscription.state == SUBSCRIPTION_REFUSED)
            verbs_feed_break(&self->feed, EPROTO, line->subscription.problem);
    }
}

static void keep_clock(struct verbs *self, uint64_t now_ns)
{
    struct ticks_moment moment;
    if (!self->stamped || now_ns < self->clock.due_ns)
        return;
    self->clock.due_ns = now_ns + TICKS_REFRESH_NS;
    if (verbs_queue_moment(self->a.context, &moment))
        ticks_refresh(&self->clock, &moment);
}

void *verbs_keeper(void *opaque)
{
    struct verbs *self = opaque;
    struct verbs_device *devices[VERBS_DEVICES];
    all_devices(self, devices);
    char problem[sizeof self->problem];
    while (!atomic_load(&self->closing)) {
        struct pollfd on[2 + VERBS_DEVICES + VERBS_LINKS + FEED_LINES] = {{.fd = self->stop, .events = POLLIN},
                                                                          {.fd = self->channel->fd, .events = POLLIN}};
        uint32_t count = 2;
        int fds[VERBS_LINKS];
        for (size_t i = 0; i < VERBS_DEVICES; i++)
            if (devices[i]->context != NULL)
                on[count++] = (struct pollfd){.fd = devices[i]->context->async_fd, .events = POLLIN};
        for (uint32_t n = 0; self->has_feed && n < FEED_LINES; n++)
            if (self->feed.lines[n].subscribed)
                on[count++] = (struct pollfd){.fd = self->feed.lines[n].subscription.fd,
                                              .events = subscription_events(&self->feed.lines[n].subscription)};
        for (uint32_t n = 0, links = self->has_orders ? verbs_orders_fds(&self->orders, fds) : 0; n < links; n++)
            on[count++] = (struct pollfd){.fd = fds[n], .events = POLLIN};
        poll(on, count, VERBS_KEEP_MS);
        hear_channel(self);
        hear_devices(self);
        look_at_lines(self, problem, sizeof problem);
        tell(self, problem);
        if (self->has_orders)
            verbs_orders_keep(&self->orders);
        keep_clock(self, clock_now());
    }
    return NULL;
}

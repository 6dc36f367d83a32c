/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../clock.h"

void verbs_init(struct verbs *self)
{
    memset(self, 0, sizeof *self);
    verbs_feed_init(&self->feed, &self->library);
    self->stop = -1;
    pthread_mutex_init(&self->connecting, NULL);
    pthread_mutex_init(&self->telling, NULL);
}

/* --- the keeper --- */

static void tell(struct verbs *self, const char *problem)
{
    pthread_mutex_lock(&self->telling);
    snprintf(self->problem, sizeof self->problem, "%s", problem);
    pthread_mutex_unlock(&self->telling);
}

void verbs_problem(struct verbs *self, char *text, size_t capacity)
{
    pthread_mutex_lock(&self->telling);
    snprintf(text, capacity, "%s", self->problem);
    pthread_mutex_unlock(&self->telling);
}

static void lose_device(struct verbs *self, const struct verbs_device *device)
{
    char why[160];
    snprintf(why, sizeof why, "RDMA device %s was removed; see `rdma link show`, bring it back and start again", device->gid.device);
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
    struct verbs_device *devices[] = {&self->a, &self->b, &self->o};
    struct rdma_cm_event *event;
    while (self->library.get_cm_event(self->channel, &event) == 0) {
        enum rdma_cm_event_type what = event->event;
        const struct rdma_cm_id *id = event->id;
        self->library.ack_cm_event(event);
        for (size_t i = 0; what == RDMA_CM_EVENT_DEVICE_REMOVAL && i < 3; i++)
            if (devices[i]->context != NULL && id->verbs == devices[i]->context)
                lose_device(self, devices[i]);
        if (what == RDMA_CM_EVENT_MULTICAST_ERROR)
            verbs_feed_break(&self->feed, ENETDOWN, "the multicast group was lost");
    }
}

/* Events of the devices. The connection manager may hear of a removal later, or wait for us to hear of this. */
static void hear_devices(struct verbs *self, bool *down)
{
    struct verbs_device *devices[] = {&self->a, &self->b, &self->o};
    struct ibv_async_event event;
    for (size_t i = 0; i < 3; i++) {
        struct verbs_device *device = devices[i];
        if (device->context == NULL)
            continue;
        struct pollfd now = {.fd = device->context->async_fd, .events = POLLIN};
        while (poll(&now, 1, 0) > 0 && (now.revents & POLLIN) && self->library.get_async_event(device->context, &event) == 0) {
            enum ibv_event_type what = event.event_type;
            self->library.ack_async_event(&event);
            if (what == IBV_EVENT_DEVICE_FATAL)
                lose_device(self, device);
            else if (what == IBV_EVENT_PORT_ERR)
                *down = true;
            else if (what == IBV_EVENT_PORT_ACTIVE)
                *down = false;
        }
        if (now.revents & (POLLERR | POLLHUP | POLLNVAL))
            lose_device(self, device);
    }
}

/* What is wrong now, into `text`; a refusal by the gateway ends the feed. */
static void look_at_lines(struct verbs *self, bool down, char *text, size_t capacity)
{
    text[0] = '\0';
    if (down)
        snprintf(text, capacity, "the RDMA port is down; look at `ip link show %s`",
                 self->has_feed ? self->a.gid.netdev : self->orders.device->gid.netdev);
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

static void *keep(void *opaque)
{
    struct verbs *self = opaque;
    bool down = false;
    char problem[sizeof self->problem];
    while (!atomic_load(&self->closing)) {
        struct pollfd on[5 + VERBS_LINKS + FEED_LINES] = {{.fd = self->stop, .events = POLLIN}, {.fd = self->channel->fd, .events = POLLIN}};
        const struct verbs_device *devices[] = {&self->a, &self->b, &self->o};
        uint32_t count = 2;
        int fds[VERBS_LINKS];
        for (size_t i = 0; i < 3; i++)
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
        hear_devices(self, &down);
        look_at_lines(self, down, problem, sizeof problem);
        tell(self, problem);
        if (self->has_orders)
            verbs_orders_keep(&self->orders);
    }
    return NULL;
}

/* --- opening --- */

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static unsigned long read_number(const char *path)
{
    unsigned long number = 0;
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%lu", &number) != 1)
        number = 0;
    if (file != NULL)
        fclose(file);
    return number;
}

/* Hugepages of 2 MB that nobody has or has been promised. */
static unsigned long free_hugepages(void)
{
    unsigned long unused = read_number(HUGEPAGES "free_hugepages"), promised = read_number(HUGEPAGES "resv_hugepages");
    return unused > promised ? unused - promised : 0;
}

static bool take_memory(struct verbs *self, const struct engine_settings *settings, size_t bytes, struct failure *failure)
{
    if (!arena_open_near(&self->arena, bytes, settings->cpu))
        return failure_set(failure, ENOMEM, "RDMA memory: %zu MB cannot be had: %s; free memory", (bytes >> 20) + 1, strerror(errno));
    self->short_pages = !self->arena.hugepages;
    if (!settings->verbs.hugepages || self->arena.hugepages)
        return true;
    return failure_set(failure, EPERM,
                       "RDMA memory: %zu hugepages of 2 MB needed, %lu reserved ones are free and the kernel gave no transparent ones "
                       "instead; reserve more (roce_host_hugepages, vm.nr_hugepages), or set verbs.hugepages = false",
                       self->arena.capacity >> 21, free_hugepages());
}

static void describe(struct verbs *self)
{
    static const char *const pages[] = {"ordinary pages", "transparent hugepages", "reserved hugepages"};
    const struct verbs_device *devices[] = {&self->a, &self->b, &self->o};
    size_t used = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct verbs_gid *gid = &devices[i]->gid;
        if (devices[i]->context != NULL && used < sizeof self->text)
            used += (size_t)snprintf(self->text + used, sizeof self->text - used, "%s port %u, GID index %u (RoCE v%u), MTU %u; ",
                                     gid->device, gid->port, gid->index, gid->version, devices[i]->mtu);
    }
    if (used < sizeof self->text)
        snprintf(self->text + used, sizeof self->text - used, "%zu MB on %s", self->arena.capacity >> 20, pages[self->arena.pages]);
}

static bool open_device(struct verbs *self, struct verbs_device *device, const struct verbs_places *places, const char *key,
                        const char *interface, const struct engine_settings *settings, struct failure *failure)
{
    return verbs_device_open(device, &self->library, places->sysfs, self->channel, key, interface, &settings->verbs,
                             self->arena.base, self->arena.capacity, failure);
}

static bool open_feed(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places,
                      uint8_t *request_buffer, struct failure *failure)
{
    const struct feed_settings *feed = &settings->feed;
    bool other = feed->group_b[0] != '\0' && feed->interface_b[0] != '\0' && strcmp(feed->interface_b, feed->interface) != 0;
    self->has_feed = true;
    return open_device(self, &self->a, places, "feed.interface", feed->interface, settings, failure) &&
           (!other || open_device(self, &self->b, places, "feed.interface_b", feed->interface_b, settings, failure)) &&
           verbs_feed_open(&self->feed, feed, &self->a, other ? &self->b : &self->a, self->channel, self->arena.base, request_buffer,
                           failure);
}

static bool open_orders(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places, uint8_t *memory,
                        struct failure *failure)
{
    const char *interface = settings->orders.interface[0] != '\0' ? settings->orders.interface : settings->feed.interface;
    bool shared = self->has_feed && strcmp(interface, settings->feed.interface) == 0;
    if (!shared && !open_device(self, &self->o, places, "orders.interface", interface, settings, failure))
        return false;
    verbs_orders_init(&self->orders, shared ? &self->a : &self->o, memory);
    self->has_orders = true;
    return true;
}

static bool open_all(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places,
                     uint8_t *request_buffer, struct failure *failure)
{
    bool feed = settings->feed.transport == TRANSPORT_VERBS, orders = settings->orders.transport == TRANSPORT_VERBS;
    size_t lines = !feed ? 0 : settings->feed.group_b[0] != '\0' ? 2 : 1;
    if (!verbs_library_open(&self->library, places, failure))
        return false;
    if (!take_memory(self, settings, lines * VERBS_FEED_LINE_MEMORY + (orders ? VERBS_ORDERS_MEMORY : 0), failure))
        return false;
    self->channel = verbs_channel(&self->library, failure);
    if (self->channel == NULL)
        return false;
    if (feed && !open_feed(self, settings, places, request_buffer, failure))
        return false;
    if (orders && !open_orders(self, settings, places, self->arena.base + lines * VERBS_FEED_LINE_MEMORY, failure))
        return false;
    int error = pthread_create(&self->keeper, NULL, keep, self);
    self->keeping = error == 0;
    return self->keeping || failure_set(failure, error, "RDMA keeper thread: %s", strerror(error));
}

bool verbs_open(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places, uint8_t *request_buffer,
                struct failure *failure)
{
    atomic_store(&self->closing, false);
    self->text[0] = '\0';
    self->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->stop < 0)
        return failure_set(failure, errno, "eventfd: %s", strerror(errno));
    if (open_all(self, settings, places, request_buffer, failure)) {
        self->feed.clock = settings->timestamps == STAMPING_NONE ? STAMP_NONE : STAMP_APPLICATION;
        describe(self);
        return true;
    }
    verbs_close(self);
    return false;
}

bool verbs_connect(struct verbs *self, const struct orders_settings *settings, int wake, struct failure *failure)
{
    pthread_mutex_lock(&self->connecting);
    bool good = !atomic_load(&self->closing) && self->has_orders
                    ? verbs_orders_connect(&self->orders, settings, wake, self->stop, failure)
                    : failure_set(failure, ECANCELED, "orders %s:%u: the engine stops", settings->host, settings->port);
    pthread_mutex_unlock(&self->connecting);
    return good;
}

void verbs_close(struct verbs *self)
{
    uint64_t one = 1;
    if (self->stop < 0)
        return;
    atomic_store(&self->closing, true);
    ssize_t written = write(self->stop, &one, sizeof one);
    (void)written; /* an eventfd takes the first one */
    pthread_mutex_lock(&self->connecting);
    if (self->keeping)
        pthread_join(self->keeper, NULL);
    self->keeping = false;
    if (self->has_orders)
        verbs_orders_close(&self->orders);
    verbs_feed_close(&self->feed);
    self->has_feed = self->has_orders = false;
    verbs_device_close(&self->o);
    verbs_device_close(&self->b);
    verbs_device_close(&self->a);
    if (self->channel != NULL)
        self->library.destroy_event_channel(self->channel);
    self->channel = NULL;
    arena_close(&self->arena);
    verbs_library_close(&self->library);
    close(self->stop);
    self->stop = -1;
    pthread_mutex_unlock(&self->connecting);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "verbs_keeper.h"

void verbs_init(struct verbs *self)
{
    memset(self, 0, sizeof *self);
    verbs_feed_init(&self->feed, &self->library);
    self->stop = -1;
    pthread_mutex_init(&self->connecting, NULL);
    pthread_mutex_init(&self->telling, NULL);
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

/* The arena: orders, line A, line B. So what one device has of it is in one piece, whichever of them it has. */
static size_t orders_memory(const struct verbs *self)
{
    return self->has_orders ? VERBS_ORDERS_MEMORY : 0;
}

static size_t feed_memory(const struct verbs *self, const struct feed_settings *feed)
{
    return !self->has_feed ? 0 : (feed->group_b[0] != '\0' ? 2 : 1) * VERBS_FEED_LINE_MEMORY;
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

void verbs_devices(const struct verbs *self, char text[BLOCK_RDMA])
{
    const struct verbs_device *devices[] = {&self->a, &self->b, &self->o};
    _Static_assert(BLOCK_RDMA >= 3 * sizeof devices[0]->gid.device, "all three names fit");
    memset(text, 0, BLOCK_RDMA);
    for (size_t i = 0, used = 0; i < 3; i++) {
        bool known = devices[i]->context == NULL;
        for (size_t before = 0; before < i; before++) /* two interfaces may be two ports of one device */
            known = known || (devices[before]->context != NULL &&
                              strcmp(devices[before]->gid.device, devices[i]->gid.device) == 0);
        if (!known)
            used += (size_t)snprintf(text + used, BLOCK_RDMA - used, "%s%s", used > 0 ? " " : "", devices[i]->gid.device);
    }
}

/* `from` and `to` in the arena: the device's own part. The kernel adds up what devices have registered, so no byte is registered with
 * two of them. */
static bool open_device(struct verbs *self, struct verbs_device *device, const struct verbs_places *places, const char *key,
                        const char *interface, const struct engine_settings *settings, size_t from, size_t to, struct failure *failure)
{
    return verbs_device_open(device, &self->library, places->sysfs, self->channel, key, interface, &settings->verbs,
                             self->arena.base + from, to - from, failure);
}

/* The devices of what is chosen; the orders' may be line A's. */
static bool open_devices(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places,
                         struct failure *failure)
{
    const struct feed_settings *feed = &settings->feed;
    const char *orders = settings->orders.interface[0] != '\0' ? settings->orders.interface : feed->interface;
    self->b_is_a = feed->group_b[0] == '\0' || feed->interface_b[0] == '\0' || strcmp(feed->interface_b, feed->interface) == 0;
    self->o_is_a = self->has_feed && strcmp(orders, feed->interface) == 0;
    const size_t line_a = orders_memory(self), line_b = line_a + VERBS_FEED_LINE_MEMORY, end = line_a + feed_memory(self, feed);
    return (!self->has_feed || open_device(self, &self->a, places, "feed.interface", feed->interface, settings,
                                           self->o_is_a ? 0 : line_a, self->b_is_a ? end : line_b, failure)) &&
           (!self->has_feed || self->b_is_a ||
            open_device(self, &self->b, places, "feed.interface_b", feed->interface_b, settings, line_b, end, failure)) &&
           (!self->has_orders || self->o_is_a ||
            open_device(self, &self->o, places, "orders.interface", orders, settings, 0, line_a, failure));
}

/* --- stamps --- */

/* Whether the completions of all queues are stamped by one counter. */
static bool try_stamps(struct verbs *self, struct failure *failure)
{
    struct ticks_moment first;
    uint64_t mask, khz;
    const struct verbs_device *others[] = {self->b_is_a ? NULL : &self->b, self->o_is_a ? NULL : &self->o};
    for (size_t i = 0; i < 2; i++)
        if (others[i] != NULL && others[i]->context != self->a.context)
            return failure_set(failure, ENOTSUP, "%s and %s are two RDMA devices, each with a clock of its own", self->a.gid.device,
                               others[i]->gid.device);
    if (!verbs_queue_offers(&self->a, &mask, &khz, failure))
        return false;
    if (!verbs_queue_moment(self->a.context, &first))
        return failure_set(failure, ENOTSUP, "the clock of %s cannot be read", self->a.gid.device);
    ticks_begin(&self->clock, mask, khz, &first);
    self->clock.due_ns = clock_now() + TICKS_REFRESH_NS;
    snprintf(self->why, sizeof self->why,
             "completions on %s, clock of %llu kHz: from tick to acknowledgement, not to departure", self->a.gid.device,
             (unsigned long long)khz);
    return true;
}

/* The best stamps the settings allow; with one side over something else there are none. */
static bool choose_stamps(struct verbs *self, enum stamping_wish wish, struct failure *failure)
{
    struct failure why = {.text = "engine.timestamps is \"software\""};
    self->stamps = STAMP_NONE;
    if (wish == STAMPING_NONE || !self->has_feed || !self->has_orders)
        return true;
    self->stamped = wish != STAMPING_SOFTWARE && try_stamps(self, &why);
    if (!self->stamped && wish == STAMPING_HARDWARE)
        return failure_set(failure, why.code,
                           "engine.timestamps \"hardware\" over verbs: %s; use an RDMA device that stamps completions (ibv_devinfo -v: "
                           "completion_timestamp_mask), or \"auto\" or \"software\"",
                           why.text);
    self->stamps = self->stamped ? STAMP_COMPLETION : STAMP_APPLICATION;
    self->a.stamped = self->b.stamped = self->o.stamped = self->stamped;
    if (!self->stamped)
        snprintf(self->why, sizeof self->why, "over verbs the engine reads the clock itself, without the way through the card: %.280s",
                 why.text);
    return true;
}

bool verbs_stamped(const struct verbs *self)
{
    if (self->stamps != STAMP_COMPLETION)
        return true;
    if (self->orders.current < 0)
        return false;
    const struct verbs_link *link = &self->orders.links[self->orders.current].link;
    return self->feed.ticks[0] != 0 && link->ticks[link->completed % LINK_SENDS] != 0;
}

static bool open_all(struct verbs *self, const struct engine_settings *settings, const struct verbs_places *places,
                     uint8_t *request_buffer, struct failure *failure)
{
    const struct feed_settings *feed = &settings->feed;
    self->has_feed = feed->transport == TRANSPORT_VERBS;
    self->has_orders = settings->orders.transport == TRANSPORT_VERBS;
    if (!verbs_library_open(&self->library, places, failure))
        return false;
    if (!take_memory(self, settings, orders_memory(self) + feed_memory(self, feed), failure))
        return false;
    self->channel = verbs_channel(&self->library, failure);
    if (self->channel == NULL || !open_devices(self, settings, places, failure) ||
        !choose_stamps(self, settings->timestamps, failure))
        return false;
    verbs_orders_init(&self->orders, self->o_is_a ? &self->a : &self->o, self->arena.base, self->stamped ? &self->clock : NULL);
    self->feed.clock = (uint8_t)self->stamps;
    if (self->has_feed && !verbs_feed_open(&self->feed, feed, &self->a, self->b_is_a ? &self->a : &self->b, self->channel,
                                           self->arena.base + orders_memory(self), request_buffer, failure))
        return false;
    int error = pthread_create(&self->keeper, NULL, verbs_keeper, self);
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
    self->has_feed = self->has_orders = self->stamped = false;
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

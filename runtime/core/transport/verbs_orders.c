/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_orders.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "../clock.h"

#define WAIT_FREE_MS 10

void verbs_orders_init(struct verbs_orders *self, const struct verbs_device *device, uint8_t *memory, struct ticks_clock *clock)
{
    memset(self, 0, sizeof *self);
    self->device = device;
    self->memory = memory;
    self->clock = clock;
    if (clock != NULL)
        self->line = clock->line;
    self->current = -1;
    atomic_store(&self->next, -1);
}

/* --- making a connection --- */

/* What an attempt waits for, and who may end it. */
struct attempt {
    struct verbs_orders *self;
    const struct orders_settings *settings;
    struct rdma_event_channel *channel;
    int wake, stop;
    uint64_t deadline_ns;
    struct failure *failure;
};

__attribute__((format(printf, 3, 4))) static bool refuse(struct attempt *attempt, int code, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return failure_set(attempt->failure, code, "orders %s:%u: %s", attempt->settings->host, attempt->settings->port, text);
}

static bool refused(struct attempt *attempt, const char *step, const struct rdma_cm_event *event)
{
    const struct verbs_library *library = attempt->self->device->library;
    char said[128] = "";
    switch (event->event) {
    case RDMA_CM_EVENT_REJECTED:
        if (event->param.conn.private_data != NULL && event->param.conn.private_data_len > 0)
            snprintf(said, sizeof said, "%.*s", (int)event->param.conn.private_data_len, (const char *)event->param.conn.private_data);
        if (said[0] != '\0')
            return refuse(attempt, ECONNREFUSED, "the gateway refuses: %s", said);
        return refuse(attempt, ECONNREFUSED, "rejected (%d): is the exchange's RDMA gateway running?", event->status);
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        return refuse(attempt, ENODEV, "the RDMA device was removed; see `rdma link show`");
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
        return refuse(attempt, EHOSTUNREACH, "%s: %s (%s); is it in the network of orders.interface?", step,
                      library->event_str(event->event), strerror(event->status < 0 ? -event->status : event->status));
    default:
        return refuse(attempt, ETIMEDOUT, "%s: %s (%d); is the exchange's RDMA gateway reachable?", step,
                      library->event_str(event->event), event->status);
    }
}

/* The event that ends `step`. */
static bool await(struct attempt *attempt, const char *step, enum rdma_cm_event_type wanted, bool hello)
{
    const struct verbs_library *library = attempt->self->device->library;
    for (;;) {
        struct rdma_cm_event *event;
        if (library->get_cm_event(attempt->channel, &event) == 0) {
            bool good = event->event == wanted;
            if (!good) {
                refused(attempt, step, event);
            } else if (hello) {
                struct failure why;
                good = verbs_link_hello(attempt->self->device, event->param.conn.private_data, event->param.conn.private_data_len, &why);
                if (!good)
                    refuse(attempt, why.code, "%s", why.text);
            }
            library->ack_cm_event(event);
            return good;
        }
        if (errno != EAGAIN && errno != EINTR)
            return refuse(attempt, errno, "%s: %s", step, strerror(errno));
        uint64_t now = clock_now();
        if (now >= attempt->deadline_ns)
            return refuse(attempt, ETIMEDOUT,
                          "%s: no answer within %d ms; is the exchange's RDMA gateway reachable? Soft-RoCE whose link was down answers "
                          "again when it is made anew (rdma link delete, rdma link add)",
                          step, VERBS_CONNECT_MS);
        struct pollfd until[] = {
            {.fd = attempt->channel->fd, .events = POLLIN}, {.fd = attempt->wake, .events = POLLIN}, {.fd = attempt->stop, .events = POLLIN}};
        poll(until, 3, (int)((attempt->deadline_ns - now) / NS_PER_MS) + 1);
        if (until[1].revents != 0 || until[2].revents != 0)
            return refuse(attempt, ECANCELED, "%s: given up, the engine stops", step);
    }
}

static bool resolve(struct attempt *attempt, struct rdma_cm_id *id)
{
    const struct verbs_device *device = attempt->self->device;
    const struct verbs_library *library = device->library;
    struct sockaddr_in from = device->address, to = {.sin_family = AF_INET, .sin_port = htons(attempt->settings->port)};
    uint8_t tos = attempt->settings->tos, timeout = LINK_ACK_TIMEOUT;
    if (inet_pton(AF_INET, attempt->settings->host, &to.sin_addr) != 1)
        return failure_set(attempt->failure, EINVAL, "orders.host \"%s\" must be an IPv4 address", attempt->settings->host);
    if (library->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_TOS, &tos, sizeof tos) != 0 ||
        library->set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof timeout) != 0)
        return refuse(attempt, errno, "type of service and time-out: %s", strerror(errno));
    if (library->resolve_addr(id, (struct sockaddr *)&from, (struct sockaddr *)&to, VERBS_CONNECT_MS) != 0)
        return refuse(attempt, errno == ENODEV || errno == EADDRNOTAVAIL ? EHOSTUNREACH : errno, /* gone with its link; it may come back */
                      "address: %s; is orders.interface's still there? See `ip -br address` and `rdma link show`", strerror(errno));
    if (!await(attempt, "address", RDMA_CM_EVENT_ADDR_RESOLVED, false))
        return false;
    if (id->verbs != device->context)
        return refuse(attempt, ENODEV, "the way there is not by %s; correct orders.interface or the routes", device->gid.device);
    if (library->resolve_route(id, VERBS_CONNECT_MS) != 0)
        return refuse(attempt, errno, "route: %s", strerror(errno));
    return await(attempt, "route", RDMA_CM_EVENT_ROUTE_RESOLVED, false);
}

static bool make(struct attempt *attempt, struct verbs_link *link, uint8_t *memory)
{
    const struct verbs_device *device = attempt->self->device;
    const struct verbs_library *library = device->library;
    uint8_t hello[LINK_HELLO];
    struct rdma_conn_param parameters = verbs_link_parameters(device, hello);
    struct rdma_cm_id *id;
    if (library->create_id(attempt->channel, &id, NULL, RDMA_PS_TCP) != 0)
        return refuse(attempt, errno, "connection: %s", strerror(errno));
    link->id = id;
    link->library = library;
    if (!resolve(attempt, id) || !verbs_link_open(link, device, id, NULL, memory, attempt->failure))
        return false;
    if (library->connect(id, &parameters) != 0)
        return refuse(attempt, errno, "connect: %s", strerror(errno));
    return await(attempt, "connect", RDMA_CM_EVENT_ESTABLISHED, true) &&
           verbs_link_established(link, device, attempt->settings->tos, attempt->failure);
}

static void end_link(struct verbs_orders *self, int n)
{
    verbs_link_close(&self->links[n].link);
    if (self->links[n].channel != NULL)
        self->device->library->destroy_event_channel(self->links[n].channel);
    self->links[n].channel = NULL;
    atomic_store(&self->links[n].state, VERBS_FREE);
}

static bool one_is_ending(const struct verbs_orders *self)
{
    for (int n = 0; n < VERBS_LINKS; n++)
        if (atomic_load(&self->links[n].state) == VERBS_RETIRED)
            return true;
    return false;
}

/* A link nobody has, once the keeper has ended what was retired: until then its queue pair would go on sending what was not
 * acknowledged, which must not arrive after the next login has settled without it. */
static int claim(struct verbs_orders *self, int wake, int stop, uint64_t deadline_ns)
{
    for (;;) {
        for (int n = 0; n < VERBS_LINKS && !one_is_ending(self); n++) {
            int free = VERBS_FREE;
            if (atomic_compare_exchange_strong(&self->links[n].state, &free, VERBS_MAKING))
                return n;
        }
        struct pollfd until[] = {{.fd = wake, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
        if (poll(until, 2, WAIT_FREE_MS) > 0 || clock_now() >= deadline_ns)
            return -1;
    }
}

bool verbs_orders_connect(struct verbs_orders *self, const struct orders_settings *settings, int wake, int stop,
                          struct failure *failure)
{
    struct attempt attempt = {.self = self,
                              .settings = settings,
                              .wake = wake,
                              .stop = stop,
                              .deadline_ns = clock_now() + VERBS_CONNECT_MS * NS_PER_MS,
                              .failure = failure};
    if (atomic_load(&self->removed))
        return refuse(&attempt, ENODEV, "RDMA device %s was removed; see `rdma link show`", self->device->gid.device);
    int n = claim(self, wake, stop, attempt.deadline_ns);
    if (n < 0 && clock_now() < attempt.deadline_ns)
        return refuse(&attempt, ECANCELED, "given up, the engine stops");
    if (n < 0)
        return refuse(&attempt, ETIMEDOUT, "the connection before has not ended yet");
    memset(&self->links[n].link, 0, sizeof self->links[n].link);
    self->links[n].channel = attempt.channel = verbs_channel(self->device->library, failure);
    if (attempt.channel == NULL || !make(&attempt, &self->links[n].link, self->memory + (size_t)n * LINK_MEMORY)) {
        end_link(self, n);
        return false;
    }
    atomic_store(&self->links[n].state, VERBS_OFFERED);
    atomic_fetch_add(&self->made, 1);
    int never_taken = atomic_exchange(&self->next, n);
    if (never_taken >= 0) {
        atomic_fetch_sub(&self->made, 1);
        atomic_store(&self->links[never_taken].state, VERBS_RETIRED);
    }
    return true;
}

/* --- the keeper's --- */

uint32_t verbs_orders_fds(struct verbs_orders *self, int fds[])
{
    uint32_t count = 0;
    for (int n = 0; n < VERBS_LINKS; n++) {
        int state = atomic_load(&self->links[n].state);
        if (state == VERBS_OFFERED || state == VERBS_TAKEN)
            fds[count++] = self->links[n].channel->fd;
    }
    return count;
}

static void hear(struct verbs_orders *self, int n)
{
    const struct verbs_library *library = self->device->library;
    struct rdma_cm_event *event;
    while (library->get_cm_event(self->links[n].channel, &event) == 0) {
        int lost = event->event == RDMA_CM_EVENT_DEVICE_REMOVAL ? ENODEV
                   : event->event == RDMA_CM_EVENT_DISCONNECTED ? ECONNRESET
                                                                : 0;
        library->ack_cm_event(event);
        if (lost != 0)
            atomic_store(&self->links[n].link.lost, lost);
    }
}

void verbs_orders_keep(struct verbs_orders *self)
{
    for (int n = 0; n < VERBS_LINKS; n++) {
        int state = atomic_load(&self->links[n].state);
        if (state == VERBS_OFFERED || state == VERBS_TAKEN)
            hear(self, n);
        else if (state == VERBS_RETIRED)
            end_link(self, n);
    }
}

void verbs_orders_close(struct verbs_orders *self)
{
    for (int n = 0; n < VERBS_LINKS; n++)
        if (atomic_load(&self->links[n].state) != VERBS_FREE)
            end_link(self, n);
    self->current = -1;
    atomic_store(&self->next, -1);
}

/* --- the engine's --- */

static int send_order(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    struct verbs_orders *self = opaque;
    if (UNLIKELY(self->current < 0))
        return -ENOTCONN;
    int result = verbs_link_send(&self->links[self->current].link, bytes, length);
    if (UNLIKELY(result != 0))
        return result;
    self->sent_bytes += length;
    *last_byte = self->sent_bytes - 1;
    uint32_t at = ++self->posted % LINK_SENDS;
    self->sent[at].posted_ns = clock_wall();
    self->sent[at].last_byte = *last_byte;
    return 0;
}

static int receive_answers(void *opaque, uint8_t *bytes, uint32_t capacity)
{
    struct verbs_orders *self = opaque;
    return LIKELY(self->current >= 0) ? verbs_link_receive(&self->links[self->current].link, bytes, capacity) : -ENOTCONN;
}

static void collect_completed(struct verbs_orders *self, struct stamps *stamps)
{
    if (self->current < 0)
        return; /* the queue is no longer ours to read */
    struct verbs_link *link = &self->links[self->current].link;
    verbs_link_reap(link);
    ticks_take(self->clock, &self->line);
    while ((int32_t)(link->completed - self->collected) > 0) {
        uint32_t at = ++self->collected % LINK_SENDS;
        stamps_beside(stamps, self->sent[at].last_byte, self->sent[at].posted_ns);
        stamps_completed(stamps, self->sent[at].last_byte, link->ticks[at], &self->line);
    }
}

static void collect_stamps(void *opaque, struct stamps *stamps)
{
    struct verbs_orders *self = opaque;
    if (self->posted - self->collected > LINK_SENDS) /* their places have been used again: overtaken, and counted so */
        self->collected = self->posted - LINK_SENDS;
    if (self->clock != NULL) {
        collect_completed(self, stamps);
        return;
    }
    while (self->collected != self->posted) {
        uint32_t at = ++self->collected % LINK_SENDS;
        stamps_transmitted(stamps, self->sent[at].last_byte, self->sent[at].posted_ns, STAMP_APPLICATION);
    }
}

static void drop(void *opaque)
{
    struct verbs_orders *self = opaque;
    if (self->current >= 0)
        atomic_store(&self->links[self->current].state, VERBS_RETIRED);
    self->current = -1;
}

static bool take(void *opaque)
{
    struct verbs_orders *self = opaque;
    if (LIKELY(atomic_load_explicit(&self->next, memory_order_relaxed) < 0))
        return false;
    drop(self);
    self->current = atomic_exchange(&self->next, -1);
    atomic_store(&self->links[self->current].state, VERBS_TAKEN);
    self->sent_bytes = self->posted = self->collected = 0;
    return true;
}

static const char *why(void *opaque)
{
    struct verbs_orders *self = opaque;
    return self->current >= 0 ? self->links[self->current].link.why : "";
}

static uint32_t no_fds(void *opaque, int fds[])
{
    (void)opaque;
    (void)fds;
    return 0; /* queues are polled */
}

struct order_transport verbs_orders_interface(struct verbs_orders *self)
{
    return (struct order_transport){.self = self,
                                    .send = send_order,
                                    .receive = receive_answers,
                                    .collect_stamps = collect_stamps,
                                    .take = take,
                                    .drop = drop,
                                    .why = why,
                                    .fds = no_fds};
}

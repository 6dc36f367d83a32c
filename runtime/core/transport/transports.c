/* SPDX-License-Identifier: Apache-2.0 */
#include "transports.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CARD_PATIENCE 8u /* stamps of the kernel, of logins, heartbeats and orders, without the card's: it gives none */
#define POLLED_WAIT_MS 1

void transports_init(struct transports *self)
{
    memset(self, 0, sizeof *self);
    lines_init(&self->lines);
    xdp_init(&self->xdp);
    connection_init(&self->connection);
    twin_init(&self->twin);
    stamping_init(&self->stamping);
    verbs_init(&self->verbs);
    self->wake = -1;
}

/* --- kernel sockets, orders side: the connection and its twin --- */

static struct transports *of(void *opaque)
{
    return opaque;
}

static int send_order(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    return connection_send(&of(opaque)->connection, bytes, length, last_byte);
}

static int receive_answers(void *opaque, uint8_t *bytes, uint32_t capacity)
{
    return connection_receive(&of(opaque)->connection, bytes, capacity);
}

static void collect_stamps(void *opaque, struct stamps *stamps)
{
    connection_collect(&of(opaque)->connection, stamps);
}

static bool take_connection(void *opaque)
{
    return connection_take(&of(opaque)->connection);
}

static void drop_connection(void *opaque)
{
    connection_drop(&of(opaque)->connection);
}

static void abandon_connection(void *opaque)
{
    connection_abandon(&of(opaque)->connection);
}

static void warm(void *opaque, const uint8_t *bytes, uint32_t length)
{
    connection_warm(&of(opaque)->connection, bytes);
    twin_send(&of(opaque)->twin, bytes, length);
}

static uint32_t connection_fds(void *opaque, int fds[])
{
    fds[0] = of(opaque)->connection.fd;
    return 1;
}

static struct order_transport socket_orders(struct transports *self)
{
    return (struct order_transport){.self = self,
                                    .send = send_order,
                                    .receive = receive_answers,
                                    .collect_stamps = collect_stamps,
                                    .take = take_connection,
                                    .drop = drop_connection,
                                    .abandon = abandon_connection,
                                    .warm = warm,
                                    .fds = connection_fds};
}

/* --- the feed's side --- */

static bool open_feed(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                      struct failure *failure)
{
    switch (self->feed_kind) {
    case TRANSPORT_VERBS:
        return true; /* open_verbs */
    case TRANSPORT_XDP:
        if (!xdp_open(&self->xdp, &settings->feed, settings->cpu, self->stamping.clock == STAMP_HARDWARE, receive_buffer, failure) ||
            !stamping_confirm(&self->stamping, xdp_no_card(&self->xdp), failure))
            return false;
        self->chosen.feed = xdp_interface(&self->xdp);
        return true;
    default:
        if (!lines_open(&self->lines, &settings->feed, receive_buffer, failure))
            return false;
        self->chosen.feed = lines_interface(&self->lines);
        return true;
    }
}

/* The kernel's sockets of the feed: all of it, or what the XDP program leaves to them. */
static struct lines *sockets_of_feed(struct transports *self)
{
    return self->feed_kind == TRANSPORT_XDP ? &self->xdp.lines : &self->lines;
}

const char *transports_feed_text(const struct transports *self)
{
    return self->feed_kind == TRANSPORT_XDP ? self->xdp.text : "";
}

/* --- both sides --- */

static void wait_for_any(void *opaque, int timeout_ms)
{
    struct transports *self = opaque;
    int fds[1 + 2 * TRANSPORT_FDS] = {self->wake};
    struct pollfd on[1 + 2 * TRANSPORT_FDS];
    uint32_t count = 1;
    count += self->chosen.feed.fds(self->chosen.feed.self, fds + count);
    count += self->chosen.orders.fds(self->chosen.orders.self, fds + count);
    for (uint32_t i = 0; i < count; i++) /* those that are not there are negative, and passed over */
        on[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    if (self->feed_kind == TRANSPORT_VERBS || self->orders_kind == TRANSPORT_VERBS)
        timeout_ms = timeout_ms < POLLED_WAIT_MS ? timeout_ms : POLLED_WAIT_MS; /* what is only polled wakes nobody */
    poll(on, count, timeout_ms);
}

static bool switch_on_stamps(struct transports *self, enum stamping_wish wish, struct failure *failure)
{
    struct stamping *stamping = &self->stamping;
    if (stamping->clock == STAMP_NONE || stamping->clock == STAMP_APPLICATION) /* the latter: over verbs */
        return true;
    if (lines_stamp(sockets_of_feed(self), stamping->clock)) {
        stamping_wait(stamping);
        return true;
    }
    if (wish != STAMPING_AUTO)
        return failure_set(failure, errno, "engine.timestamps: the kernel does not stamp (SO_TIMESTAMPING): %s; use \"none\"",
                           strerror(errno));
    snprintf(stamping->why, sizeof stamping->why, "the kernel does not stamp (SO_TIMESTAMPING): %s", strerror(errno));
    stamping_give_back(stamping, stamping->why, sizeof stamping->why);
    stamping->clock = STAMP_NONE;
    return true;
}

/* Of the kernel a stamp over loopback is enough, as what keeps it from stamping keeps it from all. A card has to show its own, or,
 * where the kernel's will do instead, that it gives none; nothing will do in place of a device's completions. */
static bool stamped(void *opaque)
{
    struct transports *self = opaque;
    const struct lines *lines = sockets_of_feed(self);
    switch (self->stamping.clock) {
    case STAMP_NONE:
    case STAMP_APPLICATION:
        return true;
    case STAMP_COMPLETION:
        return verbs_stamped(&self->verbs);
    case STAMP_HARDWARE:
        return self->stamping.works && (lines->stamped || (self->stamping.or_kernel && lines->unstamped)) &&
               (self->connection.stamped || (self->stamping.or_kernel && self->connection.missing >= CARD_PATIENCE));
    default:
        return self->stamping.works || lines->stamped;
    }
}

static void choose_orders(struct transports *self, const struct engine_settings *settings)
{
    if (self->orders_kind == TRANSPORT_VERBS)
        return;
    if (settings->warm_send)
        twin_open(&self->twin, settings->orders.tos);
    self->chosen.orders = socket_orders(self);
}

static bool open_verbs(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                       struct failure *failure)
{
    bool feed = self->feed_kind == TRANSPORT_VERBS, orders = self->orders_kind == TRANSPORT_VERBS;
    if (!feed && !orders)
        return true;
    if (!verbs_open(&self->verbs, settings, &verbs_places, receive_buffer, failure))
        return false;
    if (feed)
        self->chosen.feed = verbs_feed_interface(&self->verbs.feed);
    if (orders)
        self->chosen.orders = verbs_orders_interface(&self->verbs.orders);
    if (self->stamping.clock == STAMP_APPLICATION) {
        self->stamping.clock = self->verbs.stamps;
        memcpy(self->stamping.why, self->verbs.why, sizeof self->stamping.why);
    }
    return true;
}

bool transports_open(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                     struct failure *failure)
{
    if (self->wake < 0)
        self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->feed_kind = settings->feed.transport;
    self->orders_kind = settings->orders.transport;
    self->chosen = (struct transport){.self = self, .wait = wait_for_any, .stamped = stamped};
    if (self->wake < 0)
        failure_set(failure, errno, "eventfd: %s", strerror(errno));
    else if (stamping_open(&self->stamping, settings, failure) && open_feed(self, settings, receive_buffer, failure) &&
             switch_on_stamps(self, settings->timestamps, failure) && open_verbs(self, settings, receive_buffer, failure)) {
        choose_orders(self, settings);
        return true;
    }
    stamping_give_back(&self->stamping, failure->text, sizeof failure->text);
    transports_close(self);
    return false;
}

void transports_problem(struct transports *self, char *text, size_t capacity)
{
    verbs_problem(&self->verbs, text, capacity);
    if (text[0] == '\0')
        xdp_problem(&self->xdp, text, capacity);
}

bool transports_connect(struct transports *self, const struct orders_settings *settings, struct failure *failure)
{
    return self->orders_kind == TRANSPORT_VERBS
               ? verbs_connect(&self->verbs, settings, self->wake, failure)
               : connection_open(&self->connection, settings, &self->stamping, self->wake, failure);
}

uint32_t transports_connections(const struct transports *self)
{
    return atomic_load(self->orders_kind == TRANSPORT_VERBS ? &self->verbs.orders.made : &self->connection.made);
}

void transports_close(struct transports *self)
{
    lines_close(&self->lines);
    xdp_close(&self->xdp);
    connection_close(&self->connection);
    twin_close(&self->twin);
    stamping_close(&self->stamping);
    verbs_close(&self->verbs);
}

void transports_release(struct transports *self)
{
    transports_close(self);
    if (self->wake >= 0)
        close(self->wake);
    self->wake = -1;
}

void transports_wake(struct transports *self)
{
    uint64_t one = 1;
    if (self->wake >= 0 && write(self->wake, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

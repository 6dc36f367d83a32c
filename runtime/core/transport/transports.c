/* SPDX-License-Identifier: Apache-2.0 */
#include "transports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "options.h"

#define STAMPING_ATTEMPTS 50
#define STAMPING_WAIT_MS 2
#define POLLED_WAIT_MS 1

/* The kernel switches receive stamping on a moment after it is asked to, and packets until then carry none. So wait, off the hot
 * path, until a datagram of our own has come back with a stamp; give up where loopback is down. */
static void wait_for_stamping(void)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof self;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    bool ready = bind(fd, (struct sockaddr *)&self, sizeof self) == 0 && getsockname(fd, (struct sockaddr *)&self, &size) == 0 &&
                 connect(fd, (struct sockaddr *)&self, sizeof self) == 0 &&
                 set_stamping(fd, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
    bool stamped = false;
    for (unsigned attempt = 0; ready && !stamped && attempt < STAMPING_ATTEMPTS; attempt++) {
        uint8_t byte = 0;
        _Alignas(struct cmsghdr) uint8_t control[256];
        struct iovec io = {&byte, 1};
        struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct pollfd until = {.fd = fd, .events = POLLIN};
        ready = send(fd, &byte, 1, 0) == 1 && poll(&until, 1, STAMPING_WAIT_MS) >= 0;
        if (ready && recvmsg(fd, &message, MSG_DONTWAIT) > 0)
            stamped = CMSG_FIRSTHDR(&message) != NULL;
        if (!stamped)
            poll(NULL, 0, STAMPING_WAIT_MS);
    }
    close(fd);
}

void transports_init(struct transports *self)
{
    memset(self, 0, sizeof *self);
    lines_init(&self->lines);
    connection_init(&self->connection);
    twin_init(&self->twin);
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
                                    .warm = warm,
                                    .fds = connection_fds};
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

static bool open_sockets(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                         struct failure *failure)
{
    if (settings->feed.transport == TRANSPORT_SOCKET) {
        if (!lines_open(&self->lines, &settings->feed, receive_buffer, failure))
            return false;
        if (self->lines.stamped)
            wait_for_stamping();
        self->chosen.feed = lines_interface(&self->lines);
    }
    if (settings->orders.transport == TRANSPORT_SOCKET) {
        if (settings->warm_send)
            twin_open(&self->twin, settings->orders.tos);
        self->chosen.orders = socket_orders(self);
    }
    return true;
}

static bool open_verbs(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                       struct failure *failure)
{
    bool feed = settings->feed.transport == TRANSPORT_VERBS, orders = settings->orders.transport == TRANSPORT_VERBS;
    if (!feed && !orders)
        return true;
    if (!verbs_open(&self->verbs, settings, &verbs_places, receive_buffer, failure))
        return false;
    if (feed)
        self->chosen.feed = verbs_feed_interface(&self->verbs.feed);
    if (orders)
        self->chosen.orders = verbs_orders_interface(&self->verbs.orders);
    return true;
}

bool transports_open(struct transports *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                     struct failure *failure)
{
    if (self->wake < 0)
        self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->feed_kind = settings->feed.transport;
    self->orders_kind = settings->orders.transport;
    self->chosen = (struct transport){.self = self, .wait = wait_for_any};
    if (self->wake < 0)
        failure_set(failure, errno, "eventfd: %s", strerror(errno));
    else if (open_sockets(self, settings, receive_buffer, failure) && open_verbs(self, settings, receive_buffer, failure))
        return true;
    transports_close(self);
    return false;
}

void transports_problem(struct transports *self, char *text, size_t capacity)
{
    verbs_problem(&self->verbs, text, capacity);
}

bool transports_connect(struct transports *self, const struct orders_settings *settings, struct failure *failure)
{
    return self->orders_kind == TRANSPORT_VERBS ? verbs_connect(&self->verbs, settings, self->wake, failure)
                                                : connection_open(&self->connection, settings, self->wake, failure);
}

uint32_t transports_connections(const struct transports *self)
{
    return atomic_load(self->orders_kind == TRANSPORT_VERBS ? &self->verbs.orders.made : &self->connection.made);
}

enum block_source transports_stamps(const struct transports *self)
{
    return self->lines.stamped || self->feed_kind == TRANSPORT_VERBS ? BLOCK_SOFTWARE : BLOCK_UNSTAMPED;
}

void transports_close(struct transports *self)
{
    lines_close(&self->lines);
    connection_close(&self->connection);
    twin_close(&self->twin);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "options.h"

#define STAMPING_ATTEMPTS 50
#define STAMPING_WAIT_MS 2

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

void socket_transport_init(struct socket_transport *self)
{
    memset(self, 0, sizeof *self);
    lines_init(&self->feed);
    connection_init(&self->orders);
    twin_init(&self->twin);
    self->wake = -1;
}

bool socket_transport_open(struct socket_transport *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                           struct failure *failure)
{
    if (self->wake < 0)
        self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->wake < 0) {
        failure_set(failure, errno, "eventfd: %s", strerror(errno));
    } else if (lines_open(&self->feed, &settings->feed, receive_buffer, failure)) {
        if (self->feed.stamped)
            wait_for_stamping();
        if (settings->warm_send)
            twin_open(&self->twin, settings->orders.tos);
        return true;
    }
    socket_transport_close(self);
    return false;
}

bool socket_transport_connect(struct socket_transport *self, const struct orders_settings *settings, struct failure *failure)
{
    return connection_open(&self->orders, settings, self->wake, failure);
}

void socket_transport_close(struct socket_transport *self)
{
    lines_close(&self->feed);
    connection_close(&self->orders);
    twin_close(&self->twin);
}

void socket_transport_release(struct socket_transport *self)
{
    socket_transport_close(self);
    if (self->wake >= 0)
        close(self->wake);
    self->wake = -1;
}

void socket_transport_wake(struct socket_transport *self)
{
    uint64_t one = 1;
    if (self->wake >= 0 && write(self->wake, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

/* --- running --- */

static struct socket_transport *of(void *opaque)
{
    return opaque;
}

static int receive(void *opaque, struct transport_packet *packet)
{
    return lines_receive(&of(opaque)->feed, packet);
}

static int request(void *opaque, const uint8_t *bytes, uint32_t length)
{
    return lines_request(&of(opaque)->feed, bytes, length);
}

static int send_order(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    return connection_send(&of(opaque)->orders, bytes, length, last_byte);
}

static int receive_orders(void *opaque, uint8_t *bytes, uint32_t capacity)
{
    return connection_receive(&of(opaque)->orders, bytes, capacity);
}

static void collect_stamps(void *opaque, struct stamps *stamps)
{
    connection_collect(&of(opaque)->orders, stamps);
}

static bool take_connection(void *opaque)
{
    return connection_take(&of(opaque)->orders);
}

static void drop_connection(void *opaque)
{
    connection_drop(&of(opaque)->orders);
}

static void warm(void *opaque, const uint8_t *bytes, uint32_t length)
{
    connection_warm(&of(opaque)->orders, bytes);
    twin_send(&of(opaque)->twin, bytes, length);
}

static void wait_for_any(void *opaque, int timeout_ms)
{
    const struct socket_transport *self = opaque;
    struct pollfd on[LINES + 2] = {{.fd = self->orders.fd, .events = POLLIN}, {.fd = self->wake, .events = POLLIN}};
    for (unsigned i = 0; i < LINES; i++) /* those that are not there are negative, and passed over */
        on[2 + i] = (struct pollfd){.fd = self->feed.fds[i], .events = POLLIN};
    poll(on, LINES + 2, timeout_ms);
}

struct transport socket_transport_interface(struct socket_transport *self)
{
    return (struct transport){.self = self,
                              .receive = receive,
                              .send = send_order,
                              .receive_orders = receive_orders,
                              .collect_stamps = collect_stamps,
                              .request = self->feed.fds[TRANSPORT_LINE_REQUESTED] >= 0 ? request : NULL,
                              .take_connection = take_connection,
                              .drop_connection = drop_connection,
                              .warm = warm,
                              .wait = wait_for_any};
}

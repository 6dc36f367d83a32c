/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "options.h"

#define STAMPING_ATTEMPTS 50
#define STAMPING_WAIT_MS 2

/* --- opening --- */

static bool connect_within(int fd, const struct addrinfo *address, int timeout_ms)
{
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    struct pollfd until = {.fd = fd, .events = POLLOUT};
    int ready;
    do
        ready = poll(&until, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready <= 0)
        return false;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

static bool open_orders(struct socket_transport *self, const struct orders_settings *orders, struct failure *failure)
{
    const char *step = "socket";
    char service[8];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    snprintf(service, sizeof service, "%u", orders->port);
    int unresolved = getaddrinfo(orders->host, service, &hints, &found);
    if (unresolved != 0)
        return failure_set(failure, EHOSTUNREACH, "orders.host \"%s\": %s", orders->host, gai_strerror(unresolved));
    self->orders = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->orders < 0)
        goto failed;
    step = "no delay and type of service";
    if (!set_int(self->orders, IPPROTO_TCP, TCP_NODELAY, 1) || !set_int(self->orders, IPPROTO_IP, IP_TOS, orders->tos))
        goto failed;
    step = "connect (is the exchange running?)";
    if (!connect_within(self->orders, found, SOCKET_CONNECT_TIMEOUT_MS))
        goto failed;
    freeaddrinfo(found);
    return true;
failed:
    failure_set(failure, errno, "orders %s:%u: %s: %s", orders->host, orders->port, step, strerror(errno));
    freeaddrinfo(found);
    return false;
}

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
    self->orders = self->wake = -1;
}

bool socket_transport_open(struct socket_transport *self, const struct engine_settings *settings, uint8_t *receive_buffer,
                           struct failure *failure)
{
    socket_transport_close(self);
    self->sent_bytes = self->pending = 0;
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->wake < 0) {
        failure_set(failure, errno, "eventfd: %s", strerror(errno));
    } else if (lines_open(&self->feed, &settings->feed, receive_buffer, failure) &&
               open_orders(self, &settings->orders, failure)) {
        /* OPT_ID counts from here, so before the first byte. Without stamps the engine trades all the same and says so. */
        self->stamped = self->feed.stamped &&
                        set_stamping(self->orders, SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                                                       SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY);
        if (self->stamped)
            wait_for_stamping();
        return true;
    }
    socket_transport_close(self);
    return false;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void socket_transport_close(struct socket_transport *self)
{
    lines_close(&self->feed);
    close_one(&self->orders);
    close_one(&self->wake);
}

void socket_transport_wake(struct socket_transport *self)
{
    uint64_t one = 1;
    if (self->wake >= 0 && write(self->wake, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

/* --- running --- */

static int receive(void *opaque, struct transport_packet *packet)
{
    return lines_receive(&((struct socket_transport *)opaque)->feed, packet);
}

static int request(void *opaque, const uint8_t *bytes, uint32_t length)
{
    return lines_request(&((struct socket_transport *)opaque)->feed, bytes, length);
}

static int flush_pending(struct socket_transport *self)
{
    if (self->pending == 0)
        return 0;
    ssize_t sent = send(self->orders, self->pending_bytes, self->pending, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
    if (sent < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    self->pending -= (uint32_t)sent;
    memmove(self->pending_bytes, self->pending_bytes + sent, self->pending);
    return self->pending == 0 ? 0 : -EAGAIN;
}

static int send_whole(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    struct socket_transport *self = opaque;
    if (UNLIKELY(self->pending > 0)) {
        int flushed = flush_pending(self);
        if (flushed != 0)
            return flushed;
    }
    /* End of record: in a burst TCP would put several waiting orders into one segment, which has one stamp. */
    ssize_t sent = send(self->orders, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
    if (UNLIKELY(sent < 0))
        return errno == EINTR ? -EAGAIN : -errno;
    if (UNLIKELY((uint32_t)sent < length)) { /* half an order must be followed by its other half */
        self->pending = length - (uint32_t)sent;
        memcpy(self->pending_bytes, bytes + sent, self->pending);
    }
    self->sent_bytes += length;
    *last_byte = self->sent_bytes - 1;
    return 0;
}

static int receive_orders(void *opaque, uint8_t *bytes, uint32_t capacity)
{
    struct socket_transport *self = opaque;
    if (UNLIKELY(self->pending > 0))
        flush_pending(self); /* an error shows in the receive below */
    ssize_t got = recv(self->orders, bytes, capacity, MSG_DONTWAIT);
    if (got > 0)
        return (int)got;
    if (got == 0)
        return -ECONNRESET;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void collect_stamps(void *opaque, struct stamps *stamps)
{
    struct socket_transport *self = opaque;
    if (!self->stamped)
        return;
    for (;;) {
        _Alignas(struct cmsghdr) uint8_t control[256];
        struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(self->orders, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        uint64_t transmit_ns = 0;
        struct sock_extended_err what = {0};
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
                transmit_ns = software_stamp(c);
            else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR)
                memcpy(&what, CMSG_DATA(c), sizeof what);
        }
        if (what.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && what.ee_info == SCM_TSTAMP_SND)
            stamps_transmitted(stamps, what.ee_data, transmit_ns);
    }
}

static void wait_for_any(void *opaque, int timeout_ms)
{
    struct socket_transport *self = opaque;
    struct pollfd on[LINES + 2] = {{.fd = self->orders, .events = POLLIN}, {.fd = self->wake, .events = POLLIN}};
    for (unsigned i = 0; i < LINES; i++) /* those that are not there are negative, and passed over */
        on[2 + i] = (struct pollfd){.fd = self->feed.fds[i], .events = POLLIN};
    poll(on, sizeof on / sizeof on[0], timeout_ms);
}

struct transport socket_transport_interface(struct socket_transport *self)
{
    bool requests = self->feed.fds[TRANSPORT_LINE_REQUESTED] >= 0;
    return (struct transport){self, receive, send_whole, receive_orders, collect_stamps, requests ? request : NULL, wait_for_any};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"

void connection_init(struct connection *self)
{
    self->fd = -1;
    atomic_store(&self->next, -1);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void connection_drop(struct connection *self)
{
    close_fd(self->fd);
    self->fd = -1;
}

/* After a plain close the kernel goes on sending what was not acknowledged, for minutes. When a link comes back, an order could so
 * arrive after the next login has settled that it never did, and trade without being in the books here. With a linger time of 0 the
 * close throws it away, and the other end is told by a reset. Not after a logout: that, and the cancels before it, have to arrive. */
void connection_abandon(struct connection *self)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (self->fd >= 0)
        setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset); /* cannot fail on a socket */
    connection_drop(self);
}

void connection_close(struct connection *self)
{
    connection_drop(self);
    close_fd(atomic_exchange(&self->next, -1));
}

/* --- opening --- */

static bool connect_within(int fd, const struct addrinfo *address, int wake, int timeout_ms)
{
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    struct pollfd until[] = {{.fd = fd, .events = POLLOUT}, {.fd = wake, .events = POLLIN}};
    int ready;
    do
        ready = poll(until, 2, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready > 0 && until[1].revents != 0) {
        errno = ECANCELED;
        return false;
    }
    if (ready <= 0)
        return false;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

/* Have what is sent stamped. OPT_ID counts from here, so before the first byte. A connection whose address is on another card than
 * the one that was switched on has the kernel's stamps only. */
static enum stamp_clock stamp_sends(int fd, const struct stamping *stamping)
{
    enum stamp_clock clock = stamping->clock;
    if (clock == STAMP_HARDWARE && !stamping_transmits(stamping, fd))
        clock = STAMP_SOFTWARE;
    return clock != STAMP_NONE && set_stamping(fd, send_stamping(clock == STAMP_HARDWARE)) ? clock : STAMP_NONE;
}

bool connection_open(struct connection *self, const struct orders_settings *settings, const struct stamping *stamping, int wake,
                     struct failure *failure)
{
    const char *step = "socket";
    char service[8];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    snprintf(service, sizeof service, "%u", settings->port);
    int unresolved = getaddrinfo(settings->host, service, &hints, &found);
    if (unresolved != 0)
        return failure_set(failure, EHOSTUNREACH, "orders.host \"%s\": %s", settings->host, gai_strerror(unresolved));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto failed;
    step = "no delay and type of service";
    if (!set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) || !set_int(fd, IPPROTO_IP, IP_TOS, settings->tos))
        goto failed;
    step = "connect (is the exchange running?)";
    if (!connect_within(fd, found, wake, CONNECTION_TIMEOUT_MS))
        goto failed;
    freeaddrinfo(found);
    atomic_store(&self->next_clock, stamp_sends(fd, stamping)); /* without stamps the engine trades all the same and counts it */
    atomic_fetch_add(&self->made, 1);
    int never_taken = atomic_exchange(&self->next, fd);
    if (never_taken >= 0)
        atomic_fetch_sub(&self->made, 1);
    close_fd(never_taken);
    return true;
failed:
    failure_set(failure, errno, "orders %s:%u: %s: %s", settings->host, settings->port, step, strerror(errno));
    close_fd(fd);
    freeaddrinfo(found);
    return false;
}

bool connection_take(struct connection *self)
{
    if (LIKELY(atomic_load_explicit(&self->next, memory_order_relaxed) < 0))
        return false;
    connection_abandon(self);
    self->fd = atomic_exchange(&self->next, -1);
    self->clock = atomic_load(&self->next_clock);
    self->sent_bytes = self->pending = 0;
    self->stamped = false;
    self->missing = 0;
    return true;
}

/* --- running --- */

static int flush_pending(struct connection *self)
{
    if (self->pending == 0)
        return 0;
    ssize_t sent = send(self->fd, self->pending_bytes, self->pending, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
    if (sent < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    self->pending -= (uint32_t)sent;
    memmove(self->pending_bytes, self->pending_bytes + sent, self->pending);
    return self->pending == 0 ? 0 : -EAGAIN;
}

int connection_send(struct connection *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    if (UNLIKELY(self->pending > 0)) {
        int flushed = flush_pending(self);
        if (flushed != 0)
            return flushed;
    }
    /* End of record: in a burst TCP would put several waiting orders into one segment, which has one stamp. */
    ssize_t sent = send(self->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
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

int connection_receive(struct connection *self, uint8_t *bytes, uint32_t capacity)
{
    if (UNLIKELY(self->pending > 0))
        flush_pending(self); /* an error shows in the receive below */
    ssize_t got = recv(self->fd, bytes, capacity, MSG_DONTWAIT);
    if (got > 0)
        return (int)got;
    if (got == 0)
        return -ECONNRESET;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Each message has one stamp: of the two that a card's order gets, the kernel's comes first. */
static void pass_on(struct connection *self, struct stamps *stamps, uint32_t last_byte, struct packet_stamps at)
{
    if (at.hardware_ns != 0)
        stamps_transmitted(stamps, last_byte, at.hardware_ns, STAMP_HARDWARE);
    else if (self->clock == STAMP_HARDWARE)
        stamps_beside(stamps, last_byte, at.software_ns);
    else
        stamps_transmitted(stamps, last_byte, at.software_ns, at.software_ns != 0 ? STAMP_SOFTWARE : STAMP_NONE);
    self->stamped |= self->clock == STAMP_HARDWARE ? at.hardware_ns != 0 : at.software_ns != 0;
    self->missing = at.hardware_ns != 0 ? 0 : self->missing + 1;
}

void connection_collect(struct connection *self, struct stamps *stamps)
{
    if (self->fd < 0 || self->clock == STAMP_NONE)
        return;
    bool stamped;
    uint32_t last_byte;
    struct packet_stamps at;
    while (take_send_stamp(self->fd, &stamped, &last_byte, &at))
        if (stamped)
            pass_on(self, stamps, last_byte, at);
}

void connection_warm(struct connection *self, const uint8_t *bytes)
{
    /* Through the system call, the socket's lock and the beginning of TCP's send, and out again without a segment. */
    if (self->fd >= 0 && send(self->fd, bytes, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return; /* a broken connection shows in the next receive */
}

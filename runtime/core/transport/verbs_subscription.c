/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_subscription.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"
#include "../wire.h"

void subscription_encode(uint8_t request[SUBSCRIPTION_REQUEST], const struct subscription_wish *wish)
{
    memset(request, 0, SUBSCRIPTION_REQUEST);
    put32(request, SUBSCRIPTION_MAGIC);
    memcpy(request + 4, &wish->group, 4);
    put16(request + 8, wish->port);
    memcpy(request + 10, wish->gid, 16);
    put32(request + 26, wish->queue_pair);
    put32(request + 30, wish->key);
    put32(request + 34, wish->mtu);
}

bool subscription_decode(const uint8_t request[SUBSCRIPTION_REQUEST], struct subscription_wish *wish)
{
    if (get32(request) != SUBSCRIPTION_MAGIC)
        return false;
    memcpy(&wish->group, request + 4, 4);
    wish->port = get16(request + 8);
    memcpy(wish->gid, request + 10, 16);
    wish->queue_pair = get32(request + 26);
    wish->key = get32(request + 30);
    wish->mtu = get32(request + 34);
    return true;
}

void subscription_keepalive(int fd)
{
    int one = 1, idle_s = 2, every_s = 1, times = 3;
    unsigned unacknowledged_ms = 5000; /* while something is, nobody asks */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

void subscription_init(struct subscription *self, const struct sockaddr_in *gateway, const struct subscription_wish *wish)
{
    memset(self, 0, sizeof *self);
    self->fd = -1;
    self->gateway = *gateway;
    subscription_encode(self->request, wish);
}

void subscription_close(struct subscription *self)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    self->state = SUBSCRIPTION_IDLE;
}

static void fail(struct subscription *self, uint64_t now_ns, const char *step, const char *how)
{
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &self->gateway.sin_addr, address, sizeof address);
    subscription_close(self);
    self->due_ns = now_ns + SUBSCRIPTION_RETRY_MS * NS_PER_MS;
    snprintf(self->problem, sizeof self->problem, "feed.gateway %s:%u: %s: %s", address, ntohs(self->gateway.sin_port), step, how);
}

static void connect_now(struct subscription *self, uint64_t now_ns)
{
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        fail(self, now_ns, "socket", strerror(errno));
        return;
    }
    subscription_keepalive(self->fd);
    self->state = SUBSCRIPTION_CONNECTING;
    self->due_ns = now_ns + SUBSCRIPTION_ANSWER_MS * NS_PER_MS;
    if (connect(self->fd, (struct sockaddr *)&self->gateway, sizeof self->gateway) != 0 && errno != EINPROGRESS)
        fail(self, now_ns, "connect (is the gateway running?)", strerror(errno));
}

static void ask(struct subscription *self, uint64_t now_ns)
{
    struct pollfd now = {.fd = self->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&now, 1, 0) <= 0)
        return;
    getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        fail(self, now_ns, "connect (is the gateway running?)", strerror(error));
        return;
    }
    if (send(self->fd, self->request, sizeof self->request, MSG_NOSIGNAL) != (ssize_t)sizeof self->request) {
        fail(self, now_ns, "request", strerror(errno));
        return;
    }
    self->state = SUBSCRIPTION_ASKED;
    self->got = 0;
}

static void listen_to(struct subscription *self, uint64_t now_ns)
{
    bool there = self->state == SUBSCRIPTION_THERE;
    uint8_t nothing;
    ssize_t got = there ? recv(self->fd, &nothing, 1, 0)
                        : recv(self->fd, self->answer + self->got, sizeof self->answer - self->got, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        fail(self, now_ns, there ? "subscribed" : "answer", got == 0 ? "the gateway closed the connection" : strerror(errno));
        return;
    }
    if (there)
        return;
    self->got += (uint32_t)got;
    if (self->got < sizeof self->answer)
        return;
    self->answer[sizeof self->answer - 1] = '\0';
    self->problem[0] = '\0';
    self->state = SUBSCRIPTION_THERE;
    if (get32(self->answer) != 0) {
        fail(self, now_ns, "refused", (const char *)self->answer + 4);
        self->state = SUBSCRIPTION_REFUSED;
    }
}

void subscription_step(struct subscription *self, uint64_t now_ns)
{
    if (self->state == SUBSCRIPTION_IDLE && now_ns >= self->due_ns)
        connect_now(self, now_ns);
    if (self->state == SUBSCRIPTION_CONNECTING)
        ask(self, now_ns);
    if (self->state == SUBSCRIPTION_ASKED || self->state == SUBSCRIPTION_THERE)
        listen_to(self, now_ns);
    if ((self->state == SUBSCRIPTION_CONNECTING || self->state == SUBSCRIPTION_ASKED) && now_ns >= self->due_ns)
        fail(self, now_ns, "no answer", "time is up");
}

short subscription_events(const struct subscription *self)
{
    return self->state == SUBSCRIPTION_CONNECTING ? POLLOUT : POLLIN;
}

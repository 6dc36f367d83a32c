/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "../clock.h"
#include "gateway.h"

#define BACKLOG 16
#define MESSAGES_PER_STEP (LINK_RECEIVES + 1) /* all that can have come, for what is left wakes nobody */
#define REASON_BYTES 140 /* what the private data of a rejection holds, less the connection manager's own */

bool gateway_orders_open(struct gateway *self, struct failure *failure)
{
    const struct verbs_library *library = &self->library;
    struct sockaddr_in at = self->device.address;
    uint8_t tos = self->settings.tos;
    at.sin_port = htons(self->settings.port);
    if (library->create_id(self->channel, &self->orders, NULL, RDMA_PS_TCP) == 0 &&
        library->set_option(self->orders, RDMA_OPTION_ID, RDMA_OPTION_ID_TOS, &tos, sizeof tos) == 0 &&
        library->bind_addr(self->orders, (struct sockaddr *)&at) == 0 && library->listen(self->orders, BACKLOG) == 0)
        return true;
    return failure_set(failure, errno, "rdma.port %u on %s: listen for order connections: %s", self->settings.port,
                       self->settings.interface, strerror(errno));
}

static void end_bridge(struct gateway *self, struct gateway_bridge *bridge)
{
    if (!bridge->open)
        return;
    verbs_link_close(&bridge->link);
    if (bridge->fd >= 0)
        close(bridge->fd);
    bridge->fd = -1;
    bridge->open = false;
    atomic_fetch_sub(&self->counts.bridges, 1);
}

void gateway_orders_close(struct gateway *self)
{
    for (int i = 0; i < GATEWAY_BRIDGES; i++)
        end_bridge(self, &self->bridges[i]);
    if (self->orders != NULL)
        self->library.destroy_id(self->orders);
    self->orders = NULL;
}

/* --- a connection comes --- */

/* On this host it is connected at once, or refused. One that takes no more (its backlog is full) must not hold up the feed. */
static bool connect_briefly(int fd, const struct sockaddr_in *to)
{
    struct pollfd until = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    if (poll(&until, 1, GATEWAY_SERVER_MS) <= 0)
        error = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

static bool connect_server(struct gateway *self, int *fd, struct failure *failure)
{
    const struct gateway_settings *settings = &self->settings;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(settings->orders_port)};
    int one = 1;
    inet_pton(AF_INET, settings->orders_host, &to.sin_addr);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 || !connect_briefly(*fd, &to))
        return failure_set(failure, errno, "the order server %s:%u does not answer: %s", settings->orders_host, settings->orders_port,
                           strerror(errno));
    return true;
}

static bool make(struct gateway *self, struct gateway_bridge *bridge, struct rdma_cm_id *id, const uint8_t *hello, uint32_t length,
                 struct failure *failure)
{
    uint8_t ours[LINK_HELLO];
    struct rdma_conn_param parameters = verbs_link_parameters(&self->device, ours);
    uint8_t *memory = self->memory + (size_t)GATEWAY_SENDS * GATEWAY_SLOT + (size_t)(bridge - self->bridges) * LINK_MEMORY;
    if (!verbs_link_hello(&self->device, hello, length, failure))
        return false;
    if (id->verbs != self->device.context)
        return failure_set(failure, ENODEV, "came on another device than rdma.interface's");
    if (!connect_server(self, &bridge->fd, failure) ||
        !verbs_link_open(&bridge->link, &self->device, id, self->arrivals, memory, failure))
        return false;
    ibv_req_notify_cq(bridge->link.receives, 0);
    if (self->library.accept(id, &parameters) == 0)
        return true;
    return failure_set(failure, errno, "accept: %s", strerror(errno));
}

static void on_request(struct gateway *self, struct rdma_cm_id *id, const uint8_t *hello, uint32_t length)
{
    struct gateway_bridge *bridge = NULL;
    struct failure failure = {0};
    for (int i = 0; i < GATEWAY_BRIDGES && bridge == NULL; i++)
        if (!self->bridges[i].open)
            bridge = &self->bridges[i];
    if (bridge == NULL)
        failure_set(&failure, EBUSY, "%d order connections are open, no more are possible", GATEWAY_BRIDGES);
    else
        memset(bridge, 0, sizeof *bridge);
    if (bridge != NULL)
        bridge->fd = -1;
    if (bridge != NULL && make(self, bridge, id, hello, length, &failure)) {
        bridge->open = true;
        atomic_fetch_add(&self->counts.bridges, 1);
        return;
    }
    gateway_tell(self, "%s", failure.text);
    atomic_fetch_add(&self->counts.refused, 1);
    failure.text[REASON_BYTES - 1] = '\0';
    self->library.reject(id, failure.text, (uint8_t)strlen(failure.text));
    if (bridge != NULL && bridge->fd >= 0)
        close(bridge->fd);
    if (bridge != NULL && bridge->link.id == id)
        verbs_link_close(&bridge->link);
    else
        self->library.destroy_id(id);
}

void gateway_orders_event(struct gateway *self, struct rdma_cm_event *event)
{
    enum rdma_cm_event_type what = event->event;
    struct rdma_cm_id *id = event->id;
    uint8_t hello[LINK_HELLO];
    uint32_t length = event->param.conn.private_data_len < LINK_HELLO ? event->param.conn.private_data_len : LINK_HELLO;
    if (what == RDMA_CM_EVENT_CONNECT_REQUEST && event->param.conn.private_data != NULL)
        memcpy(hello, event->param.conn.private_data, length);
    else
        length = 0;
    self->library.ack_cm_event(event); /* an id is destroyed only when all its events are acknowledged */
    if (what == RDMA_CM_EVENT_CONNECT_REQUEST) {
        on_request(self, id, hello, length);
        return;
    }
    for (int i = 0; i < GATEWAY_BRIDGES; i++) {
        struct gateway_bridge *bridge = &self->bridges[i];
        struct failure failure;
        if (!bridge->open || bridge->link.id != id)
            continue;
        if (what == RDMA_CM_EVENT_ESTABLISHED) {
            bridge->established = true;
            atomic_fetch_add(&self->counts.connections, 1);
            /* the traffic class of this end is what the request came with, the client's orders.tos, and no setting of ours */
            if (!verbs_link_established(&bridge->link, &self->device, self->settings.tos, &failure)) {
                gateway_tell(self, "%s", failure.text);
                end_bridge(self, bridge);
            }
        } else if (what == RDMA_CM_EVENT_DISCONNECTED) {
            atomic_store(&bridge->link.lost, ECONNRESET);
        } else if (what == RDMA_CM_EVENT_CONNECT_ERROR || what == RDMA_CM_EVENT_UNREACHABLE || what == RDMA_CM_EVENT_REJECTED) {
            end_bridge(self, bridge);
        }
    }
}

/* --- bytes, both ways --- */

/* False: the connection is over. */
static bool to_server(struct gateway_bridge *bridge)
{
    for (uint32_t i = 0; i < MESSAGES_PER_STEP; i++) {
        if (bridge->held == 0) {
            int got = verbs_link_receive(&bridge->link, bridge->bytes, sizeof bridge->bytes);
            if (got <= 0)
                return got == 0;
            bridge->held = (uint32_t)got;
        }
        ssize_t sent = send(bridge->fd, bridge->bytes, bridge->held, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR; /* the server reads slowly: no receive is posted again meanwhile */
        bridge->held -= (uint32_t)sent;
        memmove(bridge->bytes, bridge->bytes + sent, bridge->held);
    }
    return true;
}

static bool from_server(struct gateway_bridge *bridge, uint64_t now)
{
    uint8_t bytes[LINK_MESSAGE];
    for (uint32_t i = 0; i < MESSAGES_PER_STEP && verbs_link_room(&bridge->link) > 0; i++) {
        ssize_t got = recv(bridge->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0) {
            bridge->closing_ns = now + GATEWAY_CLOSE_MS * NS_PER_MS;
            return true;
        }
        if (verbs_link_send(&bridge->link, bytes, (uint32_t)got) != 0) /* there was room: the link is broken */
            return false;
    }
    return true;
}

void gateway_orders_step(struct gateway *self)
{
    uint64_t now = clock_now();
    for (int i = 0; i < GATEWAY_BRIDGES; i++) {
        struct gateway_bridge *bridge = &self->bridges[i];
        if (!bridge->open || !bridge->established)
            continue;
        bool good = bridge->closing_ns == 0 ? to_server(bridge) && from_server(bridge, now) : now < bridge->closing_ns;
        if (!good)
            end_bridge(self, bridge);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "../clock.h"
#include "gateway.h"

static void destroy_way(struct gateway *self, struct gateway_subscriber *subscriber)
{
    self->library.destroy_ah(subscriber->ah);
    subscriber->ah = NULL;
}

/* A device may look up the way of a datagram when it sends it: Soft-RoCE does, and a way that is gone by then is an error that ends the
 * queue pair, for all subscribers. So the way stays until what was posted before is completed. */
static void forget(struct gateway *self, struct gateway_subscriber *subscriber)
{
    close(subscriber->fd);
    subscriber->fd = -1;
    if (subscriber->ah == NULL)
        return;
    atomic_fetch_sub(&self->counts.subscribers, 1);
    subscriber->left = self->posted;
    subscriber->due_ns = clock_now() + GATEWAY_LEAVE_MS * NS_PER_MS;
}

/* Only one datagram in GATEWAY_SIGNAL is told of when it is gone: behind the last such one, time tells. */
static void let_go(struct gateway *self, struct gateway_subscriber *subscriber)
{
    if ((int32_t)(self->completed - subscriber->left) >= 0 || clock_now() >= subscriber->due_ns)
        destroy_way(self, subscriber);
}

void gateway_subscribers_close(struct gateway *self)
{
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++) {
        if (self->subscribers[i].fd >= 0)
            forget(self, &self->subscribers[i]);
        if (self->subscribers[i].ah != NULL)
            destroy_way(self, &self->subscribers[i]);
    }
}

/* --- one comes --- */

void gateway_subscribers_accept(struct gateway *self)
{
    int fd;
    while ((fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct gateway_subscriber *free = NULL;
        for (int i = 0; i < GATEWAY_SUBSCRIBERS && free == NULL; i++)
            if (self->subscribers[i].fd < 0 && self->subscribers[i].ah == NULL)
                free = &self->subscribers[i];
        if (free == NULL) {
            gateway_tell(self, "%d subscribers are there, no more are possible", GATEWAY_SUBSCRIBERS);
            atomic_fetch_add(&self->counts.refused, 1);
            close(fd);
            continue;
        }
        subscription_keepalive(fd);
        *free = (struct gateway_subscriber){.fd = fd, .due_ns = clock_now() + GATEWAY_REQUEST_MS * NS_PER_MS};
    }
}

static bool is_line(const struct subscription_wish *wish, const char *group, uint16_t port)
{
    struct in_addr address;
    return inet_pton(AF_INET, group, &address) == 1 && address.s_addr == wish->group.s_addr && port == wish->port;
}

/* What the subscriber wants, if it can be had. */
static bool admit(const struct gateway *self, struct gateway_subscriber *subscriber, struct failure *failure)
{
    const struct feed_settings *feed = &self->settings.feed;
    const struct verbs_device *device = &self->device;
    struct subscription_wish wish;
    char shown[INET_ADDRSTRLEN];
    if (!subscription_decode(subscriber->request, &wish))
        return failure_set(failure, EPROTO, "not a subscription of this version of Tickwire");
    inet_ntop(AF_INET, &wish.group, shown, sizeof shown);
    bool a = is_line(&wish, feed->group, feed->port), b = is_line(&wish, feed->group_b, feed->port_b);
    if (!a && !b)
        return failure_set(failure, ENOENT, "there is no line %s:%u here; correct feed.group and feed.port", shown, wish.port);
    if (wish.mtu != device->mtu)
        return failure_set(failure, EMSGSIZE, "MTU mismatch: RDMA MTU %u at the gateway, %u there; one MTU for both (fabric.mtu.host)",
                           device->mtu, wish.mtu);
    subscriber->line = a ? 0 : 1;
    memcpy(subscriber->gid, wish.gid, sizeof wish.gid);
    subscriber->queue_pair = wish.queue_pair;
    subscriber->key = wish.key;
    return true;
}

/* The way to it, or NULL. The gateway's own address may have been away since it was used last, and be at another index of the table. */
static struct ibv_ah *find_way(struct gateway *self, const struct gateway_subscriber *subscriber, struct failure *failure)
{
    struct verbs_device *device = &self->device;
    struct verbs_gid now;
    if (!verbs_gid_is_at(device->sysfs, &device->gid, device->gid.index)) {
        if (!verbs_find_gid(device->sysfs, "rdma.interface", device->address.sin_addr, &self->settings.verbs, &now, failure))
            return NULL;
        if (strcmp(now.device, device->gid.device) != 0 || now.port != device->gid.port) {
            failure_set(failure, ENODEV, "rdma.interface %s is at %s port %u now, no longer at %s port %u: start again",
                        self->settings.interface, now.device, now.port, device->gid.device, device->gid.port);
            return NULL;
        }
        device->gid = now;
    }
    struct ibv_ah_attr attributes = {
        .is_global = 1,
        .grh = {.sgid_index = device->gid.index, .hop_limit = 64, .traffic_class = self->settings.tos},
        .sl = gateway_service_level(&self->settings),
        .port_num = device->gid.port};
    memcpy(attributes.grh.dgid.raw, subscriber->gid, sizeof subscriber->gid);
    struct ibv_ah *way = self->library.create_ah(device->pd, &attributes);
    if (way == NULL)
        failure_set(failure, errno, "no way to the subscriber's GID from %s: %s", device->gid.device, strerror(errno));
    return way;
}

/* Whoever asks again has lost the connection it asked by, and no goodbye may ever come over that. */
static void forget_earlier(struct gateway *self, const struct gateway_subscriber *subscriber)
{
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++) {
        struct gateway_subscriber *other = &self->subscribers[i];
        if (other != subscriber && other->fd >= 0 && other->ah != NULL && other->line == subscriber->line &&
            other->queue_pair == subscriber->queue_pair && memcmp(other->gid, subscriber->gid, sizeof other->gid) == 0)
            forget(self, other);
    }
}

/* A wish that cannot be had is refused, and the engine does not ask again. A way that is not there may be there in a moment: without an
 * answer the engine asks again. */
static void answer(struct gateway *self, struct gateway_subscriber *subscriber)
{
    uint8_t answer[SUBSCRIPTION_ANSWER] = {0};
    struct failure failure = {0};
    bool good = admit(self, subscriber, &failure);
    subscriber->ah = good ? find_way(self, subscriber, &failure) : NULL;
    if (subscriber->ah == NULL) {
        gateway_tell(self, "%s", failure.text);
        atomic_fetch_add(&self->counts.refused, 1);
        put32(answer, (uint32_t)failure.code);
        snprintf((char *)answer + 4, sizeof answer - 4, "%.250s", failure.text);
        if (!good)
            send(subscriber->fd, answer, sizeof answer, MSG_NOSIGNAL);
        forget(self, subscriber);
        return;
    }
    atomic_fetch_add(&self->counts.subscribers, 1);
    atomic_fetch_add(&self->counts.subscriptions, 1);
    forget_earlier(self, subscriber);
    if (send(subscriber->fd, answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer)
        forget(self, subscriber);
}

static void look_at_subscriber(struct gateway *self, struct gateway_subscriber *subscriber)
{
    uint8_t nothing;
    bool asked = subscriber->ah != NULL;
    ssize_t got = asked ? recv(subscriber->fd, &nothing, 1, 0)
                        : recv(subscriber->fd, subscriber->request + subscriber->got, SUBSCRIPTION_REQUEST - subscriber->got, 0);
    bool nothing_yet = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (nothing_yet && (asked || clock_now() < subscriber->due_ns))
        return;
    if (got <= 0 || asked) {
        forget(self, subscriber);
        return;
    }
    subscriber->got += (uint32_t)got;
    if (subscriber->got == SUBSCRIPTION_REQUEST)
        answer(self, subscriber);
}

void gateway_subscribers_step(struct gateway *self)
{
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++) {
        if (self->subscribers[i].fd >= 0)
            look_at_subscriber(self, &self->subscribers[i]);
        if (self->subscribers[i].fd < 0 && self->subscribers[i].ah != NULL)
            let_go(self, &self->subscribers[i]);
    }
}

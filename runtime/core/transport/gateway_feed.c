/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "../clock.h"
#include "gateway.h"

#define PACKETS_PER_STEP 256
#define REAP 32
#define MULTICAST_QUEUE_PAIR 0xFFFFFFu

/* --- opening --- */

static bool join(struct gateway *self, uint32_t line, const char *group, struct failure *failure)
{
    const struct verbs_library *library = &self->library;
    struct sockaddr_in to = {.sin_family = AF_INET};
    uint64_t deadline = clock_now() + 5000 * NS_PER_MS;
    inet_pton(AF_INET, group, &to.sin_addr); /* lines_open has found it good */
    if (library->join_multicast(self->out, (struct sockaddr *)&to, NULL) != 0)
        return failure_set(failure, errno, "feed %s: join over RDMA: %s; is it a multicast group? else rdma.multicast = false", group,
                           strerror(errno));
    for (;;) {
        struct rdma_cm_event *event;
        struct pollfd until = {.fd = self->channel->fd, .events = POLLIN};
        if (library->get_cm_event(self->channel, &event) == 0) {
            bool good = event->event == RDMA_CM_EVENT_MULTICAST_JOIN;
            struct ibv_ah_attr attributes = event->param.ud.ah_attr;
            int status = event->status;
            library->ack_cm_event(event);
            attributes.grh.traffic_class = self->settings.tos;
            self->groups[line] = good ? library->create_ah(self->device.pd, &attributes) : NULL;
            return self->groups[line] != NULL || failure_set(failure, EHOSTUNREACH, "feed %s: join over RDMA: status %d", group, status);
        }
        if (clock_now() >= deadline)
            return failure_set(failure, ETIMEDOUT, "feed %s: join over RDMA: no answer within 5 s", group);
        poll(&until, 1, 100);
    }
}

bool gateway_feed_open(struct gateway *self, struct failure *failure)
{
    const struct verbs_library *library = &self->library;
    const struct verbs_device *device = &self->device;
    struct sockaddr_in any_port = device->address;
    if (library->create_id(self->channel, &self->out, NULL, RDMA_PS_UDP) != 0 ||
        library->bind_addr(self->out, (struct sockaddr *)&any_port) != 0)
        return failure_set(failure, errno, "%s: queue pair for the feed: %s", device->gid.device, strerror(errno));
    self->sends = library->create_cq(device->context, GATEWAY_SENDS + 1, NULL, NULL, 0);
    struct ibv_qp_init_attr wanted = {.send_cq = self->sends,
                                      .recv_cq = self->sends,
                                      .cap = {.max_send_wr = GATEWAY_SENDS, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
                                      .qp_type = IBV_QPT_UD};
    if (self->sends == NULL || library->create_qp(self->out, device->pd, &wanted) != 0)
        return failure_set(failure, errno, "%s: queue pair for the feed: %s", device->gid.device, strerror(errno));
    self->max_inline = wanted.cap.max_inline_data;
    const struct feed_settings *feed = &self->settings.feed;
    return !self->settings.multicast ||
           (join(self, 0, feed->group, failure) && (feed->group_b[0] == '\0' || join(self, 1, feed->group_b, failure)));
}

static void forget(struct gateway *self, struct gateway_subscriber *subscriber)
{
    if (subscriber->ah != NULL) {
        self->library.destroy_ah(subscriber->ah);
        atomic_fetch_sub(&self->counts.subscribers, 1);
    }
    close(subscriber->fd);
    subscriber->ah = NULL;
    subscriber->fd = -1;
}

void gateway_feed_close(struct gateway *self)
{
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++)
        if (self->subscribers[i].fd >= 0)
            forget(self, &self->subscribers[i]);
    for (int i = 0; i < 2; i++)
        if (self->groups[i] != NULL)
            self->library.destroy_ah(self->groups[i]);
    if (self->out != NULL && self->out->qp != NULL)
        self->library.destroy_qp(self->out);
    if (self->sends != NULL)
        self->library.destroy_cq(self->sends);
    if (self->out != NULL)
        self->library.destroy_id(self->out);
    self->groups[0] = self->groups[1] = NULL;
    self->out = NULL;
    self->sends = NULL;
}

/* --- subscribers --- */

void gateway_feed_accept(struct gateway *self)
{
    int fd;
    while ((fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct gateway_subscriber *free = NULL;
        for (int i = 0; i < GATEWAY_SUBSCRIBERS && free == NULL; i++)
            if (self->subscribers[i].fd < 0)
                free = &self->subscribers[i];
        if (free == NULL) {
            close(fd);
            continue;
        }
        *free = (struct gateway_subscriber){.fd = fd};
    }
}

static bool is_line(const struct subscription_wish *wish, const char *group, uint16_t port)
{
    struct in_addr address;
    return inet_pton(AF_INET, group, &address) == 1 && address.s_addr == wish->group.s_addr && port == wish->port;
}

static bool admit(struct gateway *self, struct gateway_subscriber *subscriber, struct failure *failure)
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
    struct ibv_ah_attr attributes = {
        .is_global = 1,
        .grh = {.sgid_index = device->gid.index, .hop_limit = 64, .traffic_class = self->settings.tos},
        .sl = (uint8_t)(self->settings.priority >= 0 ? self->settings.priority : self->settings.tos >> 5),
        .port_num = device->gid.port};
    memcpy(attributes.grh.dgid.raw, wish.gid, sizeof wish.gid);
    subscriber->ah = self->library.create_ah(device->pd, &attributes);
    if (subscriber->ah == NULL)
        return failure_set(failure, errno, "no way to the subscriber's GID from %s: %s", device->gid.device, strerror(errno));
    subscriber->line = a ? 0 : 1;
    subscriber->queue_pair = wish.queue_pair;
    subscriber->key = wish.key;
    return true;
}

static void answer(struct gateway *self, struct gateway_subscriber *subscriber)
{
    uint8_t answer[SUBSCRIPTION_ANSWER] = {0};
    struct failure failure = {0};
    bool good = admit(self, subscriber, &failure);
    if (good) {
        atomic_fetch_add(&self->counts.subscribers, 1);
        atomic_fetch_add(&self->counts.subscriptions, 1);
    } else {
        put32(answer, (uint32_t)failure.code);
        snprintf((char *)answer + 4, sizeof answer - 4, "%.250s", failure.text);
        gateway_tell(self, "%s", failure.text);
        atomic_fetch_add(&self->counts.refused, 1);
    }
    if (send(subscriber->fd, answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer || !good)
        forget(self, subscriber);
}

static void look_at_subscriber(struct gateway *self, struct gateway_subscriber *subscriber)
{
    uint8_t nothing;
    bool asked = subscriber->ah != NULL;
    ssize_t got = asked ? recv(subscriber->fd, &nothing, 1, 0)
                        : recv(subscriber->fd, subscriber->request + subscriber->got, SUBSCRIPTION_REQUEST - subscriber->got, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || asked) {
        forget(self, subscriber);
        return;
    }
    subscriber->got += (uint32_t)got;
    if (subscriber->got == SUBSCRIPTION_REQUEST)
        answer(self, subscriber);
}

/* --- datagrams --- */

static void reap(struct gateway *self)
{
    struct ibv_wc done[REAP];
    int count;
    do {
        count = ibv_poll_cq(self->sends, REAP, done);
        for (int i = 0; i < count; i++) {
            self->completed = (uint32_t)done[i].wr_id;
            self->failed = self->failed != 0 ? self->failed : done[i].status;
        }
    } while (count == REAP);
}

static bool make_room(struct gateway *self)
{
    uint64_t deadline = 0;
    for (;;) {
        if (self->posted - self->completed < GATEWAY_SENDS)
            return true;
        reap(self);
        if (self->posted - self->completed < GATEWAY_SENDS)
            return true;
        uint64_t now = clock_now();
        deadline = deadline != 0 ? deadline : now + GATEWAY_FULL_MS * NS_PER_MS;
        if (now >= deadline)
            return false;
        sched_yield();
    }
}

static void send_to(struct gateway *self, struct ibv_ah *ah, uint32_t queue_pair, uint32_t key, const struct transport_packet *packet)
{
    if (!make_room(self)) {
        atomic_fetch_add(&self->counts.dropped, 1);
        return;
    }
    struct ibv_sge part = {(uintptr_t)packet->bytes, packet->length, self->device.mr->lkey};
    struct ibv_send_wr request = {.wr_id = self->posted + 1,
                                  .sg_list = &part,
                                  .num_sge = 1,
                                  .opcode = IBV_WR_SEND,
                                  .wr.ud = {.ah = ah, .remote_qpn = queue_pair, .remote_qkey = key}},
                       *bad;
    if (packet->length <= self->max_inline) {
        request.send_flags = IBV_SEND_INLINE;
    } else {
        uint8_t *slot = self->memory + (size_t)(self->posted % GATEWAY_SENDS) * GATEWAY_SLOT;
        memcpy(slot, packet->bytes, packet->length);
        part.addr = (uintptr_t)slot;
    }
    if (request.wr_id % GATEWAY_SIGNAL == 0)
        request.send_flags |= IBV_SEND_SIGNALED;
    if (ibv_post_send(self->out->qp, &request, &bad) != 0) {
        atomic_fetch_add(&self->counts.dropped, 1);
        return;
    }
    self->posted++;
    atomic_fetch_add(&self->counts.datagrams, 1);
}

static void send_packet(struct gateway *self, const struct transport_packet *packet)
{
    if (packet->length > self->device.mtu || packet->length > GATEWAY_SLOT) {
        if (atomic_fetch_add(&self->counts.oversize, 1) == 0)
            gateway_tell(self,
                         "a packet of %u bytes is longer than the RDMA MTU %u of %s: lost; raise the MTU of %s or lower "
                         "feed.messages_per_packet",
                         packet->length, self->device.mtu, self->device.gid.device, self->device.gid.netdev);
        return;
    }
    if (self->groups[packet->line] != NULL)
        send_to(self, self->groups[packet->line], MULTICAST_QUEUE_PAIR, RDMA_UDP_QKEY, packet);
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++) {
        const struct gateway_subscriber *subscriber = &self->subscribers[i];
        if (subscriber->fd >= 0 && subscriber->ah != NULL && subscriber->line == packet->line)
            send_to(self, subscriber->ah, subscriber->queue_pair, subscriber->key, packet);
    }
}

void gateway_feed_step(struct gateway *self)
{
    struct transport_packet packet;
    for (int i = 0; i < GATEWAY_SUBSCRIBERS; i++)
        if (self->subscribers[i].fd >= 0)
            look_at_subscriber(self, &self->subscribers[i]);
    for (uint32_t i = 0, quiet = 0; i < PACKETS_PER_STEP && quiet < 2; i++) { /* twice: both lines have had a turn */
        if (lines_receive(&self->lines, &packet) == TRANSPORT_PACKET) {
            send_packet(self, &packet);
            quiet = 0;
        } else {
            quiet++;
        }
    }
    reap(self);
}

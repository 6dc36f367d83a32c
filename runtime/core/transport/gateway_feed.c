/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>

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
    self->joined[line] = to;
    for (;;) {
        struct rdma_cm_event *event;
        struct pollfd until = {.fd = self->channel->fd, .events = POLLIN};
        if (library->get_cm_event(self->channel, &event) == 0) {
            bool good = event->event == RDMA_CM_EVENT_MULTICAST_JOIN;
            struct ibv_ah_attr attributes = event->param.ud.ah_attr;
            int status = event->status;
            library->ack_cm_event(event);
            attributes.grh.traffic_class = self->settings.tos;
            attributes.sl = gateway_service_level(&self->settings);
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

void gateway_feed_close(struct gateway *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->groups[i] != NULL)
            self->library.destroy_ah(self->groups[i]);
        if (self->joined[i].sin_family != 0) /* the kernel keeps a queue pair that is in a group */
            self->library.leave_multicast(self->out, (struct sockaddr *)&self->joined[i]);
        self->joined[i].sin_family = 0;
    }
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
    for (;;) {
        if (self->posted - self->completed < GATEWAY_SENDS)
            return true;
        reap(self);
        if (self->posted - self->completed < GATEWAY_SENDS)
            return true;
        uint64_t now = clock_now();
        self->patience_ns = self->patience_ns != 0 ? self->patience_ns : now + GATEWAY_FULL_MS * NS_PER_MS;
        if (now >= self->patience_ns)
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
    if (packet->length > self->device.mtu || packet->length > FEED_DATAGRAM) {
        if (atomic_fetch_add(&self->counts.oversize, 1) == 0)
            gateway_tell(self,
                         "a packet of %u bytes is lost: the RDMA MTU of %s is %u, and subscribers take %u; lower "
                         "feed.messages_per_packet, or raise the MTU of %s",
                         packet->length, self->device.gid.device, self->device.mtu, FEED_DATAGRAM, self->device.gid.netdev);
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
    self->patience_ns = 0;
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

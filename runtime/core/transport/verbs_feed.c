/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_feed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "../clock.h"
#include "lines.h"

static const char *const suffixes[FEED_LINES] = {"", "_b"};

/* --- opening --- */

static int post(struct verbs_feed_line *line, uint32_t first, uint32_t count)
{
    struct ibv_recv_wr requests[FEED_REFILL], *bad;
    struct ibv_sge parts[FEED_REFILL];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = (first + i) % FEED_SLOTS;
        parts[i] = (struct ibv_sge){(uintptr_t)(line->memory + (size_t)slot * FEED_STRIDE), FEED_STRIDE, line->key};
        requests[i] = (struct ibv_recv_wr){
            .wr_id = slot, .next = i + 1 < count ? &requests[i + 1] : NULL, .sg_list = &parts[i], .num_sge = 1};
    }
    return ibv_post_recv(line->id->qp, requests, &bad);
}

static bool make_queue_pair(struct verbs_feed *feed, struct verbs_feed_line *line, const struct verbs_device *device,
                            struct rdma_event_channel *channel, const char *suffix, struct failure *failure)
{
    const struct verbs_library *library = feed->library;
    struct sockaddr_in any_port = device->address;
    struct rdma_cm_id *id;
    if (library->create_id(channel, &id, line, RDMA_PS_UDP) != 0)
        return failure_set(failure, errno, "feed%s: RDMA connection manager: %s", suffix, strerror(errno));
    line->id = id;
    if (library->bind_addr(id, (struct sockaddr *)&any_port) != 0 || id->verbs != device->context)
        return failure_set(failure, ENODEV, "feed.interface%s: %s cannot be bound", suffix, device->gid.device);
    verbs_queue_open(&line->queue, device, FEED_SLOTS + 1);
    struct ibv_qp_init_attr wanted = {.send_cq = line->queue.cq,
                                      .recv_cq = line->queue.cq,
                                      .cap = {.max_send_wr = 1, .max_recv_wr = FEED_SLOTS, .max_send_sge = 1, .max_recv_sge = 1},
                                      .qp_type = IBV_QPT_UD};
    if (line->queue.cq == NULL || library->create_qp(id, device->pd, &wanted) != 0)
        return failure_set(failure, errno,
                           "feed%s: %s gives no queue pair with %u receives: %s; is RLIMIT_MEMLOCK high enough "
                           "(roce_host_limits.memlock)?",
                           suffix, device->gid.device, FEED_SLOTS, strerror(errno));
    line->key = device->mr->lkey;
    for (uint32_t slot = 0; slot < FEED_SLOTS; slot += FEED_REFILL) {
        int error = post(line, slot, FEED_REFILL);
        if (error != 0)
            return failure_set(failure, error, "feed%s: receives on %s: %s", suffix, device->gid.device, strerror(error));
    }
    return true;
}

static bool join(struct verbs_feed *feed, struct verbs_feed_line *line, struct rdma_event_channel *channel, const char *group,
                 struct in_addr address, struct failure *failure)
{
    const struct verbs_library *library = feed->library;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = address};
    uint64_t deadline = clock_now() + FEED_JOIN_MS * NS_PER_MS;
    if (library->join_multicast(line->id, (struct sockaddr *)&to, NULL) != 0)
        return failure_set(failure, errno, "feed %s: join over RDMA: %s", group, strerror(errno));
    line->joined = to;
    for (;;) {
        struct rdma_cm_event *event;
        struct pollfd until = {.fd = channel->fd, .events = POLLIN};
        if (library->get_cm_event(channel, &event) == 0) {
            enum rdma_cm_event_type what = event->event;
            int status = event->status;
            library->ack_cm_event(event);
            if (what == RDMA_CM_EVENT_MULTICAST_JOIN)
                return true;
            return failure_set(failure, EHOSTUNREACH, "feed %s: join over RDMA: %s (%d)", group, library->event_str(what), status);
        }
        if (clock_now() >= deadline)
            return failure_set(failure, ETIMEDOUT, "feed %s: join over RDMA: no answer within %d ms", group, FEED_JOIN_MS);
        poll(&until, 1, 100);
    }
}

static bool open_line(struct verbs_feed *feed, uint32_t n, const struct feed_settings *settings, const struct verbs_device *device,
                      struct rdma_event_channel *channel, uint8_t *memory, struct failure *failure)
{
    struct verbs_feed_line *line = &feed->lines[n];
    const char *group = n == 0 ? settings->group : settings->group_b;
    struct subscription_wish wish = {.port = n == 0 ? settings->port : settings->port_b, .key = RDMA_UDP_QKEY, .mtu = device->mtu};
    if (inet_pton(AF_INET, group, &wish.group) != 1)
        return failure_set(failure, EINVAL, "feed.group%s \"%s\" must be an IPv4 address", suffixes[n], group);
    line->memory = memory;
    if (!make_queue_pair(feed, line, device, channel, suffixes[n], failure))
        return false;
    if (settings->gateway[0] == '\0') {
        if ((ntohl(wish.group.s_addr) & 0xF0000000u) != 0xE0000000u)
            return failure_set(failure, EINVAL,
                               "feed.group%s %s is no multicast group: over verbs set feed.gateway, the exchange's RDMA gateway to "
                               "subscribe with",
                               suffixes[n], group);
        return join(feed, line, channel, group, wish.group, failure);
    }
    struct sockaddr_in gateway = {.sin_family = AF_INET, .sin_port = htons(settings->gateway_port)};
    if (inet_pton(AF_INET, settings->gateway, &gateway.sin_addr) != 1)
        return failure_set(failure, EINVAL, "feed.gateway \"%s\" must be an IPv4 address", settings->gateway);
    memcpy(wish.gid, device->gid.bytes, sizeof wish.gid);
    wish.queue_pair = line->id->qp->qp_num;
    subscription_init(&line->subscription, &gateway, &wish);
    line->subscribed = true;
    return true;
}

void verbs_feed_init(struct verbs_feed *feed, const struct verbs_library *library)
{
    memset(feed, 0, sizeof *feed);
    feed->library = library;
    feed->request_fd = -1;
}

bool verbs_feed_open(struct verbs_feed *feed, const struct feed_settings *settings, const struct verbs_device *a,
                     const struct verbs_device *b, struct rdma_event_channel *channel, uint8_t *memory, uint8_t *request_buffer,
                     struct failure *failure)
{
    feed->request_buffer = request_buffer;
    feed->open = settings->group_b[0] != '\0' ? 2 : 1;
    return open_line(feed, 0, settings, a, channel, memory, failure) &&
           (feed->open == 1 || open_line(feed, 1, settings, b, channel, memory + VERBS_FEED_LINE_MEMORY, failure)) &&
           (settings->request_host[0] == '\0' || lines_open_request(&feed->request_fd, settings, failure));
}

void verbs_feed_close(struct verbs_feed *feed)
{
    for (uint32_t n = 0; n < FEED_LINES; n++) {
        struct verbs_feed_line *line = &feed->lines[n];
        if (line->subscribed)
            subscription_close(&line->subscription);
        if (line->joined.sin_family != 0) /* the kernel keeps a queue pair that is in a group, and its queues with it */
            feed->library->leave_multicast(line->id, (struct sockaddr *)&line->joined);
        if (line->id != NULL && line->id->qp != NULL)
            feed->library->destroy_qp(line->id);
        verbs_queue_close(&line->queue, feed->library);
        if (line->id != NULL)
            feed->library->destroy_id(line->id);
    }
    if (feed->request_fd >= 0)
        close(feed->request_fd);
    verbs_feed_init(feed, feed->library);
}

void verbs_feed_break(struct verbs_feed *feed, int code, const char *why)
{
    if (atomic_exchange(&feed->breaking, true))
        return;
    snprintf(feed->why, sizeof feed->why, "%s", why);
    atomic_store(&feed->broken, code);
}

/* --- running --- */

/* The packet given out by the last call is no longer needed. */
static void give_back(struct verbs_feed *feed)
{
    struct verbs_feed_line *line = &feed->lines[feed->turn];
    if (++line->freed < FEED_REFILL)
        return;
    int error = post(line, line->next_refill, FEED_REFILL);
    line->next_refill = (line->next_refill + FEED_REFILL) % FEED_SLOTS;
    line->freed = 0;
    if (UNLIKELY(error != 0))
        verbs_feed_break(feed, error, "receives cannot be posted: the queue pair is in error, or the RDMA device is gone; see `rdma link show`");
}

static int take_request_answer(struct verbs_feed *feed, struct transport_packet *packet)
{
    ssize_t got = recv(feed->request_fd, feed->request_buffer, MOLD_PACKET_MAX, MSG_DONTWAIT);
    if (got < 0)
        return TRANSPORT_NOTHING; /* a re-request server that is away is a gap that times out */
    *packet = (struct transport_packet){
        .bytes = feed->request_buffer, .length = (uint32_t)got, .line = TRANSPORT_LINE_REQUESTED,
        .receive_clock = feed->clock != STAMP_NONE ? STAMP_APPLICATION : STAMP_NONE, .receive_ns = clock_wall()};
    return TRANSPORT_PACKET;
}

__attribute__((noinline)) static int failed(struct verbs_feed *feed, const struct ibv_wc *done)
{
    char why[sizeof feed->why];
    snprintf(why, sizeof why, "line %c, receive: %s (queue pair %u)%s", 'A' + (int)feed->turn,
             feed->library->wc_status_str(done->status), done->qp_num,
             done->status == IBV_WC_LOC_LEN_ERR ? ": a packet longer than a slot" : "");
    verbs_feed_break(feed, EIO, why);
    int broken = atomic_load(&feed->broken);
    return broken != 0 ? -broken : -EIO; /* the keeper may be telling at this moment */
}

static int receive(void *opaque, struct transport_packet *packet)
{
    struct verbs_feed *feed = opaque;
    if (feed->at < feed->count) {
        feed->at++; /* the one the last call gave out */
        give_back(feed);
    }
    if (feed->at == feed->count) {
        feed->at = feed->count = 0;
        if (feed->request_fd >= 0 && (feed->await > 0 || ++feed->rounds % LINES_LATE == 0)) {
            feed->await -= feed->await > 0;
            if (take_request_answer(feed, packet) == TRANSPORT_PACKET)
                return TRANSPORT_PACKET;
        }
        for (uint32_t left = feed->open; left > 0 && feed->count == 0; left--) {
            feed->turn = feed->turn + 1 < feed->open ? feed->turn + 1 : 0;
            int got = verbs_queue_poll(&feed->lines[feed->turn].queue, FEED_POLL, feed->done, feed->ticks);
            if (UNLIKELY(got < 0))
                return got;
            feed->count = (uint32_t)got;
        }
        if (feed->count == 0)
            return LIKELY(atomic_load_explicit(&feed->broken, memory_order_relaxed) == 0) ? TRANSPORT_NOTHING
                                                                                           : -atomic_load(&feed->broken);
        feed->receive_ns = clock_wall();
    }
    const struct ibv_wc *done = &feed->done[feed->at];
    if (UNLIKELY(done->status != IBV_WC_SUCCESS))
        return failed(feed, done);
    packet->bytes = feed->lines[feed->turn].memory + (size_t)done->wr_id * FEED_STRIDE + FEED_GRH;
    packet->length = LIKELY(done->byte_len >= FEED_GRH) ? done->byte_len - FEED_GRH : 0;
    packet->line = feed->turn == 0 ? TRANSPORT_LINE_A : TRANSPORT_LINE_B;
    packet->receive_clock = feed->clock;
    packet->receive_ns = feed->clock == STAMP_COMPLETION ? feed->ticks[feed->at] : feed->receive_ns;
    packet->receive_software_ns = feed->clock == STAMP_COMPLETION ? feed->receive_ns : 0;
    return TRANSPORT_PACKET;
}

static int request(void *opaque, const uint8_t *bytes, uint32_t length)
{
    struct verbs_feed *feed = opaque;
    if (send(feed->request_fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    feed->await = LINES_AWAIT;
    return 0;
}

static uint32_t fds(void *opaque, int out[])
{
    out[0] = ((struct verbs_feed *)opaque)->request_fd;
    return 1; /* queues are polled */
}

static const char *why(void *opaque)
{
    return ((struct verbs_feed *)opaque)->why;
}

struct feed_transport verbs_feed_interface(struct verbs_feed *feed)
{
    return (struct feed_transport){
        .self = feed, .receive = receive, .request = feed->request_fd >= 0 ? request : NULL, .fds = fds, .why = why};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_link.h"

#include <errno.h>
#include <string.h>

#include "../wire.h"

#define REAP 16

_Static_assert((LINK_SIGNAL & (LINK_SIGNAL - 1)) == 0 && (LINK_SENDS & (LINK_SENDS - 1)) == 0, "numbers wrap by mask");

/* --- opening and closing --- */

static int post_receives(struct verbs_link *link, uint32_t first, uint32_t count)
{
    struct ibv_recv_wr requests[LINK_REFILL], *bad;
    struct ibv_sge parts[LINK_REFILL];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = (first + i) % LINK_RECEIVES;
        parts[i] = (struct ibv_sge){(uintptr_t)(link->memory + (size_t)slot * LINK_MESSAGE), LINK_MESSAGE, link->key};
        requests[i] = (struct ibv_recv_wr){
            .wr_id = slot, .next = i + 1 < count ? &requests[i + 1] : NULL, .sg_list = &parts[i], .num_sge = 1};
    }
    return ibv_post_recv(link->id->qp, requests, &bad);
}

static bool make_queues(struct verbs_link *link, const struct verbs_device *device, struct ibv_comp_channel *channel,
                        struct failure *failure)
{
    const struct verbs_library *library = link->library;
    bool there = verbs_queue_open(&link->sends, device, LINK_SENDS + 1);
    link->signal_mask = link->sends.stamped != NULL ? 0 : LINK_SIGNAL - 1;
    link->receives = there ? library->create_cq(device->context, LINK_RECEIVES + 1, NULL, channel, 0) : NULL;
    if (link->receives == NULL)
        return failure_set(failure, errno, "%s: completion queues: %s; is RLIMIT_MEMLOCK high enough (roce_host_limits.memlock)?",
                           device->gid.device, strerror(errno));
    struct ibv_qp_init_attr wanted = {.send_cq = link->sends.cq,
                                      .recv_cq = link->receives,
                                      .cap = {.max_send_wr = LINK_SENDS,
                                              .max_recv_wr = LINK_RECEIVES,
                                              .max_send_sge = 1,
                                              .max_recv_sge = 1,
                                              .max_inline_data = LINK_INLINE},
                                      .qp_type = IBV_QPT_RC};
    int result = library->create_qp(link->id, device->pd, &wanted);
    if (result != 0) { /* a device that has less room inline refuses: everything is copied then */
        wanted.cap.max_inline_data = 0;
        result = library->create_qp(link->id, device->pd, &wanted);
    }
    if (result != 0)
        return failure_set(failure, errno, "%s: queue pair for orders: %s", device->gid.device, strerror(errno));
    link->max_inline = wanted.cap.max_inline_data;
    return true;
}

bool verbs_link_open(struct verbs_link *link, const struct verbs_device *device, struct rdma_cm_id *id,
                     struct ibv_comp_channel *channel, uint8_t *memory, struct failure *failure)
{
    memset(link, 0, sizeof *link);
    link->library = device->library;
    link->id = id;
    link->memory = memory;
    link->key = device->mr->lkey;
    if (!make_queues(link, device, channel, failure))
        return false;
    for (uint32_t slot = 0; slot < LINK_RECEIVES; slot += LINK_REFILL) {
        int error = post_receives(link, slot, LINK_REFILL);
        if (error != 0)
            return failure_set(failure, error, "%s: receives for orders: %s", device->gid.device, strerror(error));
    }
    return true;
}

struct rdma_conn_param verbs_link_parameters(const struct verbs_device *device, uint8_t *hello)
{
    put32(hello, LINK_HELLO_MAGIC);
    put32(hello + 4, device->mtu);
    return (struct rdma_conn_param){.private_data = hello,
                                    .private_data_len = LINK_HELLO,
                                    .responder_resources = 1,
                                    .initiator_depth = 1,
                                    .retry_count = LINK_RETRIES,
                                    .rnr_retry_count = LINK_RNR_RETRIES};
}

bool verbs_link_hello(const struct verbs_device *device, const void *hello, uint32_t length, struct failure *failure)
{
    if (hello == NULL || length < LINK_HELLO || get32(hello) != LINK_HELLO_MAGIC)
        return failure_set(failure, EPROTO, "the other end is no Tickwire order connection");
    uint32_t theirs = get32((const uint8_t *)hello + 4);
    if (theirs == device->mtu)
        return true;
    return failure_set(failure, EMSGSIZE,
                       "MTU mismatch: RDMA MTU %u at %s (%s), %u there; give both interfaces one MTU (fabric.mtu.host)", device->mtu,
                       device->gid.device, device->gid.netdev, theirs);
}

bool verbs_link_established(struct verbs_link *link, const struct verbs_device *device, int tos, struct failure *failure)
{
    struct ibv_qp_attr attributes = {.min_rnr_timer = LINK_MIN_RNR_TIMER};
    int error = link->library->modify_qp(link->id->qp, &attributes, IBV_QP_MIN_RNR_TIMER);
    if (error != 0)
        return failure_set(failure, error, "%s: RNR timer of queue pair %u: %s", device->gid.device, link->id->qp->qp_num,
                           strerror(error));
    return verbs_device_check(device, link->id->qp, tos, failure);
}

void verbs_link_close(struct verbs_link *link)
{
    const struct verbs_library *library = link->library;
    if (link->id == NULL)
        return;
    if (link->id->qp != NULL) {
        library->disconnect(link->id); /* refused when the other end was first: then it is done */
        library->destroy_qp(link->id);
    }
    if (link->receives != NULL)
        library->destroy_cq(link->receives);
    verbs_queue_close(&link->sends, library);
    library->destroy_id(link->id);
    link->id = NULL;
    link->receives = NULL;
}

/* --- running --- */

/* Keep the first reason that says something: after it everything in the queues is only flushed. */
static void note(struct verbs_link *link, const struct ibv_wc *completion, const char *what)
{
    if (link->ended)
        return;
    link->ended = true;
    snprintf(link->why, sizeof link->why, "%s: %s (queue pair %u)%s", what, link->library->wc_status_str(completion->status),
             completion->qp_num,
             completion->status == IBV_WC_RETRY_EXC_ERR ? ": the other end or the link to it is gone" : "");
}

void verbs_link_reap(struct verbs_link *link)
{
    struct ibv_wc done[REAP];
    uint64_t ticks[REAP] = {0};
    int count;
    do {
        count = verbs_queue_poll(&link->sends, REAP, done, ticks);
        for (int i = 0; i < count; i++) {
            if (done[i].status == IBV_WC_SUCCESS) {
                link->completed = (uint32_t)done[i].wr_id;
                link->ticks[link->completed % LINK_SENDS] = ticks[i];
            } else if (done[i].status != IBV_WC_WR_FLUSH_ERR) {
                note(link, &done[i], "send");
            }
        }
    } while (count == REAP);
}

/* It is over: find out why, once. */
__attribute__((noinline)) static int end(struct verbs_link *link, const struct ibv_wc *completion)
{
    int lost = atomic_load(&link->lost);
    if (completion == NULL || completion->status == IBV_WC_WR_FLUSH_ERR)
        verbs_link_reap(link); /* receives are only flushed when a send failed */
    if (completion != NULL && completion->status != IBV_WC_WR_FLUSH_ERR)
        note(link, completion, "receive");
    if (!link->ended)
        snprintf(link->why, sizeof link->why, "%s",
                 lost == ENODEV  ? "the RDMA device was removed; see `rdma link show`"
                 : lost != 0     ? "the other end closed it"
                                 : "its queue pair is in error: the link or the other end is gone; see `rdma link show`");
    link->ended = true;
    return lost == ENODEV ? -ENODEV : -ECONNRESET;
}

uint32_t verbs_link_room(struct verbs_link *link)
{
    verbs_link_reap(link);
    return LINK_SENDS - (link->posted - link->completed);
}

int verbs_link_send(struct verbs_link *link, const uint8_t *bytes, uint32_t length)
{
    if (UNLIKELY(length > LINK_MESSAGE))
        return -EMSGSIZE;
    if (UNLIKELY(link->posted - link->completed >= LINK_SENDS) && verbs_link_room(link) == 0)
        return link->ended || atomic_load(&link->lost) != 0 ? end(link, NULL) : -EAGAIN;
    struct ibv_sge part = {(uintptr_t)bytes, length, link->key};
    struct ibv_send_wr request = {
        .wr_id = link->posted + 1, .sg_list = &part, .num_sge = 1, .opcode = IBV_WR_SEND}, *bad;
    if (LIKELY(length <= link->max_inline)) {
        request.send_flags = IBV_SEND_INLINE;
    } else {
        uint8_t *copy = link->memory + (size_t)(LINK_RECEIVES + link->posted % LINK_SENDS) * LINK_MESSAGE;
        memcpy(copy, bytes, length);
        part.addr = (uintptr_t)copy;
    }
    if ((request.wr_id & link->signal_mask) == 0)
        request.send_flags |= IBV_SEND_SIGNALED;
    int error = ibv_post_send(link->id->qp, &request, &bad);
    if (UNLIKELY(error != 0))
        return link->ended || atomic_load(&link->lost) != 0 ? end(link, NULL) : error == ENOMEM ? -EAGAIN : -error;
    link->posted++;
    return 0;
}

/* A slot was read: give it back, in batches. */
static int give_back(struct verbs_link *link)
{
    if (++link->freed < LINK_REFILL)
        return 0;
    int error = post_receives(link, link->next_refill, LINK_REFILL);
    link->next_refill = (link->next_refill + LINK_REFILL) % LINK_RECEIVES;
    link->freed = 0;
    return -error;
}

int verbs_link_receive(struct verbs_link *link, uint8_t *bytes, uint32_t capacity)
{
    if (LIKELY(link->held == 0)) {
        struct ibv_wc done;
        int count = ibv_poll_cq(link->receives, 1, &done);
        if (LIKELY(count == 0))
            return LIKELY(atomic_load_explicit(&link->lost, memory_order_relaxed) == 0) ? 0 : end(link, NULL);
        if (UNLIKELY(count < 0))
            return count;
        if (UNLIKELY(done.status != IBV_WC_SUCCESS))
            return end(link, &done);
        link->held_slot = (uint32_t)done.wr_id;
        link->held_at = 0;
        link->held = done.byte_len;
    }
    uint32_t take = link->held < capacity ? link->held : capacity;
    memcpy(bytes, link->memory + (size_t)link->held_slot * LINK_MESSAGE + link->held_at, take);
    link->held_at += take;
    link->held -= take;
    if (link->held == 0 && UNLIKELY(give_back(link) != 0) && !link->ended)
        return take > 0 ? (int)take : -ECONNRESET; /* the queue pair is in error: a completion will say why */
    return (int)take;
}

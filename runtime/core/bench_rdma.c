/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_rdma.h"

#include <errno.h>
#include <string.h>

#include "wire.h"

#define ACK_TIMEOUT 15u /* 4.096 us * 2^15 = 134 ms an attempt */
#define RETRIES 7u
#define RNR_FOR_EVER 7u
#define MIN_RNR_TIMER 1u /* 0.01 ms */
#define HOPS 64u

/* --- running --- */

static int error_of(enum ibv_wc_status status)
{
    return status == IBV_WC_WR_FLUSH_ERR ? -ECONNRESET : status == IBV_WC_RETRY_EXC_ERR ? -ETIMEDOUT : -EIO;
}

/* How sends have gone since the last look. */
static int reap(struct bench_rdma *self)
{
    struct ibv_wc done;
    int count;
    while ((count = ibv_poll_cq(self->sends, 1, &done)) > 0) {
        if (UNLIKELY(done.status != IBV_WC_SUCCESS))
            return error_of(done.status);
        self->completed = (uint32_t)done.wr_id;
    }
    return count;
}

static int send_message(void *opaque, const uint8_t *message)
{
    struct bench_rdma *self = opaque;
    if (UNLIKELY(self->posted - self->completed >= BENCH_RDMA_SENDS)) {
        int result = reap(self);
        if (result < 0)
            return result;
        if (self->posted - self->completed >= BENCH_RDMA_SENDS)
            return -EAGAIN;
    }
    struct ibv_sge part = {(uintptr_t)message, self->size, self->device.mr->lkey};
    struct ibv_send_wr request = {.wr_id = self->posted + 1, .sg_list = &part, .num_sge = 1, .opcode = IBV_WR_SEND}, *bad;
    if (LIKELY(self->size <= self->max_inline)) {
        request.send_flags = IBV_SEND_INLINE;
    } else {
        uint8_t *copy = self->memory + (size_t)(self->slots + self->posted % BENCH_RDMA_SENDS) * self->stride;
        memcpy(copy, message, self->size);
        part.addr = (uintptr_t)copy;
    }
    if (request.wr_id % BENCH_RDMA_SIGNAL == 0)
        request.send_flags |= IBV_SEND_SIGNALED;
    if (self->datagram) {
        request.wr.ud.ah = self->ah;
        request.wr.ud.remote_qpn = self->there.queue_pair;
        request.wr.ud.remote_qkey = RDMA_UDP_QKEY;
    }
    int error = ibv_post_send(self->id->qp, &request, &bad);
    if (UNLIKELY(error != 0))
        return error == ENOMEM ? -EAGAIN : -error;
    self->posted++;
    return 0;
}

static int post_receives(struct bench_rdma *self, uint32_t first, uint32_t count)
{
    struct ibv_recv_wr requests[BENCH_RDMA_REFILL], *bad;
    struct ibv_sge parts[BENCH_RDMA_REFILL];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = (first + i) % self->slots;
        parts[i] = (struct ibv_sge){(uintptr_t)(self->memory + (size_t)slot * self->stride), self->stride, self->device.mr->lkey};
        requests[i] =
            (struct ibv_recv_wr){.wr_id = slot, .next = i + 1 < count ? &requests[i + 1] : NULL, .sg_list = &parts[i], .num_sge = 1};
    }
    return ibv_post_recv(self->id->qp, requests, &bad);
}

/* The slot of the last message is free; free slots are posted together. */
static int give_back(struct bench_rdma *self)
{
    self->holds = false;
    if (++self->freed < BENCH_RDMA_REFILL)
        return 0;
    int error = post_receives(self, self->next_refill, BENCH_RDMA_REFILL);
    self->next_refill = (self->next_refill + BENCH_RDMA_REFILL) % self->slots;
    self->freed = 0;
    return -error;
}

static int receive_message(void *opaque, const uint8_t **message)
{
    struct bench_rdma *self = opaque;
    struct ibv_wc done;
    if (self->holds) {
        int result = give_back(self);
        if (UNLIKELY(result < 0))
            return result;
    }
    int count = ibv_poll_cq(self->receives, 1, &done);
    if (count <= 0)
        return count;
    if (UNLIKELY(done.status != IBV_WC_SUCCESS)) {
        int sent = reap(self); /* receives are only flushed when a send failed */
        return sent < 0 ? sent : error_of(done.status);
    }
    self->holds = true;
    if (UNLIKELY(done.byte_len != self->size + self->skip)) {
        self->end->wrong_size++;
        return 0;
    }
    *message = self->memory + (size_t)done.wr_id * self->stride + self->skip;
    return 1;
}

/* --- opening and closing --- */

static bool make_queue_pair(struct bench_rdma *self, struct failure *failure)
{
    const struct verbs_library *library = &self->library;
    const char *device = self->device.gid.device;
    struct sockaddr_in any_port = self->device.address;
    if (library->create_id(self->channel, &self->id, self, self->datagram ? RDMA_PS_UDP : RDMA_PS_TCP) != 0) {
        self->id = NULL;
        return failure_set(failure, errno, "RDMA connection manager: %s", strerror(errno));
    }
    if (library->bind_addr(self->id, (struct sockaddr *)&any_port) != 0 || self->id->verbs != self->device.context)
        return failure_set(failure, ENODEV, "%s: its address cannot be bound over RDMA; see `rdma link show`", device);
    self->sends = library->create_cq(self->device.context, BENCH_RDMA_SENDS + 1, NULL, NULL, 0);
    self->receives = self->sends != NULL ? library->create_cq(self->device.context, (int)self->slots + 1, NULL, NULL, 0) : NULL;
    if (self->receives == NULL)
        return failure_set(failure, errno, "%s: completion queues: %s; is RLIMIT_MEMLOCK high enough?", device, strerror(errno));
    struct ibv_qp_init_attr wanted = {.send_cq = self->sends,
                                      .recv_cq = self->receives,
                                      .cap = {.max_send_wr = BENCH_RDMA_SENDS,
                                              .max_recv_wr = self->slots,
                                              .max_send_sge = 1,
                                              .max_recv_sge = 1,
                                              .max_inline_data = BENCH_RDMA_INLINE},
                                      .qp_type = self->datagram ? IBV_QPT_UD : IBV_QPT_RC};
    int result = library->create_qp(self->id, self->device.pd, &wanted);
    if (result != 0) { /* a device that has less room inline refuses: everything is copied then */
        wanted.cap.max_inline_data = 0;
        result = library->create_qp(self->id, self->device.pd, &wanted);
    }
    if (result != 0)
        return failure_set(failure, errno, "%s: queue pair with %u receives: %s", device, self->slots, strerror(errno));
    self->max_inline = wanted.cap.max_inline_data;
    for (uint32_t slot = 0; slot < self->slots; slot += BENCH_RDMA_REFILL) {
        int error = post_receives(self, slot, BENCH_RDMA_REFILL);
        if (error != 0)
            return failure_set(failure, error, "%s: receives: %s", device, strerror(error));
    }
    return true;
}

/* Memory for the slots, and the device it is registered with. */
static bool open_device(struct bench_rdma *self, const struct verbs_places *places, const char *interface, struct failure *failure)
{
    struct verbs_settings settings = {.roce_version = 2, .gid_index = -1};
    size_t bytes = (self->slots + BENCH_RDMA_SENDS) * (size_t)self->stride;
    if (!arena_open(&self->arena, arena_footprint(bytes)))
        return failure_set(failure, errno, "%zu kB of memory: %s", bytes >> 10, strerror(errno));
    self->memory = arena_take(&self->arena, bytes);
    self->channel = verbs_channel(&self->library, failure);
    return self->channel != NULL && verbs_device_open(&self->device, &self->library, places->sysfs, self->channel, "interface", interface, &settings,
                                                      self->memory, bytes, failure);
}

bool bench_rdma_open(struct bench_rdma *self, struct bench_end *end, const struct verbs_places *places, const char *interface,
                     bool datagram, uint32_t size, uint8_t tos, uint32_t psn, struct failure *failure)
{
    memset(self, 0, sizeof *self);
    self->end = end;
    self->datagram = datagram;
    self->tos = tos;
    self->size = size;
    self->skip = datagram ? BENCH_RDMA_GRH : 0;
    self->stride = (uint32_t)arena_footprint(size + BENCH_RDMA_GRH);
    self->slots = BENCH_RDMA_MEMORY / self->stride / BENCH_RDMA_REFILL * BENCH_RDMA_REFILL;
    if (self->slots > BENCH_RDMA_RECEIVES_MAX)
        self->slots = BENCH_RDMA_RECEIVES_MAX;
    if (self->slots < BENCH_RDMA_RECEIVES_MIN)
        self->slots = BENCH_RDMA_RECEIVES_MIN;
    if (!verbs_library_open(&self->library, places, failure))
        return false;
    bool good = open_device(self, places, interface, failure);
    if (good && datagram && size > self->device.mtu)
        good = failure_set(failure, EINVAL, "a datagram of %u bytes does not fit RDMA MTU %u of %s; give --size at most that, or use rc",
                           size, self->device.mtu, self->device.gid.device);
    if (!good || !make_queue_pair(self, failure)) {
        bench_rdma_close(self);
        return false;
    }
    memcpy(self->here.gid, self->device.gid.bytes, sizeof self->here.gid);
    self->here.queue_pair = self->id->qp->qp_num;
    self->here.psn = psn & 0xFFFFFFu;
    self->here.mtu = self->device.mtu;
    *end = (struct bench_end){.self = self, .send = send_message, .receive = receive_message, .size = size};
    return true;
}

/* The queue pair of a reliable connection to its states ready to receive and ready to send. */
static bool make_ready(struct bench_rdma *self, const struct ibv_ah_attr *way, struct failure *failure)
{
    struct ibv_qp_attr receiving = {.qp_state = IBV_QPS_RTR,
                                    .path_mtu = (enum ibv_mtu)__builtin_ctz(self->device.mtu / 128u),
                                    .dest_qp_num = self->there.queue_pair,
                                    .rq_psn = self->there.psn,
                                    .max_dest_rd_atomic = 1,
                                    .min_rnr_timer = MIN_RNR_TIMER,
                                    .ah_attr = *way};
    int error = self->library.modify_qp(self->id->qp, &receiving,
                                        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                            IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    if (error != 0)
        return failure_set(failure, error, "%s: queue pair %u cannot receive from there: %s", self->device.gid.device,
                           self->here.queue_pair, strerror(error));
    struct ibv_qp_attr sending = {.qp_state = IBV_QPS_RTS,
                                  .timeout = ACK_TIMEOUT,
                                  .retry_cnt = RETRIES,
                                  .rnr_retry = RNR_FOR_EVER,
                                  .sq_psn = self->here.psn,
                                  .max_rd_atomic = 1};
    error = self->library.modify_qp(self->id->qp, &sending,
                                    IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                                        IBV_QP_MAX_QP_RD_ATOMIC);
    return error == 0 || failure_set(failure, error, "%s: queue pair %u cannot send: %s", self->device.gid.device,
                                     self->here.queue_pair, strerror(error));
}

bool bench_rdma_connect(struct bench_rdma *self, const struct bench_rdma_address *there, struct failure *failure)
{
    struct ibv_ah_attr way = {.is_global = 1,
                              .grh = {.sgid_index = self->device.gid.index, .hop_limit = HOPS, .traffic_class = self->tos},
                              .sl = self->tos >> 5, /* the priority of the lane, by IP precedence */
                              .port_num = self->device.gid.port};
    if (there->mtu != self->here.mtu)
        return failure_set(failure, EMSGSIZE, "RDMA MTU %u at %s, %u at the other end; give both interfaces one MTU", self->here.mtu,
                           self->device.gid.device, there->mtu);
    self->there = *there;
    memcpy(way.grh.dgid.raw, there->gid, sizeof there->gid);
    if (!self->datagram)
        return make_ready(self, &way, failure);
    self->ah = self->library.create_ah(self->device.pd, &way);
    return self->ah != NULL || failure_set(failure, errno, "%s: no way to the other end's GID: %s", self->device.gid.device,
                                           strerror(errno));
}

void bench_rdma_close(struct bench_rdma *self)
{
    const struct verbs_library *library = &self->library;
    if (library->handles[0] == NULL)
        return;
    if (self->id != NULL && self->id->qp != NULL)
        library->destroy_qp(self->id);
    if (self->ah != NULL)
        library->destroy_ah(self->ah);
    if (self->receives != NULL)
        library->destroy_cq(self->receives);
    if (self->sends != NULL)
        library->destroy_cq(self->sends);
    if (self->id != NULL)
        library->destroy_id(self->id);
    verbs_device_close(&self->device);
    if (self->channel != NULL)
        library->destroy_event_channel(self->channel);
    if (self->arena.mapping != NULL)
        arena_close(&self->arena);
    verbs_library_close(&self->library);
}

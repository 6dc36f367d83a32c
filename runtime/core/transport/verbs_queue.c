/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_queue.h"

#include <string.h>

#define READS 16
#define TRY_DEPTH 1

static struct ibv_cq_ex *make_stamped(const struct verbs_device *device, uint32_t depth)
{
    struct ibv_cq_init_attr_ex wanted = {
        .cqe = depth, .wc_flags = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP};
    return ibv_create_cq_ex(device->context, &wanted);
}

bool verbs_queue_open(struct verbs_queue *queue, const struct verbs_device *device, uint32_t depth)
{
    queue->stamped = device->stamped ? make_stamped(device, depth) : NULL;
    queue->cq = queue->stamped != NULL ? ibv_cq_ex_to_cq(queue->stamped)
                : device->stamped      ? NULL
                                       : device->library->create_cq(device->context, (int)depth, NULL, NULL, 0);
    return queue->cq != NULL;
}

void verbs_queue_close(struct verbs_queue *queue, const struct verbs_library *library)
{
    if (queue->cq != NULL)
        library->destroy_cq(queue->cq);
    *queue = (struct verbs_queue){0};
}

/* --- what the device offers --- */

/* mlx5 may grant the queue and refuse the queue pair: a card whose queues are all in real-time format has no raw counter in them. */
static bool try_queue_pair(const struct verbs_device *device, struct failure *failure)
{
    const char *name = device->gid.device;
    struct ibv_cq_ex *queue = make_stamped(device, TRY_DEPTH);
    if (queue == NULL)
        return failure_set(failure, ENOTSUP, "%s gives no completion queue with time stamps: %s", name, strerror(errno));
    struct ibv_qp_init_attr wanted = {.send_cq = ibv_cq_ex_to_cq(queue),
                                      .recv_cq = ibv_cq_ex_to_cq(queue),
                                      .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
                                      .qp_type = IBV_QPT_UD};
    bool good = device->library->create_qp(device->id, device->pd, &wanted) == 0;
    int error = errno;
    if (good)
        device->library->destroy_qp(device->id);
    device->library->destroy_cq(ibv_cq_ex_to_cq(queue));
    return good || failure_set(failure, ENOTSUP, "%s gives no queue pair with time stamps: %s", name, strerror(error));
}

bool verbs_queue_offers(const struct verbs_device *device, uint64_t *mask, uint64_t *khz, struct failure *failure)
{
    const char *name = device->gid.device, *why;
    struct ibv_device_attr_ex said = {0};
    struct ticks_moment moment;
    struct verbs_context *extended = verbs_get_ctx_op(device->context, query_device_ex);
    if (extended != NULL && extended->query_device_ex(device->context, NULL, &said, sizeof said) != 0)
        memset(&said, 0, sizeof said);
    why = ticks_refuse(said.completion_timestamp_mask, said.hca_core_clock);
    if (why != NULL)
        return failure_set(failure, ENOTSUP, "%s has no completion time stamps to use: %s", name, why);
    if (!verbs_queue_moment(device->context, &moment))
        return failure_set(failure, ENOTSUP, "%s has completion time stamps, but its clock cannot be read (ibv_query_rt_values_ex)", name);
    *mask = said.completion_timestamp_mask;
    *khz = said.hca_core_clock;
    return try_queue_pair(device, failure);
}

bool verbs_queue_moment(struct ibv_context *context, struct ticks_moment *moment)
{
    moment->window_ns = UINT64_MAX;
    for (int i = 0; i < READS; i++) {
        struct ibv_values_ex values = {.comp_mask = IBV_VALUES_MASK_RAW_CLOCK};
        uint64_t before = clock_wall();
        int error = ibv_query_rt_values_ex(context, &values);
        uint64_t after = clock_wall();
        if (error != 0 || (values.comp_mask & IBV_VALUES_MASK_RAW_CLOCK) == 0)
            return false;
        if (after >= before && after - before < moment->window_ns) /* as the providers have it: all of the ticks in tv_nsec */
            *moment = (struct ticks_moment){(uint64_t)values.raw_clock.tv_nsec, before + (after - before) / 2, after - before};
    }
    return moment->window_ns != UINT64_MAX;
}

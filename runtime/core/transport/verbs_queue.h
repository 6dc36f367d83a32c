/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion queues, with the device's stamps where it has them.
 *
 * A plain queue is polled with ibv_poll_cq. A stamped one is an extended queue: it is walked with ibv_start_poll, ibv_next_poll and
 * ibv_end_poll, and each completion tells the ticks its device's counter had (ibv_wc_read_completion_ts). Both are polled through
 * pointers in the objects, inline in libibverbs' header, and so need nothing of the library but what made them. ibv_query_device_ex
 * is not called: the inline function falls back to a symbol of the library, which is not linked; its pointer in the context is.
 *
 * What is asked for is the raw counter, and nothing else will do. The other stamp verbs know, the wall clock
 * (ibv_wc_read_completion_wallclock_ns), follows the card's PTP clock, which need not be the host's, and mlx5 in real-time mode hands
 * out the words of the completion as they are, seconds above nanoseconds, under that name. mlx4 and mlx5 can read the raw counter
 * (ibv_query_rt_values_ex); a provider that cannot leaves no way from ticks to time, so its stamps are not used. */
#ifndef TICKWIRE_TRANSPORT_VERBS_QUEUE_H
#define TICKWIRE_TRANSPORT_VERBS_QUEUE_H

#include <errno.h>

#include "../ticks.h"
#include "../wire.h"
#include "verbs_device.h"

struct verbs_queue {
    struct ibv_cq *cq; /* NULL: not open */
    struct ibv_cq_ex *stamped; /* the same one, extended; NULL: it is plain */
};

/* A queue of `device`, with stamps where device->stamped. False with errno. */
bool verbs_queue_open(struct verbs_queue *queue, const struct verbs_device *device, uint32_t depth);
void verbs_queue_close(struct verbs_queue *queue, const struct verbs_library *library);

/* Whether the device stamps completions, its counter can be read, and it makes queue pairs with stamped queues: its mask and kHz, or
 * ENOTSUP and why not. */
bool verbs_queue_offers(const struct verbs_device *device, uint64_t *mask, uint64_t *khz, struct failure *failure);

/* Read counter and host clock together, the tightest of some attempts. */
bool verbs_queue_moment(struct ibv_context *context, struct ticks_moment *moment);

/* A stamped queue: 0 to `most` completions with their ticks, or -errno. Of a failed one only wr_id, status and qp_num count. */
static inline int verbs_queue_walk(struct ibv_cq_ex *queue, int most, struct ibv_wc *done, uint64_t *ticks)
{
    struct ibv_poll_cq_attr attributes = {0};
    int count = 0, result = ibv_start_poll(queue, &attributes);
    if (LIKELY(result == ENOENT))
        return 0;
    if (UNLIKELY(result != 0))
        return -result;
    do {
        struct ibv_wc *one = &done[count];
        one->wr_id = queue->wr_id;
        one->status = queue->status;
        one->qp_num = ibv_wc_read_qp_num(queue);
        one->byte_len = LIKELY(one->status == IBV_WC_SUCCESS) ? ibv_wc_read_byte_len(queue) : 0;
        ticks[count++] = ibv_wc_read_completion_ts(queue);
    } while (count < most && ibv_next_poll(queue) == 0);
    ibv_end_poll(queue);
    return count;
}

/* Either kind; a plain one leaves `ticks` alone. */
static inline int verbs_queue_poll(const struct verbs_queue *queue, int most, struct ibv_wc *done, uint64_t *ticks)
{
    return queue->stamped == NULL ? ibv_poll_cq(queue->cq, most, done) : verbs_queue_walk(queue->stamped, most, done, ticks);
}

#endif

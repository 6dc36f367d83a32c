/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_double_parts.h"

#include <time.h>

#define NS_PER_S 1000000000LL
#define KHZ_NS 1000000

/* The counter: where the test says, or as the host's clock runs, as fast as `clock_khz` says and by `clock_ppm` faster. */
static uint64_t counter(void)
{
    uint64_t ticks = verbs_double.clock_ticks;
    if (verbs_double.clock_runs) {
        __extension__ typedef __int128 wide;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        wide ns = (wide)now.tv_sec * NS_PER_S + now.tv_nsec, khz = (wide)verbs_double.clock_khz;
        ticks += (uint64_t)(ns * khz / KHZ_NS + ns * khz / KHZ_NS * verbs_double.clock_ppm / 1000000);
    }
    return ticks & verbs_double.clock_mask;
}

uint64_t double_ticks(void)
{
    uint64_t ticks = counter();
    verbs_double.clock_ticks += verbs_double.clock_step;
    return ticks;
}

static int query_rt_values(struct ibv_context *context, struct ibv_values_ex *values)
{
    (void)context;
    if (verbs_double.clock_errno != 0)
        return verbs_double.clock_errno;
    values->raw_clock = (struct timespec){.tv_nsec = (long)counter()};
    return 0;
}

static int query_device_ex(struct ibv_context *context, const struct ibv_query_device_ex_input *input, struct ibv_device_attr_ex *said,
                           size_t size)
{
    (void)context;
    (void)input;
    memset(said, 0, size);
    said->completion_timestamp_mask = verbs_double.clock_mask;
    said->hca_core_clock = verbs_double.clock_khz;
    return 0;
}

/* --- queues whose completions carry it --- */

/* On the completion at the head; the queue stays locked against nobody, as one thread polls it. */
static int look(struct cq *cq)
{
    int result = ENOENT;
    pthread_mutex_lock(&verbs_double_lock);
    if (cq->head != cq->tail) {
        cq->stamped.wr_id = cq->done[cq->head % DEPTH].wr_id;
        cq->stamped.status = cq->done[cq->head % DEPTH].status;
        result = 0;
    }
    pthread_mutex_unlock(&verbs_double_lock);
    return result;
}

static int start_poll(struct ibv_cq_ex *opaque, struct ibv_poll_cq_attr *attributes)
{
    struct cq *cq = (struct cq *)opaque;
    if (attributes->comp_mask != 0)
        return EINVAL;
    pthread_mutex_lock(&verbs_double_lock);
    double_release_held(cq);
    pthread_mutex_unlock(&verbs_double_lock);
    return look(cq);
}

static int next_poll(struct ibv_cq_ex *opaque)
{
    struct cq *cq = (struct cq *)opaque;
    pthread_mutex_lock(&verbs_double_lock);
    bool more = cq->head + 1 != cq->tail;
    cq->head += more;
    pthread_mutex_unlock(&verbs_double_lock);
    return more ? look(cq) : ENOENT;
}

static void end_poll(struct ibv_cq_ex *opaque)
{
    pthread_mutex_lock(&verbs_double_lock);
    ((struct cq *)opaque)->head++;
    pthread_mutex_unlock(&verbs_double_lock);
}

static uint32_t read_byte_len(struct ibv_cq_ex *opaque)
{
    struct cq *cq = (struct cq *)opaque;
    if (cq->stamped.status != IBV_WC_SUCCESS)
        abort(); /* it has no meaning then */
    return cq->done[cq->head % DEPTH].byte_len;
}

static uint32_t read_qp_num(struct ibv_cq_ex *opaque)
{
    struct cq *cq = (struct cq *)opaque;
    return cq->done[cq->head % DEPTH].qp_num;
}

static uint64_t read_completion_ts(struct ibv_cq_ex *opaque)
{
    struct cq *cq = (struct cq *)opaque;
    return cq->ticks[cq->head % DEPTH];
}

/* As a provider that does not know a field, or stamps: it refuses. */
static struct ibv_cq_ex *create_cq_ex(struct ibv_context *context, struct ibv_cq_init_attr_ex *wanted)
{
    const uint64_t known = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP;
    errno = (wanted->wc_flags & ~known) != 0 || verbs_double.clock_mask == 0 ? EOPNOTSUPP : verbs_double.stamped_queue_errno;
    if (errno != 0)
        return NULL;
    struct cq *cq = double_make_cq(context, wanted->cq_context, wanted->channel);
    cq->stamped.comp_mask = 1; /* it is one of these */
    cq->stamped.start_poll = start_poll;
    cq->stamped.next_poll = next_poll;
    cq->stamped.end_poll = end_poll;
    cq->stamped.read_byte_len = read_byte_len;
    cq->stamped.read_qp_num = read_qp_num;
    cq->stamped.read_completion_ts = read_completion_ts;
    return &cq->stamped;
}

void double_clock_context(struct verbs_context *context)
{
    context->context.abi_compat = __VERBS_ABI_IS_EXTENDED;
    context->sz = sizeof *context;
    context->query_device_ex = query_device_ex;
    context->query_rt_values = query_rt_values;
    context->create_cq_ex = create_cq_ex;
}

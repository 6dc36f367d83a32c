/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_double_parts.h"

static void remove_device(unsigned device);
static void port_event(unsigned device, int up);
EXPORT struct verbs_double verbs_double = {
    .traffic_class = -1, .mtu = {0, IBV_MTU_4096}, .max_inline = 256, .remove_device = remove_device, .port_event = port_event,
    .link = double_link};
pthread_mutex_t verbs_double_lock = PTHREAD_MUTEX_INITIALIZER;
struct double_device double_devices[VERBS_DOUBLE_DEVICES] = {{.device = {.name = "double0"}}, {.device = {.name = "double1"}}};

void *double_make(size_t size)
{
    verbs_double.objects++;
    return calloc(1, size);
}

int double_destroy(void *object)
{
    verbs_double.objects--;
    free(object);
    return 0;
}

struct ibv_context *double_open(unsigned device)
{
    struct double_device *self = &double_devices[device];
    int fds[2];
    if (self->context != NULL)
        return &self->context->context;
    self->context = calloc(1, sizeof *self->context);
    if (pipe(fds) != 0)
        abort();
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    self->context->context.device = &self->device;
    self->context->context.async_fd = fds[0];
    self->async_write = fds[1];
    double_wire_context(&self->context->context);
    double_clock_context(self->context);
    verbs_double.objects++;
    return &self->context->context;
}

static struct double_device *device_of(const struct ibv_context *context)
{
    unsigned n = 0;
    while (&double_devices[n].context->context != context)
        n++;
    return &double_devices[n];
}

EXPORT int ibv_close_device(struct ibv_context *of)
{
    struct double_device *device = device_of(of);
    close(of->async_fd);
    close(device->async_write);
    free(device->context);
    device->context = NULL;
    verbs_double.objects--;
    return 0;
}

EXPORT struct ibv_pd *ibv_alloc_pd(struct ibv_context *of)
{
    struct ibv_pd *pd = double_make(sizeof *pd);
    pd->context = of;
    return pd;
}

EXPORT int ibv_dealloc_pd(struct ibv_pd *pd)
{
    return double_destroy(pd);
}

struct mr {
    struct ibv_mr mr;
    struct mr *next;
};
static struct mr *regions;

#undef ibv_reg_mr
EXPORT struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t length, int access)
{
    (void)access;
    errno = verbs_double.memory_errno;
    if (errno != 0)
        return NULL;
    struct mr *region = double_make(sizeof *region);
    region->mr = (struct ibv_mr){.pd = pd, .addr = address, .length = length};
    verbs_double.registered += length;
    pthread_mutex_lock(&verbs_double_lock);
    region->mr.lkey = ++verbs_double.registrations;
    region->next = regions;
    regions = region;
    pthread_mutex_unlock(&verbs_double_lock);
    return &region->mr;
}

EXPORT int ibv_dereg_mr(struct ibv_mr *mr)
{
    struct mr **at = &regions;
    pthread_mutex_lock(&verbs_double_lock);
    while (&(*at)->mr != mr)
        at = &(*at)->next;
    *at = (*at)->next;
    pthread_mutex_unlock(&verbs_double_lock);
    verbs_double.registered -= mr->length;
    return double_destroy(mr);
}

void double_check_memory(const struct ibv_qp *qp, const struct ibv_sge *part)
{
    for (const struct mr *region = regions; region != NULL; region = region->next) {
        uint64_t from = (uintptr_t)region->mr.addr;
        if (region->mr.lkey == part->lkey && region->mr.pd == qp->pd && part->addr >= from &&
            part->addr + part->length <= from + region->mr.length)
            return;
    }
    abort(); /* what a device ends the queue pair for */
}

struct cq *double_make_cq(struct ibv_context *of, void *owner, struct ibv_comp_channel *channel)
{
    struct cq *cq = double_make(sizeof *cq);
    cq->cq.context = of;
    cq->cq.cq_context = owner;
    cq->cq.channel = channel;
    return cq;
}

EXPORT struct ibv_cq *ibv_create_cq(struct ibv_context *of, int depth, void *owner, struct ibv_comp_channel *channel, int vector)
{
    (void)depth;
    (void)vector;
    return &double_make_cq(of, owner, channel)->cq;
}

EXPORT struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *of)
{
    struct comp *comp = double_make(sizeof *comp);
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    comp->channel.context = of;
    comp->channel.fd = fds[0];
    comp->write_fd = fds[1];
    return &comp->channel;
}

EXPORT int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
    close(channel->fd);
    close(((struct comp *)channel)->write_fd);
    return double_destroy(channel);
}

/* As in the kernel, what nobody has taken goes with it, and it stays while a queue pair has it. */
EXPORT int ibv_destroy_cq(struct ibv_cq *cq)
{
    struct comp *comp = (struct comp *)cq->channel;
    pthread_mutex_lock(&verbs_double_lock);
    for (const struct qp *qp = double_qps; qp != NULL; qp = qp->next)
        if (&qp->sends->cq == cq || &qp->receives->cq == cq) {
            pthread_mutex_unlock(&verbs_double_lock);
            return EBUSY;
        }
    for (unsigned i = 0; comp != NULL && i < 64; i++)
        if (comp->ready[i] == cq)
            comp->ready[i] = NULL;
    pthread_mutex_unlock(&verbs_double_lock);
    return double_destroy(cq);
}

EXPORT int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **owner)
{
    struct comp *comp = (struct comp *)channel;
    char byte;
    *cq = NULL;
    while (*cq == NULL && read(channel->fd, &byte, 1) == 1) {
        pthread_mutex_lock(&verbs_double_lock);
        *cq = comp->ready[comp->head++ % 64];
        *owner = *cq != NULL ? (*cq)->cq_context : NULL;
        pthread_mutex_unlock(&verbs_double_lock);
    }
    return *cq != NULL ? 0 : -1;
}

EXPORT void ibv_ack_cq_events(struct ibv_cq *cq, unsigned count)
{
    (void)cq;
    (void)count;
}

EXPORT struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attributes)
{
    errno = verbs_double.way_errno;
    if (errno != 0)
        return NULL;
    struct ah *ah = double_make(sizeof *ah);
    verbs_double.way = attributes->grh.traffic_class << 8 | attributes->sl;
    verbs_double.way_from = attributes->grh.sgid_index;
    ah->ah.pd = pd;
    ah->to = attributes->grh.dgid;
    return &ah->ah;
}

EXPORT int ibv_destroy_ah(struct ibv_ah *ah)
{
    return double_destroy(ah);
}

EXPORT int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask)
{
    struct qp *self = (struct qp *)qp;
    if ((mask & IBV_QP_MIN_RNR_TIMER) != 0) {
        verbs_double.rnr_timer = attributes->min_rnr_timer;
        verbs_double.rnr_timers++;
    }
    if ((mask & IBV_QP_STATE) == 0)
        return mask == IBV_QP_MIN_RNR_TIMER ? 0 : EINVAL;
    pthread_mutex_lock(&verbs_double_lock);
    if (attributes->qp_state == IBV_QPS_RTR) /* without the connection manager */
        for (self->peer = double_qps; self->peer != NULL && self->peer->qp.qp_num != attributes->dest_qp_num;)
            self->peer = self->peer->next;
    bool there = self->peer != NULL;
    pthread_mutex_unlock(&verbs_double_lock);
    return there ? 0 : EINVAL;
}

EXPORT int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask, struct ibv_qp_init_attr *initial)
{
    (void)mask;
    (void)initial;
    if (verbs_double.untold)
        return 0;
    int forced = verbs_double.traffic_class;
    attributes->ah_attr.is_global = 1;
    attributes->ah_attr.grh.traffic_class = forced >= 0 ? (uint8_t)forced : ((struct qp *)qp)->tos;
    attributes->ah_attr.grh.sgid_index = (uint8_t)verbs_double.sgid_index;
    return 0;
}

#undef ibv_query_port
EXPORT int ibv_query_port(struct ibv_context *of, uint8_t port, struct _compat_ibv_port_attr *compat)
{
    struct ibv_port_attr *attributes = (void *)compat;
    (void)of;
    (void)port;
    int first = atomic_exchange(&verbs_double.mtu[0], 0);
    attributes->state = verbs_double.port_down ? IBV_PORT_DOWN : IBV_PORT_ACTIVE;
    attributes->active_mtu = (enum ibv_mtu)(first != 0 ? first : verbs_double.mtu[1]);
    return 0;
}

EXPORT int ibv_get_async_event(struct ibv_context *of, struct ibv_async_event *event)
{
    uint8_t what;
    if (read(of->async_fd, &what, 1) != 1)
        return -1;
    event->event_type = (enum ibv_event_type)what;
    event->element.port_num = 1;
    return 0;
}

EXPORT void ibv_ack_async_event(struct ibv_async_event *event)
{
    (void)event;
}

EXPORT const char *ibv_wc_status_str(enum ibv_wc_status status)
{
    return status == IBV_WC_RETRY_EXC_ERR ? "transport retry counter exceeded" : status == IBV_WC_LOC_LEN_ERR ? "local length error" : "other";
}

/* --- events --- */

void double_say(unsigned device, enum ibv_event_type what)
{
    uint8_t byte = (uint8_t)what;
    if (write(double_devices[device].async_write, &byte, 1) < 0)
        abort();
}

static void remove_device(unsigned device)
{
    pthread_mutex_lock(&verbs_double_lock);
    double_say_removed(&double_devices[device].context->context);
    double_say(device, IBV_EVENT_DEVICE_FATAL);
    pthread_mutex_unlock(&verbs_double_lock);
}

static void port_event(unsigned device, int up)
{
    pthread_mutex_lock(&verbs_double_lock);
    double_say(device, up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR);
    pthread_mutex_unlock(&verbs_double_lock);
}

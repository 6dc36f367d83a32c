/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_double.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define DEPTH 8192u
#define GRH 40u

static void remove_device(void);
static void port_event(int up);
EXPORT struct verbs_double verbs_double = {
    .traffic_class = -1, .mtu = {0, IBV_MTU_4096}, .max_inline = 256, .remove_device = remove_device, .port_event = port_event};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct cq {
    struct ibv_cq cq;
    struct ibv_wc done[DEPTH];
    unsigned head, tail;
    bool armed;
};

struct message {
    struct message *next;
    uint32_t length;
    uint8_t bytes[];
};

struct qp {
    struct ibv_qp qp;
    struct qp *next, *peer; /* of all; connected to */
    struct cq *sends, *receives;
    struct ibv_sge posted[DEPTH];
    uint64_t ids[DEPTH];
    unsigned head, tail;
    struct message *waiting; /* no receive is posted */
    struct { struct ibv_wc wc; } held[DEPTH]; /* completions not given yet */
    unsigned held_count;
    unsigned max_inline;
    uint8_t tos;
    bool error;
};

struct id {
    struct rdma_cm_id id;
    struct id *next, *peer;
    uint16_t port;
    uint8_t tos;
    bool listening;
    unsigned events; /* not acknowledged */
};

struct event {
    struct rdma_cm_event event;
    struct event *next;
    uint8_t data[256];
};

struct channel {
    struct rdma_event_channel channel;
    int write_fd;
    struct event *events;
};

struct comp {
    struct ibv_comp_channel channel;
    int write_fd;
    struct ibv_cq *ready[64];
    unsigned head, tail;
};

static struct ibv_device device = {.name = "double0"};
static struct ibv_context *context;
static int async_write = -1;
static enum ibv_event_type async_event;
static struct qp *qps;
static struct id *ids;
static uint32_t next_number = 17;

/* --- queues; with the lock held --- */

static void complete(struct cq *cq, const struct ibv_wc *done)
{
    cq->done[cq->tail++ % DEPTH] = *done;
    if (cq->armed && cq->cq.channel != NULL) {
        struct comp *comp = (struct comp *)cq->cq.channel;
        cq->armed = false;
        comp->ready[comp->tail++ % 64] = &cq->cq;
        if (write(comp->write_fd, "", 1) < 0)
            abort();
    }
}

static bool deliver(struct qp *to, const uint8_t *bytes, uint32_t length, uint32_t header)
{
    if (to->head == to->tail)
        return false;
    struct ibv_sge *sge = &to->posted[to->head % DEPTH];
    struct ibv_wc done = {.wr_id = to->ids[to->head % DEPTH], .qp_num = to->qp.qp_num, .byte_len = length + header, .opcode = IBV_WC_RECV};
    to->head++;
    verbs_double.receives++;
    if (sge->length < length + header) {
        done.status = IBV_WC_LOC_LEN_ERR;
    } else {
        memset((void *)(uintptr_t)sge->addr, 0xEE, header);
        memcpy((uint8_t *)(uintptr_t)sge->addr + header, bytes, length);
    }
    complete(to->receives, &done);
    return true;
}

static void break_qp(struct qp *qp)
{
    if (qp->error)
        return;
    qp->error = true;
    while (qp->head != qp->tail) {
        struct ibv_wc done = {.wr_id = qp->ids[qp->head % DEPTH], .status = IBV_WC_WR_FLUSH_ERR, .qp_num = qp->qp.qp_num};
        qp->head++;
        complete(qp->receives, &done);
    }
}

static int post_recv(struct ibv_qp *opaque, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    struct qp *qp = (struct qp *)opaque;
    (void)bad;
    pthread_mutex_lock(&lock);
    verbs_double.receive_posts++;
    for (; wr != NULL; wr = wr->next) {
        qp->posted[qp->tail % DEPTH] = wr->sg_list[0];
        qp->ids[qp->tail++ % DEPTH] = wr->wr_id;
    }
    while (qp->waiting != NULL && qp->head != qp->tail) {
        struct message *first = qp->waiting;
        qp->waiting = first->next;
        deliver(qp, first->bytes, first->length, 0);
        free(first);
    }
    if (qp->error) {
        qp->error = false;
        break_qp(qp);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

static void send_one(struct qp *qp, const struct ibv_send_wr *wr)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)wr->sg_list[0].addr;
    uint32_t length = wr->sg_list[0].length;
    struct ibv_wc done = {.wr_id = wr->wr_id, .qp_num = qp->qp.qp_num, .opcode = IBV_WC_SEND};
    verbs_double.sends++;
    verbs_double.inlined += (wr->send_flags & IBV_SEND_INLINE) != 0;
    verbs_double.signaled += (wr->send_flags & IBV_SEND_SIGNALED) != 0;
    int fail = atomic_exchange(&verbs_double.fail_status, 0);
    if (qp->error || fail != 0) {
        done.status = qp->error ? IBV_WC_WR_FLUSH_ERR : (enum ibv_wc_status)fail;
        complete(qp->sends, &done);
        break_qp(qp);
        return;
    }
    if (qp->qp.qp_type == IBV_QPT_UD) {
        for (struct qp *to = qps; to != NULL; to = to->next)
            if (to->qp.qp_num == wr->wr.ud.remote_qpn && !deliver(to, bytes, length, GRH))
                verbs_double.dropped++;
    } else if (qp->peer != NULL && (qp->peer->waiting != NULL || !deliver(qp->peer, bytes, length, 0))) {
        struct message *late = malloc(sizeof *late + length), **at = &qp->peer->waiting;
        late->next = NULL;
        late->length = length;
        memcpy(late->bytes, bytes, length);
        while (*at != NULL)
            at = &(*at)->next;
        *at = late;
    }
    if ((wr->send_flags & IBV_SEND_SIGNALED) == 0)
        return;
    if (verbs_double.hold_completions)
        qp->held[qp->held_count++].wc = done;
    else
        complete(qp->sends, &done);
}

static int post_send(struct ibv_qp *opaque, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    (void)bad;
    pthread_mutex_lock(&lock);
    for (; wr != NULL; wr = wr->next)
        send_one((struct qp *)opaque, wr);
    pthread_mutex_unlock(&lock);
    return 0;
}

static int poll_cq(struct ibv_cq *opaque, int most, struct ibv_wc *out)
{
    struct cq *cq = (struct cq *)opaque;
    int count = 0;
    pthread_mutex_lock(&lock);
    for (struct qp *qp = qps; qp != NULL && !verbs_double.hold_completions; qp = qp->next) {
        for (unsigned i = 0; qp->sends == cq && i < qp->held_count; i++)
            complete(cq, &qp->held[i].wc);
        qp->held_count = qp->sends == cq ? 0 : qp->held_count;
    }
    while (count < most && cq->head != cq->tail)
        out[count++] = cq->done[cq->head++ % DEPTH];
    pthread_mutex_unlock(&lock);
    return count;
}

static int req_notify_cq(struct ibv_cq *cq, int solicited)
{
    (void)solicited;
    pthread_mutex_lock(&lock);
    ((struct cq *)cq)->armed = true;
    pthread_mutex_unlock(&lock);
    return 0;
}

/* --- libibverbs --- */

static struct ibv_context *open_context(void)
{
    int fds[2];
    if (context != NULL)
        return context;
    context = calloc(1, sizeof *context);
    if (pipe(fds) != 0)
        abort();
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    context->device = &device;
    context->async_fd = fds[0];
    async_write = fds[1];
    context->ops.poll_cq = poll_cq;
    context->ops.req_notify_cq = req_notify_cq;
    context->ops.post_send = post_send;
    context->ops.post_recv = post_recv;
    verbs_double.objects++;
    return context;
}

EXPORT int ibv_close_device(struct ibv_context *of)
{
    close(of->async_fd);
    close(async_write);
    free(of);
    context = NULL;
    verbs_double.objects--;
    return 0;
}

static void *make(size_t size)
{
    verbs_double.objects++;
    return calloc(1, size);
}

static int destroy(void *object)
{
    verbs_double.objects--;
    free(object);
    return 0;
}

EXPORT struct ibv_pd *ibv_alloc_pd(struct ibv_context *of)
{
    struct ibv_pd *pd = make(sizeof *pd);
    pd->context = of;
    return pd;
}

EXPORT int ibv_dealloc_pd(struct ibv_pd *pd)
{
    return destroy(pd);
}

#undef ibv_reg_mr
EXPORT struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t length, int access)
{
    (void)access;
    errno = verbs_double.memory_errno;
    if (errno != 0)
        return NULL;
    struct ibv_mr *mr = make(sizeof *mr);
    mr->pd = pd;
    mr->addr = address;
    mr->length = length;
    return mr;
}

EXPORT int ibv_dereg_mr(struct ibv_mr *mr)
{
    return destroy(mr);
}

EXPORT struct ibv_cq *ibv_create_cq(struct ibv_context *of, int depth, void *owner, struct ibv_comp_channel *channel, int vector)
{
    struct cq *cq = make(sizeof *cq);
    (void)depth;
    (void)vector;
    cq->cq.context = of;
    cq->cq.cq_context = owner;
    cq->cq.channel = channel;
    return &cq->cq;
}

EXPORT struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *of)
{
    struct comp *comp = make(sizeof *comp);
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
    return destroy(channel);
}

/* As in the kernel, what nobody has taken goes with it. */
EXPORT int ibv_destroy_cq(struct ibv_cq *cq)
{
    struct comp *comp = (struct comp *)cq->channel;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; comp != NULL && i < 64; i++)
        if (comp->ready[i] == cq)
            comp->ready[i] = NULL;
    pthread_mutex_unlock(&lock);
    return destroy(cq);
}

EXPORT int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **owner)
{
    struct comp *comp = (struct comp *)channel;
    char byte;
    *cq = NULL;
    while (*cq == NULL && read(channel->fd, &byte, 1) == 1) {
        pthread_mutex_lock(&lock);
        *cq = comp->ready[comp->head++ % 64];
        *owner = *cq != NULL ? (*cq)->cq_context : NULL;
        pthread_mutex_unlock(&lock);
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
    struct ibv_ah *ah = make(sizeof *ah);
    verbs_double.way = attributes->grh.traffic_class << 8 | attributes->sl;
    ah->pd = pd;
    return ah;
}

EXPORT int ibv_destroy_ah(struct ibv_ah *ah)
{
    return destroy(ah);
}

EXPORT int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask)
{
    struct qp *self = (struct qp *)qp;
    if ((mask & IBV_QP_STATE) == 0)
        return mask == IBV_QP_MIN_RNR_TIMER ? 0 : EINVAL;
    pthread_mutex_lock(&lock);
    if (attributes->qp_state == IBV_QPS_RTR) /* without the connection manager */
        for (self->peer = qps; self->peer != NULL && self->peer->qp.qp_num != attributes->dest_qp_num;)
            self->peer = self->peer->next;
    bool there = self->peer != NULL;
    pthread_mutex_unlock(&lock);
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
    attributes->ah_attr.grh.sgid_index = (uint8_t)verbs_double.sgid_index;
    attributes->ah_attr.grh.traffic_class = forced >= 0 ? (uint8_t)forced : ((struct qp *)qp)->tos;
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
    char byte;
    if (read(of->async_fd, &byte, 1) != 1)
        return -1;
    event->event_type = async_event;
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

/* --- librdmacm --- */

static void push(struct id *id, enum rdma_cm_event_type what, int status, const void *data, size_t length, struct id *listener)
{
    struct channel *channel = (struct channel *)(listener != NULL ? listener : id)->id.channel;
    struct event *event = calloc(1, sizeof *event), **at = &channel->events;
    event->event.id = &id->id;
    event->event.event = what;
    event->event.status = status;
    memcpy(event->data, data, length);
    event->event.param.conn.private_data = length > 0 ? event->data : NULL;
    event->event.param.conn.private_data_len = (uint8_t)length;
    while (*at != NULL)
        at = &(*at)->next;
    *at = event;
    if (write(channel->write_fd, "", 1) < 0)
        abort();
}

EXPORT struct rdma_event_channel *rdma_create_event_channel(void)
{
    struct channel *channel = make(sizeof *channel);
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    channel->channel.fd = fds[0];
    channel->write_fd = fds[1];
    return &channel->channel;
}

EXPORT void rdma_destroy_event_channel(struct rdma_event_channel *opaque)
{
    struct channel *channel = (struct channel *)opaque;
    while (channel->events != NULL) {
        struct event *first = channel->events;
        channel->events = first->next;
        free(first);
    }
    close(channel->channel.fd);
    close(channel->write_fd);
    destroy(channel);
}

EXPORT int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **out, void *owner, enum rdma_port_space space)
{
    struct id *id = make(sizeof *id);
    pthread_mutex_lock(&lock);
    id->id.channel = channel;
    id->id.context = owner;
    id->id.ps = space;
    id->next = ids;
    ids = id;
    pthread_mutex_unlock(&lock);
    *out = &id->id;
    return 0;
}

EXPORT int rdma_destroy_id(struct rdma_cm_id *opaque)
{
    struct id *id = (struct id *)opaque, **at = &ids;
    pthread_mutex_lock(&lock);
    struct event **event = &((struct channel *)id->id.channel)->events;
    while (*event != NULL)
        if ((*event)->event.id == opaque) { /* what nobody has taken goes with it */
            struct event *gone = *event;
            char byte;
            *event = gone->next;
            free(gone);
            if (read(id->id.channel->fd, &byte, 1) != 1)
                abort();
        } else {
            event = &(*event)->next;
        }
    while (*at != id)
        at = &(*at)->next;
    *at = id->next;
    if (id->peer != NULL)
        id->peer->peer = NULL;
    pthread_mutex_unlock(&lock);
    return destroy(id);
}

EXPORT int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *address)
{
    if (verbs_double.no_device) {
        errno = ENODEV;
        return -1;
    }
    ((struct id *)id)->port = ntohs(((struct sockaddr_in *)address)->sin_port);
    pthread_mutex_lock(&lock);
    id->verbs = open_context();
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int timeout_ms)
{
    (void)timeout_ms;
    if (rdma_bind_addr(id, from) != 0)
        return -1;
    ((struct id *)id)->port = ntohs(((struct sockaddr_in *)to)->sin_port);
    pthread_mutex_lock(&lock);
    push((struct id *)id, RDMA_CM_EVENT_ADDR_RESOLVED, 0, "", 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
{
    (void)timeout_ms;
    pthread_mutex_lock(&lock);
    push((struct id *)id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0, "", 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attributes)
{
    if (attributes->cap.max_inline_data > (unsigned)verbs_double.max_inline) {
        errno = EINVAL;
        return -1;
    }
    struct qp *qp = make(sizeof *qp);
    qp->qp.context = id->verbs;
    qp->qp.pd = pd;
    qp->qp.qp_type = attributes->qp_type;
    qp->sends = (struct cq *)attributes->send_cq;
    qp->receives = (struct cq *)attributes->recv_cq;
    qp->max_inline = attributes->cap.max_inline_data;
    qp->tos = ((struct id *)id)->tos;
    pthread_mutex_lock(&lock);
    qp->qp.qp_num = next_number++;
    qp->next = qps;
    qps = qp;
    pthread_mutex_unlock(&lock);
    id->qp = &qp->qp;
    return 0;
}

EXPORT void rdma_destroy_qp(struct rdma_cm_id *id)
{
    struct qp *qp = (struct qp *)id->qp, **at = &qps;
    pthread_mutex_lock(&lock);
    while (*at != qp)
        at = &(*at)->next;
    *at = qp->next;
    if (qp->peer != NULL)
        qp->peer->peer = NULL;
    while (qp->waiting != NULL) {
        struct message *first = qp->waiting;
        qp->waiting = first->next;
        free(first);
    }
    pthread_mutex_unlock(&lock);
    id->qp = NULL;
    destroy(qp);
}

EXPORT int rdma_connect(struct rdma_cm_id *opaque, struct rdma_conn_param *parameters)
{
    struct id *id = (struct id *)opaque, *listener = ids;
    if (verbs_double.mute)
        return 0;
    pthread_mutex_lock(&lock);
    while (listener != NULL && !(listener->listening && listener->port == id->port))
        listener = listener->next;
    if (listener == NULL) {
        push(id, RDMA_CM_EVENT_REJECTED, 8, "", 0, NULL);
    } else {
        struct id *child = make(sizeof *child);
        child->id.channel = listener->id.channel;
        child->id.verbs = listener->id.verbs;
        child->peer = id;
        id->peer = child;
        child->next = ids;
        ids = child;
        push(child, RDMA_CM_EVENT_CONNECT_REQUEST, 0, parameters->private_data, parameters->private_data_len, listener);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_accept(struct rdma_cm_id *opaque, struct rdma_conn_param *parameters)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&lock);
    if (id->peer != NULL) {
        struct qp *a = (struct qp *)id->id.qp, *b = (struct qp *)id->peer->id.qp;
        a->peer = b;
        b->peer = a;
        push(id, RDMA_CM_EVENT_ESTABLISHED, 0, "", 0, NULL);
        push(id->peer, RDMA_CM_EVENT_ESTABLISHED, 0, parameters->private_data, parameters->private_data_len, NULL);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_reject(struct rdma_cm_id *opaque, const void *data, uint8_t length)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&lock);
    if (id->peer != NULL)
        push(id->peer, RDMA_CM_EVENT_REJECTED, 28, data, length, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_disconnect(struct rdma_cm_id *opaque)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&lock);
    break_qp((struct qp *)id->id.qp);
    if (id->peer != NULL)
        push(id->peer, RDMA_CM_EVENT_DISCONNECTED, 0, "", 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_listen(struct rdma_cm_id *id, int backlog)
{
    (void)backlog;
    ((struct id *)id)->listening = true;
    return 0;
}

EXPORT int rdma_get_cm_event(struct rdma_event_channel *opaque, struct rdma_cm_event **event)
{
    struct channel *channel = (struct channel *)opaque;
    char byte;
    pthread_mutex_lock(&lock);
    if (read(opaque->fd, &byte, 1) != 1) {
        pthread_mutex_unlock(&lock);
        errno = EAGAIN;
        return -1;
    }
    *event = &channel->events->event;
    channel->events = channel->events->next;
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_ack_cm_event(struct rdma_cm_event *event)
{
    free(event);
    return 0;
}

EXPORT int rdma_set_option(struct rdma_cm_id *id, int level, int name, void *value, size_t length)
{
    (void)length;
    if (level == RDMA_OPTION_ID && name == RDMA_OPTION_ID_TOS)
        ((struct id *)id)->tos = *(uint8_t *)value;
    return level == RDMA_OPTION_ID ? 0 : -1;
}

EXPORT int rdma_join_multicast(struct rdma_cm_id *id, struct sockaddr *group, void *owner)
{
    (void)group;
    (void)owner;
    pthread_mutex_lock(&lock);
    push((struct id *)id, RDMA_CM_EVENT_MULTICAST_JOIN, 0, "", 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int rdma_leave_multicast(struct rdma_cm_id *id, struct sockaddr *group)
{
    (void)id;
    (void)group;
    return 0;
}

EXPORT const char *rdma_event_str(enum rdma_cm_event_type event)
{
    return event == RDMA_CM_EVENT_REJECTED ? "rejected" : "event";
}

static void say_async(enum ibv_event_type what)
{
    async_event = what;
    if (write(async_write, "", 1) < 0)
        abort();
}

static void remove_device(void)
{
    pthread_mutex_lock(&lock);
    for (struct id *id = ids; id != NULL; id = id->next)
        if (id->id.verbs != NULL)
            push(id, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, "", 0, NULL);
    say_async(IBV_EVENT_DEVICE_FATAL);
    pthread_mutex_unlock(&lock);
}

static void port_event(int up)
{
    pthread_mutex_lock(&lock);
    say_async(up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR);
    pthread_mutex_unlock(&lock);
}

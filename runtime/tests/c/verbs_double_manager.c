/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_double_parts.h"

static struct id *ids;
static uint32_t next_number = 17;

static struct event *push(struct id *id, enum rdma_cm_event_type what, int status, const void *data, size_t length, struct id *listener)
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
    return event;
}

EXPORT struct rdma_event_channel *rdma_create_event_channel(void)
{
    struct channel *channel = double_make(sizeof *channel);
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
    double_destroy(channel);
}

EXPORT int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **out, void *owner, enum rdma_port_space space)
{
    struct id *id = double_make(sizeof *id);
    pthread_mutex_lock(&verbs_double_lock);
    id->id.channel = channel;
    id->id.context = owner;
    id->id.ps = space;
    id->next = ids;
    ids = id;
    pthread_mutex_unlock(&verbs_double_lock);
    *out = &id->id;
    return 0;
}

EXPORT int rdma_destroy_id(struct rdma_cm_id *opaque)
{
    struct id *id = (struct id *)opaque, **at = &ids;
    pthread_mutex_lock(&verbs_double_lock);
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
    pthread_mutex_unlock(&verbs_double_lock);
    return double_destroy(id);
}

EXPORT int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *address)
{
    if (verbs_double.no_device) {
        errno = ENODEV;
        return -1;
    }
    const struct sockaddr_in *at = (struct sockaddr_in *)address;
    ((struct id *)id)->port = ntohs(at->sin_port);
    pthread_mutex_lock(&verbs_double_lock);
    id->verbs = double_open(at->sin_addr.s_addr == htonl(INADDR_LOOPBACK) ? 0 : 1);
    id->port_num = 1;
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int timeout_ms)
{
    (void)timeout_ms;
    if (rdma_bind_addr(id, from) != 0)
        return -1;
    ((struct id *)id)->port = ntohs(((struct sockaddr_in *)to)->sin_port);
    pthread_mutex_lock(&verbs_double_lock);
    push((struct id *)id, RDMA_CM_EVENT_ADDR_RESOLVED, 0, "", 0, NULL);
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
{
    (void)timeout_ms;
    pthread_mutex_lock(&verbs_double_lock);
    push((struct id *)id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0, "", 0, NULL);
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attributes)
{
    if (attributes->cap.max_inline_data > (unsigned)verbs_double.max_inline) {
        errno = EINVAL;
        return -1;
    }
    bool stamped = ((struct cq *)attributes->send_cq)->stamped.comp_mask != 0;
    if (stamped && verbs_double.stamped_pair_errno != 0) {
        errno = verbs_double.stamped_pair_errno;
        return -1;
    }
    struct qp *qp = double_make(sizeof *qp);
    qp->qp.context = id->verbs;
    qp->qp.pd = pd;
    qp->qp.qp_type = attributes->qp_type;
    qp->sends = (struct cq *)attributes->send_cq;
    qp->receives = (struct cq *)attributes->recv_cq;
    qp->max_inline = attributes->cap.max_inline_data;
    qp->tos = ((struct id *)id)->tos;
    pthread_mutex_lock(&verbs_double_lock);
    qp->qp.qp_num = next_number++;
    qp->next = double_qps;
    double_qps = qp;
    pthread_mutex_unlock(&verbs_double_lock);
    id->qp = &qp->qp;
    return 0;
}

static const union ibv_gid no_group;

static bool is_group(const union ibv_gid *a, const union ibv_gid *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* As librdmacm, which tells nobody that the kernel refuses while the queue pair is in a group: it stays. */
EXPORT void rdma_destroy_qp(struct rdma_cm_id *id)
{
    struct qp *qp = (struct qp *)id->qp, **at = &double_qps;
    id->qp = NULL;
    if (!is_group(&qp->groups[0], &no_group) || !is_group(&qp->groups[1], &no_group))
        return;
    pthread_mutex_lock(&verbs_double_lock);
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
    pthread_mutex_unlock(&verbs_double_lock);
    double_destroy(qp);
}

EXPORT int rdma_connect(struct rdma_cm_id *opaque, struct rdma_conn_param *parameters)
{
    struct id *id = (struct id *)opaque, *listener = ids;
    if (verbs_double.mute == 1)
        return 0;
    pthread_mutex_lock(&verbs_double_lock);
    while (listener != NULL && !(listener->listening && listener->port == id->port))
        listener = listener->next;
    if (double_link_down) {
        push(id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT, "", 0, NULL);
    } else if (listener == NULL) {
        push(id, RDMA_CM_EVENT_REJECTED, 8, "", 0, NULL);
    } else {
        struct id *child = double_make(sizeof *child);
        child->id.channel = listener->id.channel;
        child->id.verbs = listener->id.verbs;
        child->peer = id;
        child->tos = id->tos; /* the request carries it */
        id->peer = child;
        child->next = ids;
        ids = child;
        push(child, RDMA_CM_EVENT_CONNECT_REQUEST, 0, parameters->private_data, parameters->private_data_len, listener);
    }
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_accept(struct rdma_cm_id *opaque, struct rdma_conn_param *parameters)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&verbs_double_lock);
    if (id->peer != NULL && verbs_double.mute == 0) {
        struct qp *a = (struct qp *)id->id.qp, *b = (struct qp *)id->peer->id.qp;
        a->peer = b;
        b->peer = a;
        push(id, RDMA_CM_EVENT_ESTABLISHED, 0, "", 0, NULL);
        push(id->peer, RDMA_CM_EVENT_ESTABLISHED, 0, parameters->private_data, parameters->private_data_len, NULL);
    }
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_reject(struct rdma_cm_id *opaque, const void *data, uint8_t length)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&verbs_double_lock);
    if (id->peer != NULL)
        push(id->peer, RDMA_CM_EVENT_REJECTED, 28, data, length, NULL);
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

EXPORT int rdma_disconnect(struct rdma_cm_id *opaque)
{
    struct id *id = (struct id *)opaque;
    pthread_mutex_lock(&verbs_double_lock);
    double_break((struct qp *)id->id.qp);
    if (id->peer != NULL && !double_link_down)
        push(id->peer, RDMA_CM_EVENT_DISCONNECTED, 0, "", 0, NULL);
    pthread_mutex_unlock(&verbs_double_lock);
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
    pthread_mutex_lock(&verbs_double_lock);
    if (read(opaque->fd, &byte, 1) != 1) {
        pthread_mutex_unlock(&verbs_double_lock);
        errno = EAGAIN;
        return -1;
    }
    *event = &channel->events->event;
    channel->events = channel->events->next;
    pthread_mutex_unlock(&verbs_double_lock);
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
    if (level == RDMA_OPTION_ID && name == RDMA_OPTION_ID_ACK_TIMEOUT)
        verbs_double.ack_timeout = *(uint8_t *)value;
    return level == RDMA_OPTION_ID ? 0 : -1;
}

/* The GID of an IPv4 group, of RoCE v2. */
static union ibv_gid group_gid(const struct sockaddr *group)
{
    union ibv_gid gid = {.raw = {[10] = 0xff, [11] = 0xff}};
    memcpy(gid.raw + 12, &((const struct sockaddr_in *)group)->sin_addr, 4);
    return gid;
}

/* Change one of a queue pair's groups into another. */
static int change_group(struct rdma_cm_id *id, const union ibv_gid *from, const union ibv_gid *to)
{
    struct qp *qp = (struct qp *)id->qp;
    for (unsigned i = 0; i < 2; i++)
        if (is_group(&qp->groups[i], from)) {
            qp->groups[i] = *to;
            return 0;
        }
    errno = EADDRNOTAVAIL;
    return -1;
}

EXPORT int rdma_join_multicast(struct rdma_cm_id *id, struct sockaddr *group, void *owner)
{
    union ibv_gid gid = group_gid(group);
    (void)owner;
    pthread_mutex_lock(&verbs_double_lock);
    int result = change_group(id, &no_group, &gid);
    if (result == 0)
        push((struct id *)id, RDMA_CM_EVENT_MULTICAST_JOIN, 0, "", 0, NULL)->event.param.ud =
            (struct rdma_ud_param){.ah_attr = {.is_global = 1, .grh = {.dgid = gid}}, .qp_num = MULTICAST, .qkey = RDMA_UDP_QKEY};
    pthread_mutex_unlock(&verbs_double_lock);
    return result;
}

EXPORT int rdma_leave_multicast(struct rdma_cm_id *id, struct sockaddr *group)
{
    union ibv_gid gid = group_gid(group);
    pthread_mutex_lock(&verbs_double_lock);
    int result = change_group(id, &gid, &no_group);
    pthread_mutex_unlock(&verbs_double_lock);
    return result;
}

EXPORT const char *rdma_event_str(enum rdma_cm_event_type event)
{
    return event == RDMA_CM_EVENT_REJECTED ? "rejected" : "event";
}

void double_say_removed(const struct ibv_context *context)
{
    for (struct id *id = ids; id != NULL; id = id->next)
        if (id->id.verbs == context)
            push(id, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, "", 0, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_double_parts.h"

struct qp *double_qps; /* all there are */
bool double_link_down;

/* With the lock held, up to post_recv. */

static void complete(struct cq *cq, const struct ibv_wc *done)
{
    cq->ticks[cq->tail % DEPTH] = double_ticks();
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

/* What is not acknowledged: the first for a reason, the others are flushed. */
static void end_sends(struct qp *qp, enum ibv_wc_status status)
{
    for (unsigned i = 0; i < qp->held_count; i++) {
        qp->held[i].wc.status = i == 0 ? status : IBV_WC_WR_FLUSH_ERR;
        complete(qp->sends, &qp->held[i].wc);
    }
    qp->held_count = 0;
}

void double_break(struct qp *qp)
{
    if (qp->error)
        return;
    end_sends(qp, IBV_WC_WR_FLUSH_ERR);
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
    pthread_mutex_lock(&verbs_double_lock);
    verbs_double.receive_posts++;
    for (; wr != NULL; wr = wr->next) {
        double_check_memory(opaque, wr->sg_list);
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
        double_break(qp);
    }
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

/* A datagram reaches who has its key: one queue pair, or all that have joined the group. */
static bool is_meant(const struct qp *to, const struct ibv_send_wr *wr)
{
    const union ibv_gid *gid = &((const struct ah *)wr->wr.ud.ah)->to;
    if (to->qp.qp_type != IBV_QPT_UD || wr->wr.ud.remote_qkey != RDMA_UDP_QKEY)
        return false;
    if (wr->wr.ud.remote_qpn != MULTICAST)
        return to->qp.qp_num == wr->wr.ud.remote_qpn;
    return memcmp(gid, &to->groups[0], sizeof *gid) == 0 || memcmp(gid, &to->groups[1], sizeof *gid) == 0;
}

/* A message of a reliable connection; it waits for a receive. */
static void arrive(struct qp *to, const uint8_t *bytes, uint32_t length)
{
    if (to->waiting == NULL && deliver(to, bytes, length, 0))
        return;
    struct message *late = malloc(sizeof *late + length), **at = &to->waiting;
    late->next = NULL;
    late->length = length;
    memcpy(late->bytes, bytes, length);
    while (*at != NULL)
        at = &(*at)->next;
    *at = late;
}

static bool is_to_fail(const struct qp *qp, uint32_t length)
{
    unsigned from = verbs_double.fail_from;
    return from == 0 || (qp->qp.qp_type == IBV_QPT_RC && length >= from);
}

/* The other end's queue pair is gone or in error, or the way to it: nothing is acknowledged. */
static bool is_unanswered(const struct qp *qp)
{
    return qp->qp.qp_type == IBV_QPT_RC && (double_link_down || qp->peer == NULL || qp->peer->error);
}

static void send_one(struct qp *qp, const struct ibv_send_wr *wr)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)wr->sg_list[0].addr;
    uint32_t length = wr->sg_list[0].length;
    struct ibv_wc done = {.wr_id = wr->wr_id, .qp_num = qp->qp.qp_num, .opcode = IBV_WC_SEND};
    if ((wr->send_flags & IBV_SEND_INLINE) == 0)
        double_check_memory(&qp->qp, wr->sg_list);
    verbs_double.sends++;
    verbs_double.inlined += (wr->send_flags & IBV_SEND_INLINE) != 0;
    verbs_double.signaled += (wr->send_flags & IBV_SEND_SIGNALED) != 0;
    enum ibv_wc_status fail = is_to_fail(qp, length) ? atomic_exchange(&verbs_double.fail_status, 0) : IBV_WC_SUCCESS;
    if (fail != IBV_WC_SUCCESS && verbs_double.fail_arrives && qp->peer != NULL)
        arrive(qp->peer, bytes, length);
    if (qp->error)
        fail = IBV_WC_WR_FLUSH_ERR;
    else if (fail == IBV_WC_SUCCESS && is_unanswered(qp))
        fail = IBV_WC_RETRY_EXC_ERR;
    if (fail != IBV_WC_SUCCESS) {
        qp->held[qp->held_count++].wc = done;
        end_sends(qp, fail);
        double_break(qp);
        return;
    }
    if (qp->qp.qp_type == IBV_QPT_UD && double_link_down) {
        verbs_double.dropped++;
    } else if (qp->qp.qp_type == IBV_QPT_UD) {
        for (struct qp *to = double_qps; to != NULL; to = to->next)
            if (is_meant(to, wr) && !deliver(to, bytes, length, GRH))
                verbs_double.dropped++;
    } else {
        arrive(qp->peer, bytes, length);
    }
    bool signaled = (wr->send_flags & IBV_SEND_SIGNALED) != 0;
    if (verbs_double.hold_completions) {
        qp->held[qp->held_count].wc = done;
        qp->held[qp->held_count++].signaled = signaled;
    } else if (signaled) {
        complete(qp->sends, &done);
    }
}

static int post_send(struct ibv_qp *opaque, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    (void)bad;
    pthread_mutex_lock(&verbs_double_lock);
    for (; wr != NULL; wr = wr->next)
        send_one((struct qp *)opaque, wr);
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

void double_release_held(struct cq *cq)
{
    for (struct qp *qp = double_qps; qp != NULL && !verbs_double.hold_completions; qp = qp->next) {
        for (unsigned i = 0; qp->sends == cq && i < qp->held_count; i++)
            if (qp->held[i].signaled)
                complete(cq, &qp->held[i].wc);
        qp->held_count = qp->sends == cq ? 0 : qp->held_count;
    }
}

void double_link(int up)
{
    pthread_mutex_lock(&verbs_double_lock);
    double_link_down = !up;
    for (struct qp *qp = double_qps; qp != NULL; qp = qp->next)
        if (!up && qp->qp.qp_type == IBV_QPT_RC && qp->held_count > 0) {
            end_sends(qp, IBV_WC_RETRY_EXC_ERR);
            double_break(qp);
        }
    pthread_mutex_unlock(&verbs_double_lock);
}

/* For tests that do not read C: what the next send of so many bytes or more ends in, and the link. */
EXPORT void verbs_double_fail(int status, unsigned from, int arrives)
{
    verbs_double.fail_from = from;
    verbs_double.fail_arrives = arrives;
    verbs_double.fail_status = status;
}

EXPORT void verbs_double_link(int up)
{
    double_link(up);
    verbs_double.port_event(0, up);
}

static int poll_cq(struct ibv_cq *opaque, int most, struct ibv_wc *out)
{
    struct cq *cq = (struct cq *)opaque;
    int count = 0;
    pthread_mutex_lock(&verbs_double_lock);
    double_release_held(cq);
    while (count < most && cq->head != cq->tail)
        out[count++] = cq->done[cq->head++ % DEPTH];
    pthread_mutex_unlock(&verbs_double_lock);
    return count;
}

static int req_notify_cq(struct ibv_cq *cq, int solicited)
{
    (void)solicited;
    pthread_mutex_lock(&verbs_double_lock);
    ((struct cq *)cq)->armed = true;
    pthread_mutex_unlock(&verbs_double_lock);
    return 0;
}

void double_wire_context(struct ibv_context *context)
{
    context->ops.poll_cq = poll_cq;
    context->ops.req_notify_cq = req_notify_cq;
    context->ops.post_send = post_send;
    context->ops.post_recv = post_recv;
}

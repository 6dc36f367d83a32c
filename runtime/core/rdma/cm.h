/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection manager's messages, datagrams to queue pair 1 (InfiniBand Architecture Specification, volume 1, chapters 12 and 13):
 * a request (REQ) names the queue pair that asks, the reply (REP) the one that answers, and both the ids that join them. Requests
 * wait for their reply in a ring; the oldest is forgotten when it is full. */
#ifndef TICKWIRE_RDMA_CM_H
#define TICKWIRE_RDMA_CM_H

#include "packet.h"

#define CM_PENDING 256
#define CM_QP 1

struct cm_request {
    struct address source, destination;
    uint32_t id, qp;
    bool used;
};

struct cm {
    struct cm_request pending[CM_PENDING];
    uint32_t next;
};

/* A connection: queue pair `asking_qp` of `asking`, and `asked_qp` of `asked`. */
struct cm_connection {
    struct address asking, asked;
    uint32_t asking_qp, asked_qp;
};

/* True when the packet is the reply that makes a connection. */
bool cm_read(struct cm *cm, const struct roce_packet *packet, struct cm_connection *connection);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * libibverbs and librdmacm, loaded when a side of the configuration says "verbs": without them the runtime installs and works, over
 * everything else. Their headers are needed to build (docs/decisions/0016).
 *
 * A queue is polled and a request posted through pointers in the objects themselves, inline in the header, so that only what makes,
 * changes and ends objects is looked up here. */
#ifndef TICKWIRE_TRANSPORT_VERBS_LIBRARY_H
#define TICKWIRE_TRANSPORT_VERBS_LIBRARY_H

#if defined(__has_include)
#if !__has_include(<infiniband/verbs.h>) || !__has_include(<rdma/rdma_cma.h>)
#error "the headers of rdma-core are missing; Debian: apt-get install libibverbs-dev librdmacm-dev, RHEL: dnf install rdma-core-devel"
#endif
#endif

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "../failure.h"

#define VERBS_CONTEXTS 4

struct verbs_library {
    void *handles[2];
    const char *rdmacm; /* as loaded */
    struct ibv_context *contexts[VERBS_CONTEXTS]; /* librdmacm's, of the devices that were used */
    /* libibverbs */
    int (*close_device)(struct ibv_context *context);
    struct ibv_pd *(*alloc_pd)(struct ibv_context *context);
    int (*dealloc_pd)(struct ibv_pd *pd);
    struct ibv_mr *(*reg_mr)(struct ibv_pd *pd, void *address, size_t length, int access);
    int (*dereg_mr)(struct ibv_mr *mr);
    struct ibv_cq *(*create_cq)(struct ibv_context *context, int depth, void *of, struct ibv_comp_channel *channel, int vector);
    int (*destroy_cq)(struct ibv_cq *cq);
    struct ibv_comp_channel *(*create_comp_channel)(struct ibv_context *context);
    int (*destroy_comp_channel)(struct ibv_comp_channel *channel);
    int (*get_cq_event)(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **of);
    void (*ack_cq_events)(struct ibv_cq *cq, unsigned count);
    struct ibv_ah *(*create_ah)(struct ibv_pd *pd, struct ibv_ah_attr *attributes);
    int (*destroy_ah)(struct ibv_ah *ah);
    int (*modify_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask);
    int (*query_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask, struct ibv_qp_init_attr *initial);
    int (*query_port)(struct ibv_context *context, uint8_t port, void *attributes); /* a struct ibv_port_attr, in part */
    int (*get_async_event)(struct ibv_context *context, struct ibv_async_event *event);
    void (*ack_async_event)(struct ibv_async_event *event);
    const char *(*wc_status_str)(enum ibv_wc_status status);
    const char *(*event_type_str)(enum ibv_event_type event);
    /* librdmacm */
    struct rdma_event_channel *(*create_event_channel)(void);
    void (*destroy_event_channel)(struct rdma_event_channel *channel);
    int (*create_id)(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *of, enum rdma_port_space space);
    int (*destroy_id)(struct rdma_cm_id *id);
    int (*bind_addr)(struct rdma_cm_id *id, struct sockaddr *address);
    int (*resolve_addr)(struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int timeout_ms);
    int (*resolve_route)(struct rdma_cm_id *id, int timeout_ms);
    int (*create_qp)(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attributes);
    void (*destroy_qp)(struct rdma_cm_id *id);
    int (*connect)(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
    int (*disconnect)(struct rdma_cm_id *id);
    int (*listen)(struct rdma_cm_id *id, int backlog);
    int (*accept)(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
    int (*reject)(struct rdma_cm_id *id, const void *data, uint8_t length);
    int (*get_cm_event)(struct rdma_event_channel *channel, struct rdma_cm_event **event);
    int (*ack_cm_event)(struct rdma_cm_event *event);
    int (*set_option)(struct rdma_cm_id *id, int level, int name, void *value, size_t length);
    int (*join_multicast)(struct rdma_cm_id *id, struct sockaddr *group, void *of);
    int (*leave_multicast)(struct rdma_cm_id *id, struct sockaddr *group);
    const char *(*event_str)(enum rdma_cm_event_type event);
};

/* Where things are: the tests put doubles there. */
struct verbs_places {
    const char *ibverbs, *rdmacm; /* for dlopen */
    const char *sysfs;            /* the directory of the RDMA devices */
};
extern const struct verbs_places verbs_places;

/* A channel whose events are taken without waiting, or NULL with `failure`. */
struct rdma_event_channel *verbs_channel(const struct verbs_library *library, struct failure *failure);

/* False: what is missing and which package has it. */
bool verbs_library_open(struct verbs_library *library, const struct verbs_places *places, struct failure *failure);

/* librdmacm opens a device on first use and never closes it, and the kernel cannot remove a device that is open. So devices are noted
 * here, and closed when librdmacm has been unloaded and has forgotten them; not when somebody else in the process still uses it. */
void verbs_library_note(struct verbs_library *library, struct ibv_context *context);
void verbs_library_close(struct verbs_library *library);

#endif

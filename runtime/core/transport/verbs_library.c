/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

const struct verbs_places verbs_places = {"libibverbs.so.1", "librdmacm.so.1", "/sys/class/infiniband"};

enum { IBVERBS, RDMACM };

#define IBV(function) {IBVERBS, "ibv_" #function, offsetof(struct verbs_library, function)}
#define RDMA(function) {RDMACM, "rdma_" #function, offsetof(struct verbs_library, function)}

static const struct {
    int library;
    const char *name;
    size_t offset;
} symbols[] = {
    IBV(close_device), IBV(alloc_pd), IBV(dealloc_pd), IBV(reg_mr), IBV(dereg_mr), IBV(create_cq), IBV(destroy_cq), IBV(create_comp_channel),
    IBV(destroy_comp_channel), IBV(get_cq_event), IBV(ack_cq_events), IBV(create_ah), IBV(destroy_ah), IBV(modify_qp), IBV(query_qp),
    IBV(query_port), IBV(get_async_event), IBV(ack_async_event), IBV(wc_status_str), IBV(event_type_str),
    RDMA(create_event_channel), RDMA(destroy_event_channel), RDMA(create_id), RDMA(destroy_id), RDMA(bind_addr), RDMA(resolve_addr),
    RDMA(resolve_route), RDMA(create_qp), RDMA(destroy_qp), RDMA(connect), RDMA(disconnect), RDMA(listen), RDMA(accept),
    RDMA(reject), RDMA(get_cm_event), RDMA(ack_cm_event), RDMA(set_option), RDMA(join_multicast), RDMA(leave_multicast),
    RDMA(event_str),
};

bool verbs_library_open(struct verbs_library *library, const struct verbs_places *places, struct failure *failure)
{
    static const char *const packages[] = {"libibverbs1 (and ibverbs-providers)", "librdmacm1"};
    const char *const files[] = {places->ibverbs, places->rdmacm};
    memset(library, 0, sizeof *library);
    library->rdmacm = places->rdmacm;
    for (int i = 0; i < 2; i++) {
        library->handles[i] = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
        if (library->handles[i] == NULL) {
            verbs_library_close(library);
            return failure_set(failure, ENOENT,
                               "transport \"verbs\" needs %s, which cannot be loaded: install Debian's %s (RHEL: rdma-core), or choose "
                               "transport = \"socket\"",
                               files[i], packages[i]);
        }
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *found = dlsym(library->handles[symbols[i].library], symbols[i].name);
        if (found == NULL) {
            verbs_library_close(library);
            return failure_set(failure, ENOSYS, "%s has no %s: rdma-core is too old, version 28 or later is needed",
                               files[symbols[i].library], symbols[i].name);
        }
        memcpy((char *)library + symbols[i].offset, &found, sizeof found);
    }
    return true;
}

struct rdma_event_channel *verbs_channel(const struct verbs_library *library, struct failure *failure)
{
    struct rdma_event_channel *channel = library->create_event_channel();
    if (channel != NULL)
        fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK);
    else if (errno == ENODEV)
        failure_set(failure, ENODEV,
                    "there is no RDMA device here (`rdma link show`); load the network card's driver, or for Soft-RoCE: rdma link add rxe0 "
                    "type rxe netdev IF");
    else
        failure_set(failure, errno, "RDMA connection manager: %s; load its module (modprobe rdma_ucm), and give the user /dev/infiniband/rdma_cm",
                    strerror(errno));
    return channel;
}

void verbs_library_note(struct verbs_library *library, struct ibv_context *context)
{
    int i = 0;
    while (i < VERBS_CONTEXTS && library->contexts[i] != NULL && library->contexts[i] != context)
        i++;
    if (i < VERBS_CONTEXTS)
        library->contexts[i] = context;
}

void verbs_library_close(struct verbs_library *library)
{
    if (library->handles[RDMACM] != NULL) {
        dlclose(library->handles[RDMACM]);
        void *loaded = dlopen(library->rdmacm, RTLD_NOW | RTLD_NOLOAD);
        if (loaded != NULL)
            dlclose(loaded);
        for (int i = 0; loaded == NULL && i < VERBS_CONTEXTS && library->contexts[i] != NULL; i++)
            library->close_device(library->contexts[i]);
    }
    if (library->handles[IBVERBS] != NULL)
        dlclose(library->handles[IBVERBS]);
    memset(library, 0, sizeof *library);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_library.h"

#include <dlfcn.h>
#include <errno.h>
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
    IBV(alloc_pd), IBV(dealloc_pd), IBV(reg_mr), IBV(dereg_mr), IBV(create_cq), IBV(destroy_cq), IBV(create_comp_channel),
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

void verbs_library_close(struct verbs_library *library)
{
    for (int i = 1; i >= 0; i--)
        if (library->handles[i] != NULL)
            dlclose(library->handles[i]);
    memset(library, 0, sizeof *library);
}

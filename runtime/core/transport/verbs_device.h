/* SPDX-License-Identifier: Apache-2.0
 *
 * One RDMA device as a side uses it: bound by the address of its interface, with a protection domain and the transport's memory
 * registered once, at start. */
#ifndef TICKWIRE_TRANSPORT_VERBS_DEVICE_H
#define TICKWIRE_TRANSPORT_VERBS_DEVICE_H

#include "verbs_gid.h"
#include "verbs_library.h"

struct verbs_device {
    struct verbs_library *library;
    struct rdma_cm_id *id; /* bound to the address; hears of the device's removal */
    struct ibv_context *context; /* librdmacm's, the same for all ids on the device; NULL: not open */
    struct ibv_pd *pd;
    struct ibv_mr *mr;
    const char *sysfs;
    const char *section; /* of the configuration, with the settings it was opened by */
    struct verbs_gid gid;
    bool fixed_index; /* the configuration names it */
    struct sockaddr_in address; /* of the interface */
    uint32_t mtu;               /* bytes of the port's path MTU: the most a datagram holds */
    bool stamped;               /* its completions are wanted with the device's stamps (verbs_queue.h) */
    bool down;                  /* the keeper's: its port, by the last event of it */
};

/* Open the device of `interface` (the configuration's `key`) and register `bytes` from `memory`. Events of the device come on
 * `channel`. On failure everything is closed again. */
bool verbs_device_open(struct verbs_device *device, struct verbs_library *library, const char *sysfs,
                       struct rdma_event_channel *channel, const char *key, const char *interface,
                       const struct verbs_settings *settings, void *memory, size_t bytes, struct failure *failure);
void verbs_device_close(struct verbs_device *device);

/* The GID of a connected queue pair, and so its RoCE version, must be the wanted one; its index too where that is fixed; and so must
 * be the DSCP of its packets when `tos` is one (-1: whatever it is; of the other two bits cards make their own; RoCE v1 has none).
 * Drivers that do not tell (irdma) are taken at their word. */
bool verbs_device_check(const struct verbs_device *device, struct ibv_qp *qp, int tos, struct failure *failure);

#endif

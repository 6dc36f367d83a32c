/* SPDX-License-Identifier: Apache-2.0
 *
 * Which RDMA device, port and GID index an IPv4 address stands for, by the kernel's own tables in sysfs: the GID is the address
 * mapped into IPv6, its type the RoCE version. The rules are those of the collection's plugins/module_utils/rdma/link.py. */
#ifndef TICKWIRE_TRANSPORT_VERBS_GID_H
#define TICKWIRE_TRANSPORT_VERBS_GID_H

#include <netinet/in.h>
#include <stdint.h>

#include "../failure.h"

struct verbs_settings {
    uint8_t roce_version; /* 1 or 2 */
    int32_t gid_index;    /* -1: found; else it must be that of the interface */
    uint16_t mtu;         /* bytes, the path MTU the port has to have; 0: any */
    bool hugepages;       /* refuse ordinary pages */
};

struct verbs_gid {
    char device[64];
    char netdev[16];
    uint8_t port;
    uint8_t index;
    uint8_t version; /* of RoCE */
    uint8_t bytes[16];
};

/* The section of the configuration that has the settings beside `key`: "rdma" of the exchange, "verbs" of the engine. */
const char *verbs_section(const char *key);

/* The GID of `address`, which the configuration has as `key` (for errors), of the wanted version and index. False: ENODEV with the GIDs
 * there are and the next step. */
bool verbs_find_gid(const char *sysfs, const char *key, struct in_addr address, const struct verbs_settings *settings,
                    struct verbs_gid *found, struct failure *failure);

/* Whether the same GID, of the same version, is at `index` of its port now: a link that was down may have moved it. */
bool verbs_gid_is_at(const char *sysfs, const struct verbs_gid *gid, unsigned index);

#endif

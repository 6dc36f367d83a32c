/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static bool bind_to(struct verbs_device *device, struct rdma_event_channel *channel, const char *key, const char *interface,
                    struct failure *failure)
{
    struct verbs_library *library = device->library;
    struct sockaddr_in any_port = device->address;
    if (library->create_id(channel, &device->id, device, RDMA_PS_UDP) != 0) {
        device->id = NULL;
        return failure_set(failure, errno,
                           "RDMA connection manager: %s; load its module (modprobe rdma_ucm), and give the user /dev/infiniband/rdma_cm",
                           strerror(errno));
    }
    if (library->bind_addr(device->id, (struct sockaddr *)&any_port) != 0)
        return failure_set(failure, errno, "%s %s: the RDMA connection manager cannot use it: %s; see `ip -br address` and `rdma link show`",
                           key, interface, strerror(errno));
    device->context = device->id->verbs;
    if (device->context == NULL)
        return failure_set(failure, ENODEV, "%s %s: the RDMA connection manager has no device for it; see `rdma link show`", key,
                           interface);
    verbs_library_note(device->library, device->context);
    if (strcmp(device->context->device->name, device->gid.device) != 0)
        return failure_set(failure, ENODEV,
                           "%s %s: the connection manager takes %s, the GID is of %s; give the two devices addresses of their own", key,
                           interface, device->context->device->name, device->gid.device);
    return true;
}

static bool check_port(struct verbs_device *device, uint32_t wanted, struct failure *failure)
{
    struct ibv_port_attr port = {0};
    int error = device->library->query_port(device->context, device->gid.port, &port);
    if (error != 0)
        return failure_set(failure, error, "%s port %u cannot be queried: %s", device->gid.device, device->gid.port, strerror(error));
    if (port.state != IBV_PORT_ACTIVE)
        return failure_set(failure, ENETDOWN, "%s port %u is down: look at `ip link show %s`", device->gid.device, device->gid.port,
                           device->gid.netdev);
    device->mtu = 128u << port.active_mtu;
    if (wanted == 0 || device->mtu == wanted)
        return true;
    return failure_set(failure, EMSGSIZE,
                       "MTU mismatch: the RDMA MTU of %s port %u is %u, %s.mtu wants %u; see `ip link show %s`: its MTU has to be the "
                       "intent's (fabric.mtu.host), or correct %s.mtu",
                       device->gid.device, device->gid.port, device->mtu, device->section, wanted, device->gid.netdev, device->section);
}

static bool register_memory(struct verbs_device *device, void *memory, size_t bytes, struct failure *failure)
{
    device->pd = device->library->alloc_pd(device->context);
    if (device->pd == NULL)
        return failure_set(failure, errno, "%s: protection domain: %s", device->gid.device, strerror(errno));
    device->mr = device->library->reg_mr(device->pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE);
    if (device->mr != NULL)
        return true;
    int error = errno;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur != RLIM_INFINITY)
        return failure_set(failure, error == ENOMEM ? EPERM : error,
                           "%s: %zu kB of memory cannot be registered: %s; RLIMIT_MEMLOCK is %llu kB, for this, the queues "
                           "and other devices: raise it to unlimited (roce_host_limits.memlock, LimitMEMLOCK=infinity of the unit)",
                           device->gid.device, bytes >> 10, strerror(error), (unsigned long long)limit.rlim_cur >> 10);
    return failure_set(failure, error == ENOMEM ? EPERM : error, "%s: %zu kB of memory cannot be registered: %s", device->gid.device,
                       bytes >> 10, strerror(error));
}

bool verbs_device_open(struct verbs_device *device, struct verbs_library *library, const char *sysfs,
                       struct rdma_event_channel *channel, const char *key, const char *interface,
                       const struct verbs_settings *settings, void *memory, size_t bytes, struct failure *failure)
{
    memset(device, 0, sizeof *device);
    device->library = library;
    device->sysfs = sysfs;
    device->section = verbs_section(key);
    device->fixed_index = settings->gid_index >= 0;
    device->address.sin_family = AF_INET;
    if (inet_pton(AF_INET, interface, &device->address.sin_addr) != 1)
        return failure_set(failure, EINVAL, "%s \"%s\" must be an IPv4 address", key, interface);
    if (verbs_find_gid(sysfs, key, device->address.sin_addr, settings, &device->gid, failure) &&
        bind_to(device, channel, key, interface, failure) && check_port(device, settings->mtu, failure) &&
        register_memory(device, memory, bytes, failure))
        return true;
    verbs_device_close(device);
    return false;
}

void verbs_device_close(struct verbs_device *device)
{
    if (device->mr != NULL)
        device->library->dereg_mr(device->mr);
    if (device->pd != NULL)
        device->library->dealloc_pd(device->pd);
    if (device->id != NULL)
        device->library->destroy_id(device->id);
    device->mr = NULL;
    device->pd = NULL;
    device->id = NULL;
    device->context = NULL;
}

bool verbs_device_check(const struct verbs_device *device, struct ibv_qp *qp, int tos, struct failure *failure)
{
    struct ibv_qp_attr attributes = {0};
    struct ibv_qp_init_attr initial;
    int error = device->library->query_qp(qp, &attributes, IBV_QP_AV, &initial);
    if (error != 0)
        return failure_set(failure, error, "%s: queue pair %u cannot be queried: %s", device->gid.device, qp->qp_num, strerror(error));
    const struct ibv_global_route *route = &attributes.ah_attr.grh;
    if (!attributes.ah_attr.is_global)
        return true; /* not told */
    bool wanted = route->sgid_index == device->gid.index ||
                  (!device->fixed_index && verbs_gid_is_at(device->sysfs, &device->gid, route->sgid_index));
    const bool has_dscp = device->gid.version != 1; /* RoCE v1 has no IP header; its lane is the priority alone */
    if (wanted && (tos < 0 || !has_dscp || route->traffic_class >> 2 == tos >> 2))
        return true;
    if (wanted)
        return failure_set(failure, EPROTONOSUPPORT,
                           "%s: packets of queue pair %u go with traffic class %u, %s.tos is %d: another lane than the intent's; see "
                           "`cat /sys/class/infiniband/%s/tc/%u/traffic_class`, which module roce_cm sets",
                           device->gid.device, qp->qp_num, route->traffic_class,
                           strcmp(device->section, "rdma") == 0 ? "rdma" : "orders", tos, device->gid.device, device->gid.port);
    return failure_set(failure, EPROTONOSUPPORT,
                       "%s: the connection manager uses GID index %u, the intent wants index %u; set its RoCE mode (module roce_cm, or "
                       "default_roce_mode in configfs) or correct %s.%s",
                       device->gid.device, route->sgid_index, device->gid.index, device->section,
                       device->fixed_index ? "gid_index" : "roce_version");
}

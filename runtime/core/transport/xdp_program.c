/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_program.h"

#include <errno.h>
#include <linux/if_link.h>
#include <unistd.h>

/* The programs of bpf/steer.bpf.c: one is loaded. */
static const char *const programs[] = {"steer", "steer_card"};

static struct bpf_program *choose_program(struct xdp_port *port)
{
    const struct xdp_libs *libs = port->libs;
    struct bpf_program *chosen = libs->bpf_object__find_program_by_name(port->program, programs[port->card]);
    struct bpf_program *other = libs->bpf_object__find_program_by_name(port->program, programs[!port->card]);
    if (chosen == NULL || other == NULL)
        return NULL;
    libs->bpf_program__set_autoload(other, false);
    if (port->card) {
        libs->bpf_program__set_ifindex(chosen, (uint32_t)port->netdev.index);
        libs->bpf_program__set_flags(chosen, XDP_DEVICE_BOUND);
    }
    return chosen;
}

static bool load_program(struct xdp_port *port, const char *path, struct failure *failure)
{
    const struct xdp_libs *libs = port->libs;
    if (access(path, R_OK) != 0)
        return failure_set(failure, ENOENT,
                           "the XDP program %s is not there: this tickwire was built without clang; install clang and libbpf-dev where "
                           "it is built and build it again, or set feed.transport = \"socket\"",
                           path);
    port->program = libs->bpf_object__open_file(path, NULL);
    struct bpf_map *constants = port->program != NULL ? libs->bpf_object__find_map_by_name(port->program, ".rodata") : NULL;
    int error = port->program == NULL ? errno
                : constants == NULL || choose_program(port) == NULL ? EINVAL
                                      : -libs->bpf_map__set_initial_value(constants, port->lines, sizeof port->lines);
    if (error == 0)
        error = -libs->bpf_object__load(port->program);
    if (error == 0)
        return true;
    return failure_set(failure, error, "load the XDP program: %s%s", strerror(error),
                       error == EPERM || error == EACCES ? ""
                       : port->card                      ? "; it needs Linux 6.8"
                                                         : "; it needs Linux 6.1 with BTF (/sys/kernel/btf/vmlinux)");
}

static bool attach(struct xdp_port *port, struct failure *failure)
{
    const struct xdp_libs *libs = port->libs;
    const struct xdp_link_opts options = {
        .sz = sizeof options, .flags = port->mode == XDP_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE};
    struct bpf_map *sockets = libs->bpf_object__find_map_by_name(port->program, "sockets");
    struct bpf_program *chosen = libs->bpf_object__find_program_by_name(port->program, programs[port->card]);
    if (sockets == NULL || chosen == NULL)
        return failure_set(failure, EINVAL, "the XDP program is not the one of this version; install tickwire again");
    for (uint32_t i = 0; i < port->count; i++)
        if (libs->bpf_map_update_elem(libs->bpf_map__fd(sockets), &port->queues[i].number, &port->queues[i].fd, 0) != 0)
            return failure_set(failure, errno, "queue %u: %s", port->queues[i].number, strerror(errno));
    port->link = libs->bpf_link_create(libs->bpf_program__fd(chosen), port->netdev.index, XDP_ATTACH_TYPE, &options);
    return port->link >= 0 || failure_set(failure, errno, "attach the XDP program: %s", strerror(errno));
}

static void unload(struct xdp_port *port)
{
    if (port->program != NULL)
        port->libs->bpf_object__close(port->program);
    port->program = NULL;
}

bool xdp_program_start(struct xdp_port *port, const struct xdp_port_settings *settings, struct failure *failure)
{
    const char *path = settings->program_path;
    port->no_card[0] = '\0';
    port->card = settings->card && port->mode != XDP_MODE_GENERIC;
    if (port->card && load_program(port, path, failure) && attach(port, failure))
        return true;
    if (port->card)
        snprintf(port->no_card, sizeof port->no_card, "%s: asking the driver for the card's stamps: %.100s",
                 port->netdev.name, failure->text);
    else if (settings->card)
        snprintf(port->no_card, sizeof port->no_card, "%s: XDP in generic mode has no stamps of the card (feed.xdp_mode)", port->netdev.name);
    unload(port);
    port->card = false;
    return load_program(port, path, failure) && attach(port, failure);
}

void xdp_program_stop(struct xdp_port *port)
{
    if (port->link >= 0)
        close(port->link);
    port->link = -1;
    unload(port);
}

static uint32_t program_in(const struct xdp_port *port, int mode)
{
    uint32_t id = 0;
    return port->libs->bpf_xdp_query_id(port->netdev.index, mode, &id) == 0 ? id : 0;
}

uint32_t xdp_program_there(const struct xdp_port *port)
{
    return program_in(port, 0);
}

bool xdp_program_is_generic(const struct xdp_port *port)
{
    return program_in(port, XDP_FLAGS_SKB_MODE) != 0;
}

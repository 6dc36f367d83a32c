/* SPDX-License-Identifier: Apache-2.0
 *
 * libxdp and libbpf, loaded when AF_XDP is asked for, so that the engine builds and runs without them. Declared here is what is used
 * of xdp/xsk.h, bpf/libbpf.h and bpf/bpf.h, by the names it has there; tests/test_core_xdp_libs.py compares it with the headers. */
#ifndef TICKWIRE_TRANSPORT_XDP_LIBS_H
#define TICKWIRE_TRANSPORT_XDP_LIBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../failure.h"

struct xsk_umem;
struct xsk_socket;
struct bpf_object;
struct bpf_program;
struct bpf_map;

/* The two kinds of ring are laid out alike. */
struct xdp_ring {
    uint32_t cached_prod;
    uint32_t cached_cons;
    uint32_t mask;
    uint32_t size;
    uint32_t *producer;
    uint32_t *consumer;
    void *ring;
    uint32_t *flags;
};

struct xdp_umem_config {
    uint32_t fill_size;
    uint32_t comp_size;
    uint32_t frame_size;
    uint32_t frame_headroom;
    uint32_t flags;
};

#define XDP_INHIBIT_PROG_LOAD 1u

struct xdp_socket_config {
    uint32_t rx_size;
    uint32_t tx_size;
    uint32_t libxdp_flags;
    uint32_t xdp_flags;
    uint16_t bind_flags;
};

/* The part of bpf_link_create_opts that is used; `sz` tells libbpf where it ends. */
struct xdp_link_opts {
    size_t sz;
    uint32_t flags;
    uint32_t zero; /* libbpf refuses what is behind the flags and not zero, padding too */
};

#define XDP_ATTACH_TYPE 37 /* BPF_XDP */
#define XDP_DEVICE_BOUND (1u << 6) /* BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3 */

struct xdp_libs {
    int (*xsk_umem__create)(struct xsk_umem **, void *area, uint64_t size, struct xdp_ring *fill, struct xdp_ring *completion,
                            const struct xdp_umem_config *);
    int (*xsk_umem__delete)(struct xsk_umem *);
    int (*xsk_socket__create_shared)(struct xsk_socket **, const char *interface, uint32_t queue, struct xsk_umem *,
                                     struct xdp_ring *receive, struct xdp_ring *send, struct xdp_ring *fill,
                                     struct xdp_ring *completion, const struct xdp_socket_config *);
    void (*xsk_socket__delete)(struct xsk_socket *);
    int (*xsk_socket__fd)(const struct xsk_socket *);
    void *(*libxdp_set_print)(void *);
    struct bpf_object *(*bpf_object__open_file)(const char *path, const void *options);
    int (*bpf_object__load)(struct bpf_object *);
    void (*bpf_object__close)(struct bpf_object *);
    struct bpf_map *(*bpf_object__find_map_by_name)(const struct bpf_object *, const char *name);
    struct bpf_program *(*bpf_object__find_program_by_name)(const struct bpf_object *, const char *name);
    int (*bpf_map__set_initial_value)(struct bpf_map *, const void *data, size_t size);
    int (*bpf_map__fd)(const struct bpf_map *);
    int (*bpf_program__fd)(const struct bpf_program *);
    int (*bpf_program__set_autoload)(struct bpf_program *, bool);
    int (*bpf_program__set_flags)(struct bpf_program *, uint32_t flags);
    void (*bpf_program__set_ifindex)(struct bpf_program *, uint32_t interface);
    int (*bpf_map_update_elem)(int fd, const void *key, const void *value, uint64_t flags);
    int (*bpf_link_create)(int program, int target, int attach_type, const struct xdp_link_opts *);
    int (*bpf_xdp_query_id)(int interface, int flags, uint32_t *id);
    void *(*libbpf_set_print)(void *);
};

/* Load both, once; NULL with `failure` naming the package that is missing. Not from several threads at once. */
const struct xdp_libs *xdp_libs(struct failure *failure);

#endif

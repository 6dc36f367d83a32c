/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_libs.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

enum library { LIBBPF, LIBXDP }; /* libxdp needs libbpf, and would be blamed for it */

static const struct {
    const char *file, *package;
} libraries[] = {[LIBBPF] = {"libbpf.so.1", "libbpf1"}, [LIBXDP] = {"libxdp.so.1", "libxdp1"}};

#define SYMBOL(library, name) {library, #name, offsetof(struct xdp_libs, name)}

static const struct {
    enum library library;
    const char *name;
    size_t at;
} symbols[] = {
    SYMBOL(LIBXDP, xsk_umem__create),
    SYMBOL(LIBXDP, xsk_umem__delete),
    SYMBOL(LIBXDP, xsk_socket__create_shared),
    SYMBOL(LIBXDP, xsk_socket__delete),
    SYMBOL(LIBXDP, xsk_socket__fd),
    SYMBOL(LIBXDP, libxdp_set_print),
    SYMBOL(LIBBPF, bpf_object__open_file),
    SYMBOL(LIBBPF, bpf_object__load),
    SYMBOL(LIBBPF, bpf_object__close),
    SYMBOL(LIBBPF, bpf_object__find_map_by_name),
    SYMBOL(LIBBPF, bpf_object__find_program_by_name),
    SYMBOL(LIBBPF, bpf_map__set_initial_value),
    SYMBOL(LIBBPF, bpf_map__fd),
    SYMBOL(LIBBPF, bpf_program__fd),
    SYMBOL(LIBBPF, bpf_program__set_autoload),
    SYMBOL(LIBBPF, bpf_program__set_flags),
    SYMBOL(LIBBPF, bpf_program__set_ifindex),
    SYMBOL(LIBBPF, bpf_map_update_elem),
    SYMBOL(LIBBPF, bpf_link_create),
    SYMBOL(LIBBPF, bpf_xdp_query_id),
    SYMBOL(LIBBPF, libbpf_set_print),
};

const struct xdp_libs *xdp_libs(struct failure *failure)
{
    static struct xdp_libs libs;
    static bool loaded; /* for good: nothing is gained by unloading */
    void *handles[2];
    if (loaded)
        return &libs;
    for (unsigned i = 0; i < 2; i++) {
        handles[i] = dlopen(libraries[i].file, RTLD_NOW | RTLD_LOCAL);
        if (handles[i] == NULL) {
            failure_set(failure, ENOENT,
                        "feed.transport \"xdp\" needs %s: %s; install the Debian package %s, or set feed.transport = \"socket\"",
                        libraries[i].file, dlerror(), libraries[i].package);
            return NULL;
        }
    }
    for (unsigned i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *found = dlsym(handles[symbols[i].library], symbols[i].name);
        if (found == NULL) {
            failure_set(failure, ENOSYS,
                        "feed.transport \"xdp\" needs %s of %s, which this version has not; install the package %s of Debian 12 or "
                        "later, or set feed.transport = \"socket\"",
                        symbols[i].name, libraries[symbols[i].library].file, libraries[symbols[i].library].package);
            return NULL;
        }
        memcpy((char *)&libs + symbols[i].at, &found, sizeof found);
    }
    libs.libxdp_set_print(NULL); /* what fails is said once, by us */
    libs.libbpf_set_print(NULL);
    loaded = true;
    return &libs;
}

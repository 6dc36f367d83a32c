/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_register.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "clock.h"

bool bench_register_open(struct bench_register *self, const struct verbs_places *places, const char *interface, struct failure *failure)
{
    struct verbs_settings settings = {.roce_version = 2, .gid_index = -1};
    memset(self, 0, sizeof *self);
    if (!verbs_library_open(&self->library, places, failure))
        return false;
    self->channel = verbs_channel(&self->library, failure);
    if (self->channel != NULL && verbs_device_open(&self->device, &self->library, places->sysfs, self->channel, "interface", interface,
                                                   &settings, self->page, sizeof self->page, failure))
        return true;
    bench_register_close(self);
    return false;
}

static bool cannot_register(const struct bench_register *self, size_t bytes, int error, struct failure *failure)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
        return failure_set(failure, EPERM, "RLIMIT_MEMLOCK is %llu kB: raise it (ulimit -l, roce_host_limits.memlock)",
                           (unsigned long long)limit.rlim_cur >> 10);
    return failure_set(failure, error == ENOMEM ? EPERM : error, "%s does not register it: %s", self->device.gid.device, strerror(error));
}

bool bench_register_run(struct bench_register *self, size_t bytes, bool hugepages, uint32_t rounds, uint64_t *register_ns,
                        uint64_t *deregister_ns, struct failure *failure)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (hugepages ? MAP_HUGETLB | MAP_POPULATE : 0);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    bool good = true;
    if (memory == MAP_FAILED && hugepages)
        return failure_set(failure, ENOSPC, "%zu hugepages of 2 MiB are not free: reserve them (vm.nr_hugepages)",
                           (bytes + BENCH_REGISTER_HUGE - 1) / BENCH_REGISTER_HUGE);
    if (memory == MAP_FAILED)
        return failure_set(failure, ENOSPC, "%zu kB of memory: %s", bytes >> 10, strerror(errno));
    if (!hugepages)
        madvise(memory, bytes, MADV_NOHUGEPAGE); /* before the kernel has made transparent ones of them */
    memset(memory, 1, bytes);
    for (uint32_t i = 0; good && i < rounds; i++) {
        uint64_t start = clock_now();
        struct ibv_mr *mr = self->library.reg_mr(self->device.pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE);
        int error = errno;
        uint64_t registered = clock_now();
        good = mr != NULL ? self->library.dereg_mr(mr) == 0 : cannot_register(self, bytes, error, failure);
        if (mr != NULL && !good)
            failure_set(failure, EIO, "%s does not give it back", self->device.gid.device);
        register_ns[i] = registered - start;
        deregister_ns[i] = clock_now() - registered;
    }
    munmap(memory, bytes);
    return good;
}

void bench_register_close(struct bench_register *self)
{
    if (self->library.handles[0] == NULL)
        return;
    verbs_device_close(&self->device);
    if (self->channel != NULL)
        self->library.destroy_event_channel(self->channel);
    verbs_library_close(&self->library);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "populate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE ((size_t)4096)

struct job {
    uint8_t *base;
    size_t bytes;
    unsigned node;
    _Atomic size_t taken; /* bytes somebody has taken on */
    _Atomic int error;
};

struct helper {
    struct job *job;
    int cpu;
    pthread_t thread;
};

static int touch(uint8_t *base, size_t bytes)
{
    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    for (size_t at = 0; at < bytes; at += PAGE) /* an older kernel */
        *(volatile uint8_t *)(base + at) = 0;
    return 0;
}

static void work(struct job *job)
{
    for (;;) {
        size_t at = atomic_fetch_add(&job->taken, POPULATE_STEP);
        if (at >= job->bytes || atomic_load(&job->error) != 0)
            return;
        int error = touch(job->base + at, job->bytes - at < POPULATE_STEP ? job->bytes - at : POPULATE_STEP);
        if (error != 0)
            atomic_store(&job->error, error);
    }
}

static unsigned node_here(void)
{
    unsigned cpu = 0, node = 0;
    return getcpu(&cpu, &node) == 0 ? node : 0;
}

static bool move_to(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

static void *help(void *context)
{
    struct helper *helper = context;
    if (move_to(helper->cpu) && node_here() == helper->job->node)
        work(helper->job);
    return NULL;
}

/* A thread on each of `allowed` but the one this runs on; how many there are. None where the system has none to give. */
static unsigned call_helpers(struct job *job, const cpu_set_t *allowed, struct helper helpers[POPULATE_THREADS])
{
    unsigned count = 0;
    int here = sched_getcpu();
    for (int cpu = 0; cpu < CPU_SETSIZE && count + 1 < POPULATE_THREADS; cpu++) {
        if (!CPU_ISSET(cpu, allowed) || cpu == here)
            continue;
        helpers[count] = (struct helper){.job = job, .cpu = cpu};
        count += pthread_create(&helpers[count].thread, NULL, help, &helpers[count]) == 0;
    }
    return count;
}

int populate(uint8_t *base, size_t bytes, int32_t cpu)
{
    struct job job = {.base = base, .bytes = bytes};
    struct helper helpers[POPULATE_THREADS];
    cpu_set_t allowed;
    bool known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    bool moved = known && cpu >= 0 && cpu < CPU_SETSIZE && move_to(cpu);
    unsigned count = 0;
    job.node = node_here();
    if (known && bytes > POPULATE_STEP)
        count = call_helpers(&job, &allowed, helpers);
    work(&job);
    while (count-- > 0)
        pthread_join(helpers[count].thread, NULL);
    if (moved)
        sched_setaffinity(0, sizeof allowed, &allowed);
    return atomic_load(&job.error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "populate.h"

#define PAGE ((size_t)4096)
#define HUGEPAGE ((size_t)2 << 20)

static size_t rounded_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* How much of the arena stands on transparent hugepages now, from the kernel's own account. */
static size_t count_transparent(const struct arena *arena)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long from = 0, to = 0, kilobytes;
    size_t bytes = 0;
    if (maps == NULL)
        return 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2) {
            from = first;
            to = last;
        } else if (from >= (uintptr_t)arena->base && to <= (uintptr_t)arena->base + arena->capacity &&
                   sscanf(line, "AnonHugePages: %lu kB", &kilobytes) == 1) {
            bytes += kilobytes << 10;
        }
    }
    fclose(maps);
    return bytes;
}

/* Address space first, aligned to hugepages and with room to spare; the memory itself is asked for in its middle. What is spare
 * stays untouchable, so it also keeps the arena apart from its neighbours in smaps. */
static bool map_pages(struct arena *arena, size_t capacity, int32_t cpu)
{
    bool large = capacity >= HUGEPAGE; /* small ones (tests, tools) would waste what others need */
    size_t unit = large ? HUGEPAGE : PAGE;
    arena->capacity = rounded_up(capacity, unit);
    arena->mapped = arena->capacity + 2 * unit;
    void *mapping = mmap(NULL, arena->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return false;
    arena->mapping = mapping;
    arena->base = arena->mapping + rounded_up((uintptr_t)mapping + 1, unit) - (uintptr_t)mapping;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    const int access = PROT_READ | PROT_WRITE;
    if (large && mmap(arena->base, arena->capacity, access, flags | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0) != MAP_FAILED &&
        populate(arena->base, arena->capacity, cpu) == 0) { /* reserved, yet another NUMA node may be the one that has them */
        arena->pages = ARENA_RESERVED;
        arena->huge_bytes = arena->capacity;
        return true;
    }
    if (mmap(arena->base, arena->capacity, access, flags, -1, 0) == MAP_FAILED)
        return false;
    if (large)
        madvise(arena->base, arena->capacity, MADV_HUGEPAGE); /* refused where the kernel has none: then there are none */
    errno = populate(arena->base, arena->capacity, cpu);
    if (errno != 0)
        return false;
    arena->huge_bytes = large ? count_transparent(arena) : 0;
    arena->pages = large && arena->huge_bytes == arena->capacity ? ARENA_TRANSPARENT : ARENA_SMALL;
    return true;
}

bool arena_open_near(struct arena *arena, size_t capacity, int32_t cpu)
{
    memset(arena, 0, sizeof *arena);
    if (capacity > SIZE_MAX - 4 * HUGEPAGE) {
        errno = ENOMEM;
        return false;
    }
    if (!map_pages(arena, capacity > 0 ? capacity : 1, cpu)) {
        int error = errno;
        arena_close(arena);
        errno = error;
        return false;
    }
    arena->hugepages = arena->pages != ARENA_SMALL;
    return true;
}

bool arena_open(struct arena *arena, size_t capacity)
{
    return arena_open_near(arena, capacity, -1);
}

void arena_close(struct arena *arena)
{
    if (arena->mapping != NULL)
        munmap(arena->mapping, arena->mapped);
    memset(arena, 0, sizeof *arena);
}

void *arena_take(struct arena *arena, size_t bytes)
{
    size_t at = arena->used;
    if (bytes > SIZE_MAX / 2 - at) {
        arena->used = SIZE_MAX / 2;
        return NULL;
    }
    arena->used = at + arena_footprint(bytes);
    return arena->used <= arena->capacity ? arena->base + at : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <string.h>
#include <sys/mman.h>

#define HUGEPAGE ((size_t)2 << 20)

bool arena_open(struct arena *arena, size_t capacity)
{
    memset(arena, 0, sizeof *arena);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    if (capacity > SIZE_MAX - HUGEPAGE)
        return false;
    size_t rounded = (capacity + HUGEPAGE - 1) / HUGEPAGE * HUGEPAGE;
    void *base = MAP_FAILED;
    if (capacity >= HUGEPAGE) /* small ones (tests, tools) would waste what others need */
        base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
    arena->hugepages = base != MAP_FAILED;
    if (base == MAP_FAILED) {
        rounded = (capacity + 4095) / 4096 * 4096;
        base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    if (base == MAP_FAILED)
        return false;
    arena->base = base;
    arena->capacity = rounded;
    return true;
}

void arena_close(struct arena *arena)
{
    if (arena->base != NULL)
        munmap(arena->base, arena->capacity);
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

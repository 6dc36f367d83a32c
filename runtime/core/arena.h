/* SPDX-License-Identifier: Apache-2.0
 *
 * One region of memory for everything the hot path touches, taken at start and given back at the end; nothing is allocated in
 * between. Objects say their `footprint` first, so the region is sized before it is taken and refused when it cannot be had.
 *
 * Large arenas want 2 MB pages, since with 4 KB pages nearly every look into a table of orders misses the TLB too. Reserved
 * hugepages (MAP_HUGETLB) are tried first; when there are not enough, the kernel is asked for transparent ones, and what it gave is
 * read back from smaps: asking for them is no proof of having them. */
#ifndef TICKWIRE_ARENA_H
#define TICKWIRE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGN 64

enum arena_pages {
    ARENA_SMALL,       /* ordinary pages, all or in part: huge_bytes says how much is not */
    ARENA_TRANSPARENT, /* all on transparent hugepages */
    ARENA_RESERVED,    /* all on reserved hugepages */
};

struct arena {
    uint8_t *base;
    size_t capacity;
    size_t used; /* also counts what did not fit: after a failed arena_take it is the capacity that would do */
    size_t huge_bytes;
    enum arena_pages pages;
    bool hugepages; /* pages is not ARENA_SMALL */
    uint8_t *mapping; /* with a page before and behind that cannot be touched */
    size_t mapped;
};

/* Bytes `bytes` take up in an arena, alignment included. */
static inline size_t arena_footprint(size_t bytes)
{
    return (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* Map `capacity` zeroed bytes: 2 MB hugepages when there are enough, ordinary pages otherwise; all of it is faulted in here, see
 * populate.h. False with errno when the system has not that much. */
bool arena_open(struct arena *arena, size_t capacity);

/* The same, from the NUMA node of the CPU that will use it (-1: of the CPU this runs on). */
bool arena_open_near(struct arena *arena, size_t capacity, int32_t cpu);
void arena_close(struct arena *arena);

/* `bytes` of zeroed memory aligned to a cache line, or NULL when the arena is too small. */
void *arena_take(struct arena *arena, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "populate.h"

#define PAGE ((size_t)4096)

static uint8_t *map(size_t bytes)
{
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    madvise(base, bytes, MADV_NOHUGEPAGE); /* pages of their own: one that was left out shows */
    return base;
}

static size_t present(uint8_t *base, size_t bytes)
{
    static unsigned char seen[16384];
    size_t count = 0;
    CHECK(bytes / PAGE <= sizeof seen && mincore(base, bytes, seen) == 0);
    for (size_t i = 0; i < bytes / PAGE; i++)
        count += seen[i] & 1;
    return count;
}

static void every_page_is_there(size_t bytes, int32_t cpu)
{
    uint8_t *base = map(bytes);
    cpu_set_t before, after;
    CHECK(present(base, bytes) == 0);
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    CHECK(populate(base, bytes, cpu) == 0);
    CHECK(present(base, bytes) == bytes / PAGE);
    CHECK(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&before, &after));
    munmap(base, bytes);
}

static void with_one_cpu_too(void)
{
    cpu_set_t before, one;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    every_page_is_there(POPULATE_STEP + PAGE, -1);
    CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
}

static void what_cannot_be_had_is_an_error(void)
{
    const size_t bytes = 2 * POPULATE_STEP;
    uint8_t *base = map(bytes);
    munmap(base + bytes - PAGE, PAGE);
    CHECK(populate(base, bytes, -1) == ENOMEM);
    munmap(base, bytes - PAGE);
}

int main(void)
{
    static const size_t sizes[] = {PAGE, POPULATE_STEP, POPULATE_STEP + PAGE, 3 * POPULATE_STEP + 5 * PAGE};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        every_page_is_there(sizes[i], -1);
    every_page_is_there(2 * POPULATE_STEP, sched_getcpu());
    every_page_is_there(2 * POPULATE_STEP, CPU_SETSIZE - 1); /* no such CPU here: no place to begin with, no error */
    with_one_cpu_too();
    what_cannot_be_had_is_an_error();
    return DONE();
}

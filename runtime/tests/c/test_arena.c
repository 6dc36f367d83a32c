/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "arena.h"
#include "book.h"

static void memory_is_zeroed_aligned_and_apart(void)
{
    struct arena arena;
    CHECK(arena_open(&arena, 3 * 64));
    uint8_t *a = arena_take(&arena, 1), *b = arena_take(&arena, 64), *c = arena_take(&arena, 60);
    CHECK(a != NULL && b == a + 64 && c == b + 64);
    CHECK((uintptr_t)a % ARENA_ALIGN == 0);
    for (int i = 0; i < 192; i++)
        CHECK(a[i] == 0);
    arena_close(&arena);
    CHECK(arena.base == NULL);
}

static void one_too_small_is_refused_with_the_number_that_would_do(void)
{
    struct arena arena;
    struct book book;
    CHECK(arena_open(&arena, 4096));
    CHECK(!book_init(&book, &arena, 1000, 10));
    size_t would_do = arena.used;
    CHECK(would_do == book_footprint(1000, 10));
    arena_close(&arena);
    CHECK(arena_open(&arena, would_do));
    CHECK(book_init(&book, &arena, 1000, 10));
    CHECK(arena.used <= arena.capacity);
    arena_close(&arena);
}

static void says_which_pages_it_got(void)
{
    struct arena arena;
    CHECK(arena_open(&arena, ((size_t)6 << 20) + 1));
    CHECK(arena.capacity == (size_t)8 << 20 && arena.huge_bytes <= arena.capacity);
    CHECK(arena.hugepages == (arena.huge_bytes == arena.capacity) && arena.hugepages == (arena.pages != ARENA_SMALL));
    CHECK((uintptr_t)arena.base % ((size_t)2 << 20) == 0);
    uint8_t *all = arena_take(&arena, arena.capacity);
    for (size_t i = 0; i < arena.capacity; i += 512)
        CHECK(all[i] == 0);
    memset(all, 1, arena.capacity);
    arena_close(&arena);
    CHECK(arena_open(&arena, 8192));
    CHECK(arena.pages == ARENA_SMALL && !arena.hugepages && arena.huge_bytes == 0 && arena.capacity == 8192);
    arena_close(&arena);
}

static void absurd_sizes_fail(void)
{
    struct arena arena;
    CHECK(!arena_open(&arena, SIZE_MAX));
    CHECK(!arena_open(&arena, SIZE_MAX / 4));
    CHECK(arena_open(&arena, 64));
    CHECK(arena_take(&arena, SIZE_MAX) == NULL);
    CHECK(arena_take(&arena, 1) == NULL);
    arena_close(&arena);
}

int main(void)
{
    memory_is_zeroed_aligned_and_apart();
    one_too_small_is_refused_with_the_number_that_would_do();
    says_which_pages_it_got();
    absurd_sizes_fail();
    return DONE();
}

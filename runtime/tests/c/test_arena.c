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
    absurd_sizes_fail();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding and full-depth books: book FILE [per_packet=N] [max_orders=N] [max_instruments=N] [look_ahead=0|1] [callback=0|1]
 *
 * The file is walked in packets of `per_packet` messages, look-ahead ends at the end of a packet, as it does in the engine.
 * Whenever a top changes a function is called through a pointer, which reads both sides' best levels. All tops and their order go
 * into the checksum: it is the same for every way to walk the same file. */
#include "bench.h"
#include "book_walk.h"

typedef void (*on_top)(void *context, const struct book *book, uint16_t locate);

struct watcher {
    uint64_t calls, checksum;
};

static void watch(void *context, const struct book *book, uint16_t locate)
{
    struct watcher *watcher = context;
    struct book_top top = book_top(book, locate);
    watcher->calls++;
    watcher->checksum = watcher->checksum * 31 + (((uint64_t)top.bid << 32 | top.ask) ^ top.bid_shares << 20 ^ top.ask_shares);
}

static on_top volatile callback_in_use = watch; /* volatile: the compiler may not see which function it calls */

struct walk {
    uint64_t messages, unknown, malformed;
    uint32_t per_packet;
    bool look_ahead, callback;
};

/* The pointers to a packet's good messages; returns where the packet ends. */
static inline const uint8_t *take_packet(struct walk *walk, const struct book *book, const uint8_t *at, const uint8_t *end,
                                         const uint8_t **message, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < walk->per_packet && at < end; i++) {
        uint16_t length = get16(at);
        uint8_t expected = itch_lengths[at[2]];
        message[n] = at + 2;
        __builtin_prefetch(at + 1024); /* a packet comes from a network card into the cache, a file does not */
        at += 2 + length;
        if (LIKELY(expected == length)) {
            if (walk->look_ahead)
                book_look(book, message[n]);
            n++;
            continue;
        }
        walk->unknown += expected == 0;
        walk->malformed += expected != 0;
    }
    walk->messages += n;
    *count = n;
    return at;
}

static void run(struct walk *walk, struct book *book, const struct bench_file *file, struct watcher *watcher)
{
    const uint8_t *message[BOOK_HAND];
    const uint8_t *end = file->bytes + file->size;
    on_top callback = walk->callback ? callback_in_use : NULL;
    for (const uint8_t *at = file->bytes; at < end;) {
        uint32_t count;
        at = take_packet(walk, book, at, end, message, &count);
        struct book_walk ahead;
        book_walk_begin(&ahead, book, message, walk->look_ahead ? count : 0);
        for (uint32_t i = 0; i < count; i++) {
            int32_t changed = walk->look_ahead ? book_walk_next(&ahead) : book_apply(book, message[i]);
            if (callback != NULL && changed >= 0)
                callback(watcher, book, (uint16_t)changed);
            book->news = 0;
        }
    }
}

static uint32_t deepest_side(const struct book *book)
{
    uint32_t deepest = 0;
    for (uint32_t locate = 0; locate < book->max_instruments; locate++)
        for (int side = BOOK_BID; side <= BOOK_ASK; side++) {
            uint32_t count = book_level_count(book, locate, side);
            deepest = count > deepest ? count : deepest;
        }
    return deepest;
}

int main(int count, char **arguments)
{
    if (count < 2)
        bench_fail("usage: book FILE [per_packet=N] [max_orders=N] [max_instruments=N] [look_ahead=0|1] [callback=0|1]");
    uint32_t max_orders = (uint32_t)bench_number(count, arguments, "max_orders", 1000000);
    uint32_t max_instruments = (uint32_t)bench_number(count, arguments, "max_instruments", 12000);
    struct walk walk = {.per_packet = (uint32_t)bench_number(count, arguments, "per_packet", 32),
                        .look_ahead = bench_number(count, arguments, "look_ahead", 1) != 0,
                        .callback = bench_number(count, arguments, "callback", 1) != 0};
    if (max_orders < 1 || max_orders > BOOK_ORDERS_LIMIT || max_instruments < 1 || max_instruments > BOOK_INSTRUMENTS_LIMIT ||
        walk.per_packet < 1 || walk.per_packet > BOOK_HAND)
        bench_fail("book: max_orders must be 1 to %u, max_instruments 1 to %u, per_packet 1 to %u", BOOK_ORDERS_LIMIT,
                   BOOK_INSTRUMENTS_LIMIT, BOOK_HAND);
    struct bench_file file = bench_load(arguments[1]);
    struct arena arena;
    struct book book;
    struct watcher watcher = {0};
    uint64_t begin = bench_now();
    size_t need = book_footprint(max_orders, max_instruments);
    if (!arena_open(&arena, need) || !book_init(&book, &arena, max_orders, max_instruments))
        bench_fail("book: %zu MB for %u orders and %u instruments: %s", need >> 20, max_orders, max_instruments, strerror(errno));
    uint64_t ready = bench_now(), ready_cpu = bench_cpu();
    run(&walk, &book, &file, &watcher);
    uint64_t cpu = bench_cpu() - ready_cpu, done = bench_now();
    static const char *const pages[] = {"small", "transparent hugepages", "reserved hugepages"};
    printf("{\"name\": \"book\", \"messages\": %llu, \"ns_per_message\": %.2f, \"cpu_ns_per_message\": %.2f, "
           "\"checksum\": \"%016llx\", \"per_packet\": %u, \"look_ahead\": %s, \"tops\": %llu, \"errors\": %llu, \"unknown\": %llu, "
           "\"malformed\": %llu, \"live_orders\": %u, \"deepest_side\": %u, \"start_ms\": %.1f, \"memory_mb\": %zu, \"pages\": \"%s\"}\n",
           (unsigned long long)walk.messages, (double)(done - ready) / (double)walk.messages, (double)cpu / (double)walk.messages,
           (unsigned long long)watcher.checksum, walk.per_packet, walk.look_ahead ? "true" : "false",
           (unsigned long long)watcher.calls, (unsigned long long)book_errors_total(&book.errors), (unsigned long long)walk.unknown,
           (unsigned long long)walk.malformed, book.live_orders, deepest_side(&book), (double)(ready - begin) / 1e6, need >> 20,
           pages[arena.pages]);
    arena_close(&arena);
    arena_close(&file.arena);
    return 0;
}

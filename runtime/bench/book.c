/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "book.h"
typedef void (*on_top)(void *context, const struct book *book, uint16_t locate);
struct watcher { uint64_t calls, checksum; };
static void watch(void *context, const struct book *book, uint16_t locate)
{
    struct watcher *w = context;
    struct book_top top = book_top(book, locate);
    w->calls++;
    w->checksum += (top.bid ^ top.ask) + top.bid_shares + 3 * top.ask_shares;
}
int main(int count, char **arguments)
{
    struct bench_file file = bench_load(arguments[1]);
    uint32_t max_orders = (uint32_t)bench_number(count, arguments, "max_orders", 1000000);
    uint32_t max_instruments = (uint32_t)bench_number(count, arguments, "max_instruments", 8372);
    struct arena arena;
    struct book book;
    uint64_t t0 = bench_now();
    if (!arena_open(&arena, book_footprint(max_orders, max_instruments)) || !book_init(&book, &arena, max_orders, max_instruments))
        bench_fail("memory");
    uint64_t t1 = bench_now();
    struct watcher w = {0};
    on_top volatile callback_ = watch;
    on_top callback = callback_;
    const uint8_t *at = file.bytes, *end = at + file.size;
    while (at < end) {
        uint16_t length = get16(at);
        if (LIKELY(itch_lengths[at[2]] == length)) {
            int32_t l = book_apply(&book, at + 2);
            if (l >= 0) callback(&w, &book, (uint16_t)l);
        }
        at += 2 + length;
    }
    uint64_t t2 = bench_now();
    printf("{\"name\":\"book\",\"messages\":%llu,\"ns_per_message\":%.2f,\"checksum\":\"%llx\",\"tops\":%llu,\"errors\":%llu,\"live\":%u,\"init_ms\":%.1f}\n", (unsigned long long)file.messages, (double)(t2 - t1) / (double)file.messages, (unsigned long long)w.checksum, (unsigned long long)w.calls, (unsigned long long)book_errors_total(&book.errors), book.live_orders, (double)(t1 - t0) / 1e6);
    return 0;
}

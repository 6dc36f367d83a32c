/* SPDX-License-Identifier: Apache-2.0
 *
 * From a packet in memory to the bytes of an order in memory, by the engine as it runs: sequence check, book, strategy, risk,
 * ledger, journal, patched template. Every packet has one message and lies in memory as a network card leaves it, written long
 * before it is looked at: bytes stored just now in other widths than they are loaded in would have to be waited for. Its line is in
 * the cache, as it is behind a receive.
 *
 * The file is run through four times, each in a feed session of its own:
 *   1. to warm up;
 *   2. with the clock read before each packet and again when the bytes of its order are in memory, where the engine hands them to
 *      the transport: the figures without a prefix. `mean_ns` leaves the slowest hundredth out; the clock's steps are coarse, and
 *      a mean shows what is smaller than one;
 *   3. with the clock read before each packet and after it, when the engine is ready for the next: `ready_*`, of packets that made
 *      an order;
 *   4. with the clock read around BATCH packets, without the cost of the clock and its coarseness: `batch_ns` is that of a packet,
 *      whether it made an order or not, and the median over batches.
 *
 *   packet_to_order FILE [ratio=R] [journal=PATH] [max_orders=N] [max_instruments=N] [version=50|42]
 *
 * Clock: rdtscp on x86-64, scaled against CLOCK_MONOTONIC over the run, elsewhere clock_gettime. Both reads are in the figure. */
#include "bench.h"
#include "bench_engine.h"

#include "clock.h"
#include "transport/replay.h"

#define BATCH 64u        /* packets between two looks at the clock */
#define LINE 64u         /* bytes */

#if defined(__x86_64__)
#include <x86intrin.h>
#define CLOCK_NAME "rdtscp"
static inline uint64_t ticks(void)
{
    unsigned core;
    return __rdtscp(&core);
}
#else
#define CLOCK_NAME "clock_gettime"
static inline uint64_t ticks(void)
{
    return clock_now();
}
#endif

static struct engine engine;
static uint32_t sent; /* bytes, as a check that there were any */
static bool look;       /* at the clock, with the bytes of an order */
static uint64_t looked; /* ticks */

static int keep(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    (void)self;
    __asm__ volatile("" ::"r"(bytes) : "memory"); /* they are in memory, whoever may read them */
    if (look)
        looked = ticks();
    *last_byte = sent += length;
    return 0;
}

static int nothing(void *self, uint8_t *bytes, uint32_t capacity)
{
    (void)self, (void)bytes, (void)capacity;
    return 0;
}

static void no_stamps(void *self, struct stamps *stamps)
{
    (void)self;
    stamps_flush(stamps);
}

static const char *text(int count, char **arguments, const char *name, const char *missing)
{
    size_t length = strlen(name);
    for (int i = 2; i < count; i++)
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    return missing;
}

/* One message a packet, each at the beginning of a cache line, as a receive buffer does; one behind the other. */
struct packets {
    struct arena arena;
    uint8_t *first;
    uint64_t count;
};

static uint32_t length_of(const uint8_t *packet)
{
    return MOLD_HEADER + 2u + get16(packet + MOLD_HEADER);
}

static uint8_t *after(uint8_t *packet)
{
    return packet + (length_of(packet) + LINE - 1) / LINE * LINE;
}

static struct packets lay_out(const struct bench_file *file)
{
    struct packets packets = {.count = file->messages};
    const uint8_t *from = file->bytes, *end = file->bytes + file->size;
    size_t bytes = 0;
    for (const uint8_t *at = from; at < end; at += 2 + get16(at))
        bytes += (MOLD_HEADER + 2u + get16(at) + LINE - 1) / LINE * LINE;
    if (!arena_open(&packets.arena, bytes))
        bench_fail("memory");
    uint8_t *to = packets.first = arena_take(&packets.arena, bytes);
    for (; from < end; from += 2 + get16(from)) {
        memcpy(to + MOLD_HEADER, from, 2u + get16(from));
        to = after(to);
    }
    return packets;
}

static void put_headers(const struct packets *packets, const char *session)
{
    uint8_t *packet = packets->first;
    for (uint64_t sequence = 1; sequence <= packets->count; sequence++, packet = after(packet))
        mold_header(packet, (const uint8_t *)session, sequence, 1);
}

/* The housekeeping thread's part, outside the measured stretch: the pages of the journal that come next are writable. A second of
 * orders goes by in milliseconds here, so it is done by their number and not by the clock. */
static void keep_house(void)
{
    static uint64_t done;
    if (engine.journal.count - done >= JOURNAL_AHEAD) {
        done = engine.journal.count;
        journal_ahead(&engine.journal);
    }
}

/* The exchange's part, outside as well: what was sent is done with, so that the ledger never fills. */
static void answer(void)
{
    static uint64_t sequence;
    static uint32_t answered;
    struct tw_update update;
    while (answered < engine.ledger.last_reference) {
        struct ledger_answer gone = {.reference = ++answered, .kind = TW_CANCELED, .shares = UINT32_MAX};
        ledger_answer(&engine.ledger, ++sequence, &gone, &update);
    }
    if (engine.ledger.open_orders > 0)
        bench_fail("the ledger keeps orders that are gone");
    stamps_flush(engine.stamps);
    keep_house();
}

/* Returns how many packets made an order; `took`: ticks of each of those, up to the order's bytes or until `ready`. */
static uint64_t run_each(const struct packets *packets, const char *session, bool ready, uint64_t *took)
{
    uint8_t *packet = packets->first;
    uint64_t tooks = 0;
    put_headers(packets, session);
    look = !ready;
    for (uint64_t i = 0; i < packets->count; i++, packet = after(packet)) {
        struct transport_packet in = {.bytes = packet, .length = length_of(packet), .receive_clock = STAMP_SOFTWARE, .receive_ns = 1};
        uint64_t before = engine.block->orders_sent, start = ticks();
        engine_packet(&engine, &in);
        uint64_t stop = ready ? ticks() : looked;
        if (engine.block->orders_sent != before) {
            answer();
            took[tooks++] = stop - start;
        }
    }
    return tooks;
}

/* Returns how many batches; `took`: ticks of each. */
static uint64_t run_batches(const struct packets *packets, const char *session, uint64_t *took)
{
    uint8_t *packet = packets->first;
    uint64_t batches = packets->count / BATCH;
    struct transport_packet in[BATCH];
    put_headers(packets, session);
    look = false;
    for (uint64_t i = 0; i < batches; i++) {
        for (uint32_t j = 0; j < BATCH; j++, packet = after(packet))
            in[j] = (struct transport_packet){
                .bytes = packet, .length = length_of(packet), .receive_clock = STAMP_SOFTWARE, .receive_ns = 1};
        uint64_t start = ticks();
        for (uint32_t j = 0; j < BATCH; j++)
            engine_packet(&engine, &in[j]);
        took[i] = ticks() - start;
        answer();
    }
    return batches;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The nearest rank of `share` in sorted ticks, in ns. */
static uint64_t rank_of(const uint64_t *took, uint64_t tooks, double share, double ns_per_tick)
{
    uint64_t rank = (uint64_t)(share * (double)tooks + 0.999999);
    return tooks > 0 ? (uint64_t)((double)took[rank > 0 ? rank - 1 : 0] * ns_per_tick + 0.5) : 0;
}

static void show_each(const char *prefix, uint64_t *took, uint64_t tooks, double ns_per_tick)
{
    static const struct {
        const char *name;
        double share;
    } ranks[] = {{"median", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"max", 1.0}};
    uint64_t sum = 0, most = tooks - tooks / 100;
    qsort(took, tooks, sizeof *took, by_value);
    for (uint64_t i = 0; i < most; i++)
        sum += took[i];
    printf("\"%smean_ns\":%.1f,", prefix, most > 0 ? (double)sum * ns_per_tick / (double)most : 0);
    for (unsigned i = 0; i < sizeof ranks / sizeof ranks[0]; i++)
        printf("\"%s%s_ns\":%llu,", prefix, ranks[i].name,
               (unsigned long long)rank_of(took, tooks, ranks[i].share, ns_per_tick));
}

int main(int count, char **arguments)
{
    struct bench_file file = bench_load(arguments[1]);
    struct failure failure;
    struct engine_settings settings = {.cpu = -1, .max_samples = 16, .journal_records = 1u << 23, .journal_name = "bench"};
    settings.max_orders = (uint32_t)bench_number(count, arguments, "max_orders", 1000000);
    settings.max_instruments = (uint32_t)bench_number(count, arguments, "max_instruments", 12000);
    settings.strategy = tw_strategy_find("imbalance");
    settings.strategy_settings = (struct tw_strategy_settings){
        .ratio = bench_number(count, arguments, "ratio", 3), .size = 100, .max_instruments = settings.max_instruments};
    settings.risk_limits = bench_limits();
    settings.feed.policy.keep_packets = 16;
    settings.orders.version = bench_number(count, arguments, "version", 50) == 42 ? OUCH_42 : OUCH_50;
    snprintf(settings.orders.firm, sizeof settings.orders.firm, "TICK");
    snprintf(settings.journal_path, sizeof settings.journal_path, "%s", text(count, arguments, "journal", ""));
    uint64_t began = clock_now();
    if (!engine_init(&engine, &settings, &failure) || !engine_attach(&engine, &failure))
        bench_fail("%s", failure.text);
    double start_ms = (double)(clock_now() - began) / 1e6;
    engine.transport = (struct transport){.orders = {.send = keep, .receive = nothing, .collect_stamps = no_stamps}};
    orders_open_unasked(engine.orders);
    engine.trading = true;
    struct packets packets = lay_out(&file);
    uint64_t *took = malloc(file.messages * sizeof *took), *until_ready = malloc(file.messages * sizeof *until_ready);
    uint64_t *batch = malloc((file.messages / BATCH + 1) * sizeof *batch), batches = 0;
    if (took == NULL || until_ready == NULL || batch == NULL)
        bench_fail("memory");
    uint64_t first_ticks = ticks(), first_ns = clock_now();
    run_each(&packets, "WARM      ", false, took);
    uint64_t tooks = run_each(&packets, "MEASURED  ", false, took);
    uint64_t readies = run_each(&packets, "READY     ", true, until_ready);
    batches = run_batches(&packets, "BATCHES   ", batch);
    double ns_per_tick = (double)(clock_now() - first_ns) / (double)(ticks() - first_ticks);
    qsort(batch, batches, sizeof *batch, by_value);
    double batch_ns = batches > 0 ? (double)batch[batches / 2] * ns_per_tick / BATCH : 0;
    printf("{\"name\":\"packet_to_order\",\"orders\":%llu,", (unsigned long long)tooks);
    show_each("", took, tooks, ns_per_tick);
    show_each("ready_", until_ready, readies, ns_per_tick);
    printf("\"batch_ns\":%.1f,\"clock\":\"%s\",\"start_ms\":%.1f,\"hugepages\":%u,\"journal_records\":%llu}\n", batch_ns,
           CLOCK_NAME, start_ms, (unsigned)engine.arena.hugepages, (unsigned long long)engine.journal.count);
    engine_release(&engine);
    return 0;
}

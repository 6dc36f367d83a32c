/* SPDX-License-Identifier: Apache-2.0
 *
 * From a packet in memory to the bytes of an order in memory, by the engine as it runs: sequence check, book, strategy, risk,
 * ledger, journal, patched template. Every packet has one message; the clock is read before and after each, and the packets that
 * made an order are counted. The file is run through once before, in a feed session of its own.
 *
 *   packet_to_order FILE [ratio=R] [journal=PATH] [max_orders=N] [max_instruments=N] [version=50|42]
 *
 * Clock: rdtscp on x86-64, scaled against CLOCK_MONOTONIC over the run, elsewhere clock_gettime. Both reads are in the figure. */
#include "bench.h"

#include "clock.h"
#include "engine.h"
#include "transport/replay.h"

#define BUCKETS 100000u /* of a nanosecond */

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t ticks(void)
{
    unsigned core;
    return __rdtscp(&core);
}
#else
static inline uint64_t ticks(void)
{
    return clock_now();
}
#endif

static struct engine engine;
static uint32_t sent; /* bytes, as a check that there were any */

static int keep(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    static uint8_t wire[128];
    (void)self;
    memcpy(wire, bytes, length);
    __asm__ volatile("" ::"r"(wire) : "memory");
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

/* The exchange's part, outside the measured stretch: what was sent is done with, so that the ledger never fills. */
static void answer(uint64_t *sequence)
{
    struct tw_update update;
    struct ledger_answer gone = {.reference = engine.ledger.last_reference, .kind = TW_CANCELED, .shares = UINT32_MAX};
    while (engine.ledger.open_orders > 0)
        if (!ledger_answer(&engine.ledger, ++*sequence, &gone, &update))
            break;
}

int main(int count, char **arguments)
{
    struct bench_file file = bench_load(arguments[1]);
    struct failure failure;
    static uint32_t histogram[BUCKETS + 1];
    struct engine_settings settings = {.cpu = -1, .max_samples = 16, .journal_records = 1u << 22, .journal_name = "bench"};
    settings.max_orders = (uint32_t)bench_number(count, arguments, "max_orders", 1000000);
    settings.max_instruments = (uint32_t)bench_number(count, arguments, "max_instruments", 12000);
    settings.strategy = tw_strategy_find("imbalance");
    settings.strategy_settings = (struct tw_strategy_settings){
        .ratio = bench_number(count, arguments, "ratio", 3), .size = 100, .max_instruments = settings.max_instruments};
    settings.risk_limits = (struct risk_limits){.max_notional = UINT64_MAX,
                                                .max_size = 1000,
                                                .collar_bps = 10000,
                                                .max_position = 1u << 30,
                                                .max_open_orders = 1000,
                                                .max_orders_per_s = 1u << 30};
    settings.feed.policy.keep_packets = 16;
    settings.orders.version = bench_number(count, arguments, "version", 50) == 42 ? OUCH_42 : OUCH_50;
    snprintf(settings.orders.firm, sizeof settings.orders.firm, "TICK");
    snprintf(settings.journal_path, sizeof settings.journal_path, "%s", text(count, arguments, "journal", ""));
    uint64_t began = clock_now();
    if (!engine_init(&engine, &settings, &failure) || !engine_attach(&engine, &failure))
        bench_fail(failure.text);
    double start_ms = (double)(clock_now() - began) / 1e6;
    engine.transport = (struct transport){.send = keep, .receive_orders = nothing, .collect_stamps = no_stamps};
    orders_open_unasked(engine.orders);
    engine.trading = true;
    uint64_t answers = 0, first_ticks = ticks(), first_ns = clock_now();
    uint64_t *took = malloc(file.messages * sizeof *took), tooks = 0;
    if (took == NULL)
        bench_fail("memory");
    for (int round = 0; round < 2; round++) {
        uint8_t packet[MOLD_HEADER + 2 + 64];
        struct transport_packet in = {.bytes = packet, .receive_ns = 1};
        const uint8_t *at = file.bytes, *end = at + file.size;
        for (uint64_t sequence = 1; at < end; sequence++) {
            uint32_t length = get16(at);
            if (length <= 64) {
                mold_header(packet, (const uint8_t *)(round == 0 ? "WARM      " : "MEASURED  "), sequence, 1);
                memcpy(packet + MOLD_HEADER, at, 2 + length);
                in.length = MOLD_HEADER + 2 + length;
                uint64_t before = engine.block->orders_sent, start = ticks();
                engine_packet(&engine, &in);
                uint64_t stop = ticks();
                if (engine.block->orders_sent != before) {
                    answer(&answers);
                    stamps_flush(engine.stamps);
                    if (round == 1)
                        took[tooks++] = stop - start;
                }
            }
            at += 2 + length;
        }
    }
    double ns_per_tick = (double)(clock_now() - first_ns) / (double)(ticks() - first_ticks);
    for (uint64_t i = 0; i < tooks; i++) {
        uint64_t ns = (uint64_t)((double)took[i] * ns_per_tick + 0.5);
        histogram[ns < BUCKETS ? ns : BUCKETS]++;
    }

    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1.0};
    uint64_t figures[5] = {0};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t rank = (uint64_t)(shares[i] * (double)tooks + 0.999999), seen = 0;
        for (uint32_t ns = 0; ns <= BUCKETS && seen < rank; ns++) {
            seen += histogram[ns];
            figures[i] = ns;
        }
    }
    printf("{\"name\":\"packet_to_order\",\"orders\":%llu,\"median_ns\":%llu,\"p90_ns\":%llu,\"p99_ns\":%llu,\"p99_9_ns\":%llu,"
           "\"max_ns\":%llu,\"clock\":\"%s\",\"start_ms\":%.1f,\"hugepages\":%u,\"journal_records\":%llu}\n",
           (unsigned long long)tooks, (unsigned long long)figures[0], (unsigned long long)figures[1],
           (unsigned long long)figures[2], (unsigned long long)figures[3], (unsigned long long)figures[4],
#if defined(__x86_64__)
           "rdtscp",
#else
           "clock_gettime",
#endif
           start_ms, (unsigned)engine.arena.hugepages, (unsigned long long)engine.journal.count);
    engine_release(&engine);
    return 0;
}

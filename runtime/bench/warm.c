/* SPDX-License-Identifier: Apache-2.0
 *
 * What it is worth to keep the way of an order warm: rare orders of one instrument while a whole market goes through the books and
 * the caches. Each is sent over TCP on loopback; its time is the kernel's transmit stamp less the clock before its packet is given
 * to the engine. Before each, APART messages of the market are worked on, then the way is warmed, then AFTER more messages; the
 * kinds of warming take turns, so that all have the same machine:
 *
 *   cold      none
 *   nothing   the engine's part, and a send of nothing on the order connection
 *   warm      as the engine does with engine.warm_send: the twin (transport/twin.h) on top of that
 *   order     an order of its own just before: the most there is to gain
 *
 *   warm FILE [apart=2000] [after=100] [orders=4000]
 *
 * FILE is the market, as mix.c writes it. It must have messages enough for all orders. */
#include "bench.h"
#include "bench_engine.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "transport/connection.h"
#include "transport/twin.h"

#define BEGIN 8 /* one part in that many of the messages comes before the first order: the books fill */
#define INSTRUMENTS 16000u
#define LOCATE (INSTRUMENTS - 1)
#define FIRST_REFERENCE (1ull << 24) /* above those of mix.c */
#define PACKETS 64u
#define PACKET 128u /* bytes, whole cache lines */
#define STAMP_WAIT 100000u /* looks */

enum kind { COLD, NOTHING, WARM, ORDER, KINDS };
static const char *const names[KINDS] = {"cold", "nothing", "warm", "order"};

static struct engine engine;
static struct connection orders;
static struct twin twin;
static int exchange; /* the other end of `orders` */
static const uint8_t *market, *market_end;

/* --- transport --- */

static int send_order(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    (void)self;
    return connection_send(&orders, bytes, length, last_byte);
}

static int nothing(void *self, uint8_t *bytes, uint32_t capacity)
{
    (void)self, (void)bytes, (void)capacity;
    return 0;
}

static void collect(void *self, struct stamps *stamps)
{
    (void)self;
    connection_collect(&orders, stamps);
}

static void warm_with_nothing(void *self, const uint8_t *bytes, uint32_t length)
{
    (void)self, (void)length;
    connection_warm(&orders, bytes);
}

static void warm_with_twin(void *self, const uint8_t *bytes, uint32_t length)
{
    (void)self;
    connection_warm(&orders, bytes);
    twin_send(&twin, bytes, length);
}

static void connect_orders(void)
{
    struct failure failure;
    struct orders_settings settings = {.host = "127.0.0.1", .tos = 104};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (door < 0 || bind(door, (struct sockaddr *)&at, sizeof at) != 0 || listen(door, 1) != 0 ||
        getsockname(door, (struct sockaddr *)&at, &size) != 0)
        bench_fail("loopback: %s", strerror(errno));
    settings.port = ntohs(at.sin_port);
    connection_init(&orders);
    if (!connection_open(&orders, &settings, &(struct stamping){.clock = STAMP_SOFTWARE}, -1, &failure))
        bench_fail("%s", failure.text);
    exchange = accept(door, NULL, NULL);
    if (exchange < 0 || !connection_take(&orders) || orders.clock != STAMP_SOFTWARE)
        bench_fail("loopback: no connection with time stamps");
    close(door);
    twin_init(&twin);
    if (!twin_open(&twin, settings.tos))
        bench_fail("loopback: no twin");
}

/* --- feed --- */

static void feed(const uint8_t *message, uint16_t length, uint64_t receive_ns)
{
    static _Alignas(64) uint8_t packets[PACKETS][PACKET];
    static uint64_t sequence;
    uint8_t *packet = packets[sequence % PACKETS];
    mold_header(packet, (const uint8_t *)"WARM      ", ++sequence, 1);
    put16(packet + MOLD_HEADER, length);
    memcpy(packet + MOLD_HEADER + 2, message, length);
    engine_packet(&engine, &(struct transport_packet){
                               .bytes = packet,
                               .length = MOLD_HEADER + 2u + length,
                               .receive_clock = STAMP_SOFTWARE, /* its clock, read here where the packet begins */
                               .receive_ns = receive_ns});
}

static void feed_market(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (market == market_end)
            bench_fail("the file has too few messages; make more with mix, or ask for fewer orders");
        feed(market + 2, get16(market), 1);
        market += 2 + get16(market);
    }
}

static void feed_add(uint64_t reference, uint8_t side, uint32_t shares, uint64_t receive_ns)
{
    uint8_t message[36] = {'A'};
    put16(message + ITCH_A_stock_locate, LOCATE);
    put64(message + ITCH_A_order_reference, reference);
    message[ITCH_A_side] = side;
    put32(message + ITCH_A_shares, shares);
    memcpy(message + ITCH_A_stock, "BENCH   ", 8);
    put32(message + ITCH_A_price, side == 'B' ? 1000000 : 1000100);
    feed(message, sizeof message, receive_ns);
}

static void feed_delete(uint64_t reference)
{
    uint8_t message[19] = {'D'};
    put16(message + ITCH_D_stock_locate, LOCATE);
    put64(message + ITCH_D_order_reference, reference);
    feed(message, sizeof message, 1);
}

/* --- orders --- */

/* The exchange's part: what was sent is done with. */
static void answer(void)
{
    static uint64_t sequence;
    static uint32_t answered;
    uint8_t bytes[4096];
    struct tw_update update;
    while (recv(exchange, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    while (answered < engine.ledger.last_reference) {
        struct ledger_answer gone = {.reference = ++answered, .kind = TW_CANCELED, .shares = UINT32_MAX};
        ledger_answer(&engine.ledger, ++sequence, &gone, &update);
    }
}

/* Ns from its packet to the transmit stamp of an order, 0 without a stamp. */
static uint64_t order(void)
{
    static uint64_t made;
    uint64_t samples = BLOCK_GET(engine.block, samples), took = 0, reference = FIRST_REFERENCE + made;
    struct block_sample sample[1];
    feed_add(reference, made++ % 2 == 0 ? 'B' : 'S', 900, bench_clock(CLOCK_REALTIME));
    for (uint32_t i = 0; i < STAMP_WAIT && stamps_waiting(engine.stamps) > 0; i++)
        connection_collect(&orders, engine.stamps);
    if (BLOCK_GET(engine.block, samples) == samples + 1 && block_copy_samples(engine.block, sample, 1) == 1)
        took = sample->transmit_ns - sample->receive_ns;
    BLOCK_SET(engine.block, samples, 0);
    answer();
    feed_delete(reference);
    return took;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void start(uint64_t messages)
{
    struct failure failure;
    struct engine_settings settings = {
        .cpu = -1, .max_samples = 16, .journal_name = "bench", .max_orders = 1u << 20, .max_instruments = INSTRUMENTS};
    uint8_t named[39] = {'R'};
    settings.strategy = tw_strategy_find("imbalance");
    settings.strategy_settings = (struct tw_strategy_settings){
        .ratio = 3, .size = 100, .max_instruments = INSTRUMENTS, .symbol_count = 1, .symbols = {"BENCH   "}};
    settings.risk_limits = bench_limits();
    settings.feed.policy.keep_packets = 16;
    if (!engine_init(&engine, &settings, &failure) || !engine_attach(&engine, &failure))
        bench_fail("%s", failure.text);
    engine.transport = (struct transport){.orders = {.send = send_order, .receive = nothing, .collect_stamps = collect}};
    orders_open_unasked(engine.orders);
    engine.trading = true;
    put16(named + ITCH_R_stock_locate, LOCATE);
    memcpy(named + ITCH_R_stock, "BENCH   ", 8);
    feed(named, sizeof named, 1);
    feed_add(FIRST_REFERENCE - 2, 'B', 100, 1);
    feed_add(FIRST_REFERENCE - 1, 'S', 100, 1);
    feed_market(messages / BEGIN);
}

int main(int count, char **arguments)
{
    struct bench_file file = bench_load(arguments[1]);
    uint64_t apart = bench_number(count, arguments, "apart", 2000), after = bench_number(count, arguments, "after", 100);
    uint64_t wanted = bench_number(count, arguments, "orders", 4000), taken[KINDS] = {0}, warmed = 0;
    uint64_t *took[KINDS], *cost = malloc((wanted / KINDS + 1) * sizeof *cost);
    for (unsigned kind = 0; kind < KINDS; kind++)
        if ((took[kind] = malloc((wanted / KINDS + 1) * sizeof *took[kind])) == NULL || cost == NULL)
            bench_fail("memory");
    market = file.bytes;
    market_end = file.bytes + file.size;
    connect_orders();
    start(file.messages);
    for (uint64_t i = 0; i < wanted; i++) {
        enum kind kind = i % KINDS;
        feed_market(apart);
        uint64_t began = bench_now();
        engine.transport.orders.warm = kind == WARM ? warm_with_twin : warm_with_nothing;
        if (kind == ORDER)
            order();
        else if (kind != COLD)
            engine_warm(&engine);
        if (kind == WARM)
            cost[warmed++] = bench_now() - began;
        feed_market(after);
        uint64_t ns = order();
        if (ns > 0)
            took[kind][taken[kind]++] = ns;
    }
    printf("{\"name\":\"warm\",\"apart\":%llu,\"after\":%llu,", (unsigned long long)apart, (unsigned long long)after);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        uint64_t n = taken[kind];
        if (n == 0)
            bench_fail("%s: no order had its stamp", names[kind]);
        qsort(took[kind], n, sizeof *took[kind], by_value);
        const char *name = names[kind];
        printf("\"%s_orders\":%llu,\"%s_min_ns\":%llu,\"%s_median_ns\":%llu,\"%s_p90_ns\":%llu,", name, (unsigned long long)n,
               name, (unsigned long long)took[kind][0], name, (unsigned long long)took[kind][n / 2], name,
               (unsigned long long)took[kind][n * 9 / 10]);
    }
    qsort(cost, warmed, sizeof *cost, by_value);
    printf("\"warming_ns\":%llu}\n", (unsigned long long)cost[warmed / 2]);
    twin_close(&twin);
    connection_close(&orders);
    engine_release(&engine);
    return 0;
}

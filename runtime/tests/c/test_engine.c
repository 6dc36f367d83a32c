/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine over the replay transport under the sanitizers: packets cut, stretched and spoiled at random never read or write
 * past an end, and what is counted adds up. */
#include "check.h"
#include "engine.h"
#include "itch.h"
#include "transport/replay.h"

#define PACKETS 20000

static struct engine engine;
static struct replay_packet packets[PACKETS];

static struct engine_settings settings(void)
{
    struct engine_settings s = {.cpu = -1, .max_orders = 512, .max_instruments = 8, .max_samples = 8};
    s.strategy = tw_strategy_find("imbalance");
    s.strategy_settings = (struct tw_strategy_settings){.ratio = 1.5, .size = 100, .max_instruments = 8};
    s.risk_limits = (struct risk_limits){.max_notional = UINT64_MAX,
                                         .max_size = 1000,
                                         .collar_bps = 5000,
                                         .max_position = 1u << 30,
                                         .max_open_orders = 100,
                                         .max_orders_per_s = 1u << 30};
    s.feed.policy.keep_packets = 16;
    snprintf(s.orders.firm, sizeof s.orders.firm, "TICK");
    return s;
}

static uint32_t random_message(uint8_t *out, uint64_t *seed)
{
    char type = "AAAAAAFECXDUSRP"[chance(seed) % 15];
    uint32_t length = itch_lengths[(uint8_t)type];
    for (uint32_t i = 0; i < length; i++)
        out[i] = (uint8_t)chance(seed);
    out[0] = (uint8_t)type;
    put16(out + ITCH_A_stock_locate, (uint16_t)(chance(seed) % 9));
    uint32_t stock = type == 'R' ? ITCH_R_stock : ITCH_A_stock;
    if (type == 'R' || type == 'A' || type == 'F') /* few names, so that there is room for all of them */
        snprintf((char *)out + stock, 9, "STOCK%03u", (unsigned)(chance(seed) % 40));
    if (length >= 19)
        put64(out + ITCH_A_order_reference, chance(seed) % 300);
    if (type == 'A' || type == 'F') {
        out[ITCH_A_side] = chance(seed) % 2 ? 'B' : 'S';
        put32(out + ITCH_A_shares, (uint32_t)(1 + chance(seed) % 1000));
        put32(out + ITCH_A_price, (uint32_t)(10000 + chance(seed) % 50));
    }
    return length;
}

static void make_packets(uint64_t *seed)
{
    uint64_t sequence = 1;
    char session[] = "SESSION 00";
    for (int i = 0; i < PACKETS; i++) {
        uint8_t packet[2048];
        uint16_t count = (uint16_t)(chance(seed) % 12);
        uint32_t length = MOLD_HEADER;
        for (uint16_t m = 0; m < count; m++) {
            uint32_t bytes = random_message(packet + length + 2, seed);
            put16(packet + length, (uint16_t)bytes);
            length += 2 + bytes;
        }
        if (chance(seed) % 500 == 0) {
            session[9] = (char)('0' + chance(seed) % 10);
            sequence = 1;
        }
        mold_header(packet, (const uint8_t *)session, sequence, chance(seed) % 700 == 0 ? MOLD_END_OF_SESSION : count);
        sequence += chance(seed) % 50 == 0 ? chance(seed) % 40 : count;
        if (chance(seed) % 4 == 0)
            packet[chance(seed) % length] = (uint8_t)chance(seed);
        if (chance(seed) % 10 == 0)
            length = (uint32_t)(chance(seed) % (length + 1));
        packets[i] = (struct replay_packet){exactly(packet, length), length};
    }
}

int main(void)
{
    struct failure failure;
    struct engine_settings s = settings();
    uint64_t seed = 4;
    make_packets(&seed);
    CHECK(engine_init(&engine, &s, &failure));
    CHECK(engine_attach(&engine, &failure));
    struct replay_transport replay = {.packets = packets, .count = PACKETS};
    engine.transport = replay_transport_interface(&replay);
    CHECK(engine_run(&engine, false, &failure) == ENGINE_END);
    CHECK(BLOCK_GET(engine.block, packets) == PACKETS);
    CHECK(BLOCK_GET(engine.block, messages) > PACKETS && BLOCK_GET(engine.block, malformed) > 100);
    CHECK(BLOCK_GET(engine.block, orders_sent) > 10 && BLOCK_GET(engine.block, orders_sent) == replay.order_count);
    CHECK(BLOCK_GET(engine.block, risk_stale) > 10); /* a session that lost messages sends no order any more */
    CHECK(BLOCK_GET(engine.block, orders_accepted) == replay.order_count);
    CHECK(BLOCK_GET(engine.block, orders_canceled) == replay.order_count && engine.ledger.open_orders == 0);
    CHECK(replay.order_count > 0 && replay.orders.bytes[0] == 53 && replay.orders.bytes[2] == 'O');
    CHECK(BLOCK_GET(engine.block, out_of_session) > 0 && BLOCK_GET(engine.block, gaps) > 0);
    CHECK(BLOCK_GET(engine.block, book_errors) == book_errors_total(&engine.book.errors));
    CHECK(engine.book.live_orders <= s.max_orders);
    replay_transport_free(&replay);
    for (int i = 0; i < PACKETS; i++)
        free((void *)packets[i].bytes);
    engine_release(&engine);
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * From wishes to orders, with a strategy that asks for what the test says and a connection that takes as much as the test says:
 * groups, tags, refusals that are told, a peer that does not read, the kill switch, stale books, and the sums of the counters. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "engine.h"
#include "itch.h"
#include "transport/replay.h"

static struct engine engine;
static struct replay_transport replay;
static struct tw_order script[TW_STRATEGY_ORDERS];
static uint32_t script_count;
static struct tw_update told[64];
static uint32_t told_count;
static int sends_left = -1; /* -1: all are taken */
static bool answer_refusals;
static uint32_t told_before_top; /* updates before the last on_top */

/* --- the strategy --- */

static size_t footprint(const struct tw_strategy_settings *settings)
{
    (void)settings;
    return 64;
}

static uint32_t tags(const struct tw_strategy_settings *settings)
{
    (void)settings;
    return 4;
}

static void init(void *state, const struct tw_strategy_settings *settings)
{
    (void)state, (void)settings;
}

static void reset(void *state)
{
    (void)state;
}

static uint32_t on_instrument(void *state, uint16_t locate, const uint8_t stock[8])
{
    (void)state, (void)locate, (void)stock;
    return 1;
}

static uint32_t give(struct tw_order orders[TW_STRATEGY_ORDERS])
{
    memcpy(orders, script, script_count * sizeof *script);
    return script_count;
}

static uint32_t on_top(void *state, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    (void)state, (void)event;
    told_before_top = told_count;
    uint32_t count = give(orders);
    if (!answer_refusals)
        script_count = 0;
    return count;
}

static uint32_t on_update(void *state, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    (void)state;
    if (told_count < 64)
        told[told_count++] = *update;
    return answer_refusals && update->kind == TW_REFUSED ? give(orders) : 0;
}

static const struct tw_strategy scripted = {"scripted", TW_STRATEGY_ABI, footprint, tags, init, reset, on_instrument, on_top, on_update};

/* --- the connection --- */

static uint8_t sent[96];
static uint32_t sent_length;
static int (*replay_send)(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte);

static int send_some(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    if (sends_left == 0)
        return -EAGAIN;
    if (sends_left > 0)
        sends_left--;
    memcpy(sent, bytes, length < sizeof sent ? length : sizeof sent);
    sent_length = length;
    return replay_send(self, bytes, length, last_byte);
}

/* --- the feed --- */

static uint64_t sequence = 1, reference = 1;

static void feed_bytes(const uint8_t *message, uint32_t length)
{
    uint8_t packet[256];
    mold_header(packet, (const uint8_t *)"SESSION 01", sequence++, 1);
    put16(packet + MOLD_HEADER, (uint16_t)length);
    memcpy(packet + MOLD_HEADER + 2, message, length);
    struct transport_packet in = {.bytes = packet, .length = MOLD_HEADER + 2 + length};
    engine_packet(&engine, &in);
}

static void add(uint16_t locate, char side, uint32_t price)
{
    uint8_t message[36] = {'A'};
    put16(message + ITCH_A_stock_locate, locate);
    put64(message + ITCH_A_order_reference, reference++);
    message[ITCH_A_side] = (uint8_t)side;
    put32(message + ITCH_A_shares, 100);
    memcpy(message + ITCH_A_stock, "STOCK   ", 8);
    message[ITCH_A_stock + 5] = (uint8_t)('0' + locate);
    put32(message + ITCH_A_price, price);
    feed_bytes(message, sizeof message);
}

/* The next top of instrument 1 makes the strategy ask for these. */
static void ask(const struct tw_order *orders, uint32_t count)
{
    static uint32_t price = 9000;
    memcpy(script, orders, count * sizeof *orders);
    script_count = count;
    told_count = 0;
    add(1, 'B', ++price);
}

static void hear(void)
{
    orders_receive(engine.orders, &engine.transport.orders, 1);
}

static struct tw_order enter(uint16_t locate, uint32_t shares, uint32_t tag, uint8_t flags)
{
    return (struct tw_order){.price = 9990,
                             .shares = shares,
                             .tag = tag,
                             .locate = locate,
                             .side = 'B',
                             .action = TW_ENTER,
                             .time_in_force = TW_DAY,
                             .flags = flags};
}

#define COUNTER(name) BLOCK_GET(engine.block, name)

static void start(const char *journal)
{
    struct failure failure;
    static struct engine_settings s = {.cpu = -1, .max_orders = 1024, .max_instruments = 8, .max_samples = 8};
    s.strategy = &scripted;
    s.risk_limits = (struct risk_limits){.max_notional = UINT64_MAX,
                                         .max_size = 1000,
                                         .collar_bps = 5000,
                                         .max_position = 2000,
                                         .max_open_orders = 20,
                                         .max_orders_per_s = 1000};
    s.feed.policy.keep_packets = 4;
    s.journal_records = 64;
    snprintf(s.journal_path, sizeof s.journal_path, "%s", journal);
    snprintf(s.journal_name, sizeof s.journal_name, "test");
    CHECK(engine_init(&engine, &s, &failure) && engine_attach(&engine, &failure));
    engine.transport = replay_transport_interface(&replay);
    replay_send = engine.transport.orders.send;
    engine.transport.orders.send = send_some;
    orders_open_unasked(engine.orders);
}

static void begin(void)
{
    start("");
    engine.trading = true;
    for (uint16_t locate = 1; locate <= 2; locate++) {
        add(locate, 'B', 9000);
        add(locate, 'S', 10000);
    }
}

static void test_tags(void)
{
    struct tw_order order = enter(1, 100, 0, 0);
    ask(&order, 1);
    hear();
    CHECK(COUNTER(orders_sent) == 1 && engine.ledger.open_orders == 1 && told[0].kind == TW_ACCEPTED && told[0].tag == 0);
    ask(&order, 1); /* the tag is taken */
    CHECK(COUNTER(risk_tag) == 1 && told_count == 1 && told[0].kind == TW_REFUSED && told[0].reference == 0);
    CHECK(told[0].open_shares == 100); /* of the order that has it */
    order.action = TW_REPLACE;
    order.price = 9980;
    order.locate = 7; /* what the order is for is the ledger's word */
    ask(&order, 1);
    hear();
    CHECK(COUNTER(replaces_sent) == 1 && told[0].kind == TW_REPLACED && told[0].price == 9980 && told[0].locate == 1);
    order.shares = 5000; /* too large: what is there stays */
    ask(&order, 1);
    CHECK(told_count == 1 && told[0].kind == TW_REFUSED && told[0].shares == 5000 && told[0].open_shares == 100);
    order.shares = 100;
    sends_left = 0;
    ask(&order, 1);
    CHECK(told_count == 1 && told[0].kind == TW_REFUSED && told[0].open_shares == 100);
    order.action = TW_CANCEL;
    ask(&order, 1);
    CHECK(told_count == 1 && told[0].kind == TW_REFUSED && told[0].open_shares == 100);
    sends_left = -1;
    ask(&order, 1);
    ask(&order, 1); /* on its way already: nothing */
    CHECK(COUNTER(cancels_sent) == 1 && told_count == 0);
    hear();
    CHECK(engine.ledger.open_orders == 0 && told[0].kind == TW_CANCELED && told[0].open_shares == 0);
    order.action = TW_REPLACE;
    ask(&order, 1);
    order.action = TW_CANCEL;
    ask(&order, 1);
    order = enter(1, 100, 4, 0); /* the strategy has tags 0 to 3 */
    ask(&order, 1);
    CHECK(COUNTER(risk_tag) == 4);
}

static void test_groups(void)
{
    uint64_t before = COUNTER(orders_sent), taken = replay.order_count, too_large = COUNTER(risk_size);
    struct tw_order legs[] = {enter(1, 100, 1, TW_LEG), enter(2, 2000, 2, TW_LEG)};
    ask(legs, 2); /* the second is too large: none goes */
    CHECK(COUNTER(orders_sent) == before && replay.order_count == taken && engine.ledger.open_orders == 0);
    CHECK(COUNTER(risk_leg) == 1 && COUNTER(risk_size) == too_large + 1 && told_count == 2);
    legs[1].shares = 200;
    ask(legs, 2);
    CHECK(COUNTER(orders_sent) == before + 2 && COUNTER(legs_sent) == 2 && COUNTER(leg_groups) == 1);
    uint64_t spread;
    CHECK(block_copy_legs(engine.block, &spread, 1) == 1 && spread == COUNTER(leg_spread_last_ns));
    hear();
    /* Both buy 1: each is within the position limit of 2000, together they are not. */
    struct tw_order same[] = {enter(1, 1000, TW_NO_TAG, TW_LEG), enter(1, 1000, TW_NO_TAG, TW_LEG)};
    ask(same, 2);
    CHECK(COUNTER(risk_position) == 1 && COUNTER(risk_leg) == 2 && COUNTER(orders_sent) == before + 2);
    struct tw_order twins[] = {enter(1, 1, 3, TW_LEG), enter(2, 1, 3, TW_LEG)};
    ask(twins, 2);
    CHECK(COUNTER(risk_leg) == 3 && COUNTER(orders_sent) == before + 2);
    engine_cancel_all(&engine);
    hear();
    CHECK(engine.ledger.open_orders == 0);
}

static void set_duplicate_ms(uint32_t duplicate_ms)
{
    struct risk_limits limits = engine.settings.risk_limits;
    limits.duplicate_ms = duplicate_ms;
    risk_set_limits(engine.risk, &limits);
}

static void test_a_group_that_repeats_itself(void)
{
    uint64_t before = COUNTER(orders_sent), refused = COUNTER(risk_leg);
    struct tw_order other = enter(1, 100, TW_NO_TAG, TW_LEG), sell = enter(1, 100, TW_NO_TAG, TW_LEG);
    other.price--;
    sell.side = 'S';
    struct tw_order legs[] = {enter(1, 100, TW_NO_TAG, TW_LEG), other, enter(2, 100, TW_NO_TAG, TW_LEG), sell,
                              enter(1, 100, TW_NO_TAG, TW_LEG)};
    set_duplicate_ms(1000);
    ask(legs, 5); /* the last is the first once more */
    CHECK(COUNTER(risk_duplicate) == 1 && COUNTER(risk_leg) == refused + 4 && COUNTER(orders_sent) == before);
    CHECK(told_count == 5 && engine.ledger.open_orders == 0);
    ask(legs, 4);
    CHECK(COUNTER(risk_duplicate) == 1 && COUNTER(orders_sent) == before + 4);
    set_duplicate_ms(0);
    legs[1] = legs[0];
    ask(legs, 2); /* without the rule it is the strategy's business */
    CHECK(COUNTER(risk_duplicate) == 1 && COUNTER(orders_sent) == before + 6);
    hear();
    engine_cancel_all(&engine);
    hear();
    CHECK(engine.ledger.open_orders == 0);
}

static void test_a_peer_that_does_not_read(void)
{
    uint64_t before = COUNTER(orders_sent), unsent = COUNTER(orders_unsent);
    struct tw_order order = enter(1, 100, 0, 0);
    sends_left = 0;
    uint32_t used = engine.ledger.last_reference;
    ask(&order, 1);
    CHECK(COUNTER(orders_unsent) == unsent + 1 && COUNTER(orders_sent) == before && engine.ledger.open_orders == 0);
    CHECK(told_count == 1 && told[0].kind == TW_REFUSED);
    sends_left = -1;
    ask(&order, 1);
    CHECK(COUNTER(orders_sent) == before + 1 && engine.ledger.last_reference == used + 2); /* the number is gone */
    hear();
    /* The second leg of a group: the first is out and stays, and there is no time between the two. */
    struct tw_order legs[] = {enter(1, 100, 1, TW_LEG), enter(2, 200, 2, TW_LEG)};
    uint64_t groups = COUNTER(leg_groups), sent_legs = COUNTER(legs_sent);
    sends_left = 1;
    ask(legs, 2);
    CHECK(COUNTER(orders_unsent) == unsent + 2 && COUNTER(legs_sent) == sent_legs + 1 && COUNTER(leg_groups) == groups);
    CHECK(ledger_tagged(&engine.ledger, 1) != NULL && ledger_tagged(&engine.ledger, 2) == NULL);
    sends_left = -1;
    struct tw_order gone = {.tag = 1, .action = TW_CANCEL};
    ask(&gone, 1);
    hear();
    CHECK(engine.ledger.open_orders == 1);
    sends_left = 0;
    engine_cancel_all(&engine);
    CHECK(engine.ledger.open_orders == 1 && !ledger_tagged(&engine.ledger, 0)->canceling);
    sends_left = -1;
    engine_cancel_all(&engine);
    hear();
    CHECK(engine.ledger.open_orders == 0);
}

/* The bytes that went out are those of a template nothing was prepared in. */
static bool sent_is(uint32_t number, const struct tw_order *order)
{
    struct ouch_staged fresh;
    ouch_stage(&fresh, engine.settings.orders.version, engine.settings.orders.firm);
    uint32_t length = ouch_enter(&fresh, number, order->side, order->shares, engine.book.stocks[order->locate], order->price,
                                 order->time_in_force);
    return sent_length == length && memcmp(sent, fresh.enter, length) == 0;
}

/* A single order without a tag has code of its own, and its number stands in the template before it is asked for. */
static void test_a_plain_order(void)
{
    uint64_t before = COUNTER(orders_sent), unsent = COUNTER(orders_unsent);
    uint32_t used = engine.ledger.last_reference;
    struct tw_order order = enter(1, 100, TW_NO_TAG, 0), other = enter(2, 300, TW_NO_TAG, 0);
    const struct ledger_position *position = ledger_position(&engine.ledger, 1);
    ask(&order, 1);
    CHECK(COUNTER(orders_sent) == before + 1 && sent_is(used + 1, &order) && position->open_buys == 100);
    ask(&other, 1);
    CHECK(COUNTER(orders_sent) == before + 2 && sent_is(used + 2, &other) && engine.ledger.open_orders == 2);
    sends_left = 0; /* it is booked, and taken back */
    ask(&order, 1);
    sends_left = -1;
    CHECK(COUNTER(orders_unsent) == unsent + 1 && told_count == 1 && told[0].kind == TW_REFUSED);
    CHECK(engine.ledger.open_orders == 2 && engine.ledger.last_reference == used + 3 && position->open_buys == 100);
    uint64_t out = replay.order_count;
    engine_warm(&engine);
    CHECK(replay.order_count == out && engine.ledger.last_reference == used + 3 && COUNTER(orders_sent) == before + 2);
    ask(&order, 1);
    CHECK(sent_is(used + 4, &order) && position->open_buys == 200);
    ledger_skip_to(&engine.ledger, used + 50); /* the exchange says which number it expects */
    ask(&other, 1);
    CHECK(sent_is(used + 50, &other) && COUNTER(orders_sent) == before + 4);
    order.shares = 2000;
    ask(&order, 1);
    CHECK(told_count == 1 && told[0].kind == TW_REFUSED && COUNTER(orders_sent) == before + 4 && engine.ledger.open_orders == 4);
    engine_cancel_all(&engine);
    hear();
    CHECK(engine.ledger.open_orders == 0 && position->open_buys == 0);
}

static void test_killed_and_not_trading(void)
{
    uint64_t before = COUNTER(orders_sent);
    struct tw_order order = enter(1, 100, 0, 0);
    ask(&order, 1);
    hear();
    control_kill(engine.control, "test");
    struct tw_order next = enter(1, 100, 1, 0), cancel = {.tag = 0, .action = TW_CANCEL};
    ask(&next, 1); /* before the loop has looked at the control block */
    CHECK(COUNTER(risk_killed) == 1 && COUNTER(orders_sent) == before + 1);
    ask(&cancel, 1);
    hear();
    CHECK(engine.ledger.open_orders == 0);
    control_revive(engine.control);
    engine.trading = false;
    script_count = 1;
    script[0] = next;
    engine_ask(&engine, &next, 1, NULL);
    CHECK(COUNTER(orders_sent) == before + 1 && told[told_count - 1].kind == TW_REFUSED);
    engine.trading = true;
}

static void test_refusals_that_are_answered_end(void)
{
    uint64_t before = COUNTER(risk_size);
    struct tw_order huge = enter(1, 5000, TW_NO_TAG, 0);
    answer_refusals = true;
    ask(&huge, 1);
    answer_refusals = false;
    CHECK(COUNTER(risk_size) == before + 1 + TW_STRATEGY_ORDERS && engine.telling == 0);
}

/* Last: the books stay stale. */
static void test_stale_books(void)
{
    uint64_t before = COUNTER(orders_sent);
    struct tw_order order = enter(1, 100, 0, 0);
    sequence += 5;
    ask(&order, 1);
    CHECK(feed_is_stale(engine.feed) && COUNTER(risk_stale) == 1 && COUNTER(orders_sent) == before);
    CHECK(told[0].kind == TW_REFUSED);
    engine_show(&engine);
    CHECK(BLOCK_GET(engine.block, stale) == 1 && COUNTER(messages_lost) == 5);
}

static void test_orders_of_before_are_told(void)
{
    char directory[] = "/tmp/tickwire-orders-XXXXXX", path[64];
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/journal", directory);
    start(path);
    engine.trading = true;
    for (uint16_t locate = 1; locate <= 2; locate++) {
        add(locate, 'B', 9000);
        add(locate, 'S', 10000);
    }
    struct tw_order orders[] = {enter(1, 100, 0, 0), enter(1, 200, 1, 0), enter(2, 300, 2, 0), enter(1, 400, TW_NO_TAG, 0)};
    ask(orders, 4);
    hear();
    struct tw_order cancel = {.tag = 0, .action = TW_CANCEL};
    ask(&cancel, 1);
    hear();
    uint32_t first = ledger_tagged(&engine.ledger, 1)->reference;
    engine_release(&engine);

    start(path);
    CHECK(engine.ledger.open_orders == 3 && engine.untold_count == 2);
    script_count = told_count = 0;
    add(2, 'B', 9000); /* named while there is no order session: not yet */
    CHECK(told_count == 0);
    engine.trading = true;
    engine_tell_recovered(&engine); /* as the loop does when the session is live */
    CHECK(told_count == 1 && told[0].kind == TW_ACCEPTED && told[0].tag == 2 && told[0].locate == 2);
    CHECK(told[0].shares == 300 && told[0].open_shares == 300 && told[0].side == 'B' && told[0].price == 9990);
    add(1, 'B', 9000); /* named by the message that is its first top */
    CHECK(told_count == 2 && told_before_top == 2 && told[1].kind == TW_ACCEPTED && told[1].tag == 1 && told[1].locate == 1);
    CHECK(told[1].open_shares == 200 && told[1].reference == first && engine.untold_count == 0);
    engine_tell_recovered(&engine);
    add(1, 'S', 10000);
    CHECK(told_count == 2);
    engine_release(&engine);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    begin();
    test_tags();
    test_groups();
    test_a_group_that_repeats_itself();
    test_a_peer_that_does_not_read();
    test_a_plain_order();
    test_killed_and_not_trading();
    test_refusals_that_are_answered_end();
    test_stale_books();
    CHECK(COUNTER(orders_sent) + COUNTER(replaces_sent) + COUNTER(cancels_sent) == replay.order_count);
    engine_release(&engine);
    test_orders_of_before_are_told();
    replay_transport_free(&replay);
    return DONE();
}

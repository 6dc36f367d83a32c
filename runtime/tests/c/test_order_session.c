/* SPDX-License-Identifier: Apache-2.0
 *
 * The time-outs of the order session, by a clock of the test's own: nothing else counts, least of all the time of the day. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "orders.h"

#define LOGIN_NS (ORDERS_LOGIN_TIMEOUT_MS * NS_PER_MS)
#define SILENCE_NS (SOUP_SILENCE_S * NS_PER_S)
#define BEAT_NS (200 * NS_PER_MS)

static uint8_t waiting[512];   /* what the exchange has said and nobody has read */
static uint32_t waits, beats, others, drops, lost; /* closed at all; as lost */
static uint8_t last[64]; /* packet sent */

static int send_some(void *self, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    (void)self;
    *last_byte = length - 1;
    memcpy(last, bytes, length < sizeof last ? length : sizeof last);
    if (length == 3 && bytes[2] == SOUP_CLIENT_HEARTBEAT)
        beats++;
    else
        others++;
    return 0;
}

static int receive_some(void *self, uint8_t *bytes, uint32_t capacity)
{
    (void)self;
    uint32_t got = waits;
    CHECK(got <= capacity);
    memcpy(bytes, waiting, got);
    waits = 0;
    return (int)got;
}

static void drop(void *self)
{
    (void)self;
    drops++;
}

static void abandon(void *self)
{
    drop(self);
    lost++;
}

static void say(const void *packet, uint32_t length)
{
    memcpy(waiting + waits, packet, length);
    waits += length;
}

static void nobody_hears(void *context, const struct tw_update *update)
{
    (void)context;
    (void)update;
}

static struct order_transport transport = {.send = send_some, .receive = receive_some, .drop = drop, .abandon = abandon};
static const struct orders_settings settings = {.username = "T", .password = "p", .version = OUCH_42, .heartbeat_ms = 200};
static const struct orders_settings settings50 = {.username = "T", .password = "p", .version = OUCH_50, .heartbeat_ms = 200};
static const struct ledger_settings small = {.max_open_orders = 8, .max_instruments = 4, .max_tags = 8};
static struct journal journal = {.fd = -1};
static struct arena arena;
static struct ledger ledger;
static struct orders orders;

static void beat_of_the_exchange(uint64_t now)
{
    say("\0\1H", 3);
    orders_receive(&orders, &transport, now);
}

static void log_in(uint64_t now)
{
    orders_login(&orders, &transport, now);
    say("\0\37ASESSION   ", 13);
    say("                   1", 20);
    orders_receive(&orders, &transport, now);
    beat_of_the_exchange(now); /* nothing to settle */
    CHECK(orders.state == ORDERS_LIVE);
}

static void test_a_login_without_an_answer(uint64_t now)
{
    uint32_t before = drops, lost_before = lost;
    orders_login(&orders, &transport, now);
    orders_tick(&orders, &transport, now + LOGIN_NS);
    CHECK(orders.state == ORDERS_LOGGING_IN && drops == before);
    orders_tick(&orders, &transport, now + LOGIN_NS + 1);
    CHECK(orders.state == ORDERS_CLOSED && drops == before + 1 && lost == lost_before + 1);
    CHECK(orders.failure.code == ETIMEDOUT && strstr(orders.failure.text, "no answer to the login of user T") != NULL);
}

static void test_an_exchange_that_falls_silent(uint64_t now)
{
    log_in(now);
    uint32_t before = drops, lost_before = lost;
    for (uint64_t later = 0; later <= 3 * SILENCE_NS; later += SILENCE_NS) { /* just in time, each time */
        orders_tick(&orders, &transport, now + later);
        beat_of_the_exchange(now + later);
    }
    CHECK(orders.state == ORDERS_LIVE && drops == before);
    orders_tick(&orders, &transport, now + 4 * SILENCE_NS);
    CHECK(orders.state == ORDERS_LIVE);
    orders_tick(&orders, &transport, now + 4 * SILENCE_NS + 1);
    CHECK(orders.state == ORDERS_CLOSED && drops == before + 1 && lost == lost_before + 1); /* what was under way must not arrive */
    CHECK(orders.failure.code == ETIMEDOUT && strstr(orders.failure.text, "silent for 15 s") != NULL);
    orders_tick(&orders, &transport, now + 5 * SILENCE_NS);
    CHECK(drops == before + 1);
}

static void test_heartbeats_go_when_nothing_else_has_gone(uint64_t now)
{
    log_in(now);
    orders_tick(&orders, &transport, now); /* the login was sent */
    uint32_t before = beats;
    orders_tick(&orders, &transport, now + BEAT_NS - 1);
    CHECK(beats == before);
    orders_tick(&orders, &transport, now + BEAT_NS);
    CHECK(beats == before + 1);
    orders_tick(&orders, &transport, now + BEAT_NS + 1); /* it counts from when it was seen to be sent */
    orders_tick(&orders, &transport, now + 2 * BEAT_NS);
    CHECK(beats == before + 1);
    orders.sent = true; /* an order */
    orders_tick(&orders, &transport, now + 2 * BEAT_NS + 1);
    orders_tick(&orders, &transport, now + 3 * BEAT_NS);
    CHECK(beats == before + 1);
    orders_tick(&orders, &transport, now + 3 * BEAT_NS + 1);
    CHECK(beats == before + 2 && orders.state == ORDERS_LIVE);
    uint32_t said = others, dropped = drops, lost_before = lost;
    orders_logout(&orders, &transport);
    CHECK(others == said + 1 && orders.state == ORDERS_CLOSED);
    CHECK(drops == dropped + 1 && lost == lost_before); /* the logout, and what went before it, still arrives */
}

static void accepted(const char *session_and_sequence, uint64_t now)
{
    CHECK(strlen(session_and_sequence) == 30);
    say("\0\37A", 3);
    say(session_and_sequence, 30);
    orders_receive(&orders, &transport, now);
}

static void sequenced(const void *message, uint32_t length, uint64_t now)
{
    uint8_t header[] = {0, (uint8_t)(1 + length), SOUP_SEQUENCED};
    say(header, sizeof header);
    say(message, length);
    orders_receive(&orders, &transport, now);
}

static bool asked_for(char sequence)
{
    return last[2] == SOUP_LOGIN_REQUEST && last[SOUP_LOGIN_BYTES - 2] == ' ' && last[SOUP_LOGIN_BYTES - 1] == (uint8_t)sequence;
}

/* Old answers to queries, however long nothing follows them, settle nothing. */
static void test_what_is_sent_again_settles_nothing(uint64_t now)
{
    static const uint8_t answer[13] = {'Q', [12] = 1}, event[10] = {'S'};
    orders_init(&orders, &settings50, orders.block, &ledger, nobody_hears, NULL);
    ledger_session(&ledger, "NONE", 1); /* as a new journal: nothing is known of the session */
    orders_login(&orders, &transport, now);
    CHECK(asked_for('0'));
    uint32_t before = drops, lost_before = lost;
    accepted("       DAY                   5", now);
    CHECK(orders.state == ORDERS_AGAIN && orders_are_closed(&orders) && last[2] == SOUP_LOGOUT_REQUEST && drops == before + 1);
    CHECK(lost == lost_before);
    orders_login(&orders, &transport, now);
    CHECK(asked_for('1'));
    accepted("       OLD                   1", now); /* another session has begun: what was learned is of no use */
    CHECK(orders.state == ORDERS_AGAIN);
    orders_login(&orders, &transport, now);
    CHECK(asked_for('0'));
    accepted("       DAY                   0", now); /* not a number of a message */
    CHECK(orders.state == ORDERS_AGAIN);
    orders_login(&orders, &transport, now);
    CHECK(asked_for('1'));
    orders.end = 5;
    accepted("       DAY                   1", now);
    CHECK(orders.state == ORDERS_SETTLING && last[3] == 'Q' && last[7] == 'Q');
    for (unsigned i = 1; i <= 5; i++) {
        sequenced(i % 2 == 0 ? event : answer, i % 2 == 0 ? sizeof event : sizeof answer, now += NS_PER_S);
        orders_receive(&orders, &transport, now += 10 * NS_PER_S);
        CHECK(orders.state == ORDERS_SETTLING);
    }
    sequenced(answer, sizeof answer, now);
    CHECK(orders.state == ORDERS_LIVE);
    say("\0\1Z", 3); /* the end of the session */
    orders_receive(&orders, &transport, now);
    CHECK(orders.state == ORDERS_CLOSED);
    /* Nothing was missed: the login that asks for the end is good. */
    orders_login(&orders, &transport, now);
    CHECK(asked_for('0'));
    accepted("       DAY                   7", now);
    CHECK(orders.state == ORDERS_SETTLING && last[3] == 'Q');
    sequenced(answer, sizeof answer, now); /* 7: the last message there was may have that number */
    CHECK(orders.state == ORDERS_SETTLING);
    sequenced(answer, sizeof answer, now);
    CHECK(orders.state == ORDERS_LIVE);
    orders_logout(&orders, &transport);
}

/* Without a query: heartbeats count once all that was there has come. */
static void test_heartbeats_before_the_end_settle_nothing(uint64_t now)
{
    static const uint8_t event[10] = {'S'};
    orders_init(&orders, &settings, orders.block, &ledger, nobody_hears, NULL);
    ledger_session(&ledger, "NONE", 1);
    orders_login(&orders, &transport, now);
    accepted("       DAY                   3", now);
    orders_login(&orders, &transport, now);
    accepted("       DAY                   1", now);
    for (unsigned i = 1; i <= 2; i++) {
        beat_of_the_exchange(now);
        CHECK(orders.state == ORDERS_SETTLING);
        sequenced(event, sizeof event, now);
    }
    CHECK(orders.state == ORDERS_SETTLING);
    beat_of_the_exchange(now);
    CHECK(orders.state == ORDERS_LIVE);
    orders_logout(&orders, &transport);
}

int main(void)
{
    struct failure failure;
    struct block *block = block_create("", "t", 4, &failure);
    CHECK(block != NULL && arena_open(&arena, ledger_footprint(&small)) && ledger_init(&ledger, &arena, &small, &journal));
    orders_init(&orders, &settings, block, &ledger, nobody_hears, NULL);
    const uint64_t starts[] = {NS_PER_S, 1ULL << 62}; /* a host just booted, and one that has been up for a century */
    for (unsigned i = 0; i < 2; i++) {
        test_a_login_without_an_answer(starts[i]);
        test_an_exchange_that_falls_silent(starts[i]);
        test_heartbeats_go_when_nothing_else_has_gone(starts[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        test_what_is_sent_again_settles_nothing(starts[i]);
        test_heartbeats_before_the_end_settle_nothing(starts[i]);
    }
    arena_close(&arena);
    block_unmap(block);
    return DONE();
}

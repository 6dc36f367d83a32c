/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ledger.h"

static struct failure failure;
static char directory[] = "/tmp/tickwire-ledger-XXXXXX", path[64];
static const struct ledger_settings settings = {.max_open_orders = 8, .max_instruments = 4, .max_tags = 8};
static struct arena arena;
static struct journal journal;
static struct ledger ledger;
static struct tw_update update;
static uint64_t sequence;

static bool start(uint64_t capacity, const struct ledger_settings *with)
{
    CHECK(journal_open(&journal, path, "t 1", capacity, &failure));
    CHECK(arena_open(&arena, ledger_footprint(with)) && ledger_init(&ledger, &arena, with, &journal));
    CHECK(arena.used == ledger_footprint(with));
    bool good = ledger_recover(&ledger, &failure);
    sequence = ledger.answered;
    CHECK(ledger_bind(&ledger, 7, (const uint8_t *)"AAPL    "));
    CHECK(ledger_bind(&ledger, 9, (const uint8_t *)"MSFT    "));
    return good;
}

static void stop(void)
{
    journal_close(&journal);
    arena_close(&arena);
}

static void again(void)
{
    stop();
    CHECK(start(64, &settings));
}

static void begin(uint64_t capacity)
{
    unlink(path);
    CHECK(start(capacity, &settings));
    ledger_session(&ledger, "S1", 1);
}

static uint32_t enter(uint32_t tag, uint8_t side, uint32_t shares)
{
    return ledger_enter(&ledger, &(struct tw_order){.locate = 7, .tag = tag, .side = side, .shares = shares, .price = 10000,
                                                    .action = TW_ENTER, .time_in_force = TW_DAY});
}

static uint32_t original, quantity;

static uint32_t replace(uint32_t tag, uint32_t shares)
{
    const struct tw_order order = {.tag = tag, .shares = shares, .price = 10100, .action = TW_REPLACE};
    return ledger_replace(&ledger, &order, &original, &quantity);
}

static uint32_t cancel(uint32_t tag)
{
    return ledger_cancel(&ledger, &(struct tw_order){.tag = tag, .action = TW_CANCEL});
}

static bool answer(uint8_t kind, uint32_t reference, uint32_t shares)
{
    struct ledger_answer message = {
        .kind = kind, .reference = reference, .shares = shares, .price = 10000, .match_number = sequence, .time_ns = 5};
    memset(&update, 0, sizeof update);
    return ledger_answer(&ledger, ++sequence, &message, &update);
}

static bool replaced(uint32_t reference, uint32_t of, uint32_t shares)
{
    struct ledger_answer message = {.kind = TW_REPLACED, .reference = reference, .original = of, .shares = shares, .price = 10100};
    return ledger_answer(&ledger, ++sequence, &message, &update);
}

static const struct ledger_position *aapl(void)
{
    return ledger_position(&ledger, 7);
}

static bool open_is(uint64_t buys, uint32_t orders, uint32_t replacing)
{
    return aapl()->open_buys == buys && ledger.open_orders == orders && ledger.replacing == replacing;
}

static void an_order_from_entry_to_its_end(void)
{
    begin(64);
    CHECK(enter(1, 'B', 100) == 1 && open_is(100, 1, 0) && ledger_tagged(&ledger, 1)->state == LEDGER_SENT);
    CHECK(enter(1, 'B', 100) == 0 && enter(8, 'B', 100) == 0 && enter(2, 'B', 0) == 0); /* tag taken, no such tag, nothing */
    CHECK(answer(TW_ACCEPTED, 1, 100) && update.kind == TW_ACCEPTED && update.tag == 1 && update.time_ns == 5);
    CHECK(update.locate == 7 && update.open_shares == 100);
    CHECK(answer(TW_EXECUTED, 1, 30) && update.position == 30 && update.open_shares == 70 && update.shares == 30);
    CHECK(open_is(70, 1, 0) && aapl()->cash == -300000);
    CHECK(cancel(1) == 1 && cancel(1) == 0);
    CHECK(answer(TW_EXECUTED, 1, 20) && update.open_shares == 50); /* crossed the cancel */
    CHECK(answer(TW_CANCELED, 1, 50) && update.open_shares == 0 && open_is(0, 0, 0) && ledger_tagged(&ledger, 1) == NULL);
    CHECK(enter(1, 'S', 10) == 2 && aapl()->open_sells == 10 && answer(TW_ACCEPTED, 2, 0)); /* accepted and dead */
    CHECK(aapl()->open_sells == 0 && update.open_shares == 0 && ledger.open_orders == 0);
    CHECK(enter(1, 'S', 10) == 3 && answer(TW_REJECTED, 3, 0) && update.open_shares == 0 && ledger.open_orders == 0);
    CHECK(enter(TW_NO_TAG, 'S', 10) == 4 && enter(TW_NO_TAG, 'S', 10) == 5 && cancel(TW_NO_TAG) == 0);
    CHECK(answer(TW_EXECUTED, 5, 10) && update.tag == TW_NO_TAG && aapl()->shares == 40); /* its Accepted was never told */
    stop();
}

static void partly_canceled_by_the_exchange(void)
{
    begin(64);
    enter(1, 'B', 100);
    answer(TW_ACCEPTED, 1, 100);
    CHECK(answer(TW_CANCELED, 1, 10) && open_is(90, 1, 0));
    CHECK(replace(1, 50) == 2 && quantity == 50); /* those shares are simply gone */
    struct ledger_answer self_match = {.kind = TW_CANCELED, .reference = 1, .shares = 20, .reason = LEDGER_SELF_MATCH};
    CHECK(ledger_answer(&ledger, ++sequence, &self_match, &update) && open_is(70, 1, 1)); /* these count as used */
    CHECK(replace(1, 30) == 3 && original == 2 && quantity == 50);
    stop();
}

/* 4.2 does not say that these count, and a replacement must not leave more open than was wished. */
static void self_match_in_4_2(void)
{
    struct ledger_settings old = settings;
    old.self_match_is_unused = true;
    unlink(path);
    CHECK(start(64, &old));
    ledger_session(&ledger, "S1", 1);
    enter(1, 'B', 100);
    answer(TW_ACCEPTED, 1, 100);
    CHECK(answer(TW_EXECUTED, 1, 10) && replace(1, 50) == 2 && quantity == 60);
    struct ledger_answer self_match = {.kind = TW_CANCELED, .reference = 1, .shares = 20, .reason = LEDGER_SELF_MATCH};
    CHECK(ledger_answer(&ledger, ++sequence, &self_match, &update) && update.open_shares == 70);
    CHECK(ledger_find(&ledger, 2)->open_shares == 50 && replace(1, 30) == 3 && original == 2 && quantity == 40);
    stop();
    CHECK(start(64, &old) && ledger_find(&ledger, 2)->open_shares == 50 && replace(1, 30) == 0);
    stop();
}

/* The specification's example: 500 entered, 100 executed, a Replace of 500 leaves 400 open, of 600 leaves 500. */
static void a_replacement_names_what_the_chain_may_come_to(void)
{
    begin(64);
    enter(1, 'B', 500);
    answer(TW_ACCEPTED, 1, 500);
    answer(TW_EXECUTED, 1, 100);
    CHECK(replace(1, 400) == 2 && original == 1 && quantity == 500 && open_is(400, 1, 1));
    CHECK(replaced(2, 1, 400) && open_is(400, 1, 0) && update.tag == 1 && ledger_find(&ledger, 1) == NULL);
    CHECK(replace(1, 500) == 3 && original == 2 && quantity == 600 && open_is(500, 1, 1));
    CHECK(answer(TW_EXECUTED, 2, 50)); /* before the replacement arrived there: it will have 50 less */
    CHECK(open_is(450, 1, 1) && ledger_find(&ledger, 3)->open_shares == 450 && aapl()->shares == 150);
    CHECK(replaced(3, 2, 450) && open_is(450, 1, 0) && replace(1, 10) == 4 && quantity == 160);
    again();
    CHECK(open_is(450, 1, 1) && ledger.unsure == 1 && replace(1, 10) == 0); /* unsure: not replaced, but may be canceled */
    CHECK(cancel(1) == 4);
    stop();
}

static void replacements_may_follow_each_other(void)
{
    begin(64);
    enter(1, 'B', 100);
    CHECK(replace(1, 300) == 2 && replace(1, 200) == 3 && original == 2 && open_is(300, 1, 2));
    CHECK(answer(TW_ACCEPTED, 1, 100) && open_is(300, 1, 2));
    CHECK(replaced(2, 1, 300) && open_is(300, 1, 1) && replaced(3, 2, 200) && open_is(200, 1, 0));
    CHECK(replace(1, 50) == 4 && answer(TW_REJECTED, 4, 0)); /* the order stays as it was */
    CHECK(update.open_shares == 200 && update.tag == 1 && open_is(200, 1, 0) && ledger_tagged(&ledger, 1)->reference == 3);
    CHECK(replace(1, 500) == 5 && replace(1, 600) == 6 && answer(TW_REJECTED, 5, 0)); /* 6 replaces nothing and is ignored */
    CHECK(open_is(200, 1, 0) && update.open_shares == 200);
    CHECK(replace(1, 500) == 7 && cancel(1) == 7); /* the cancel is for the last */
    CHECK(answer(TW_EXECUTED, 3, 200)); /* all of it: 7 never lives, and the exchange will not say so */
    CHECK(update.open_shares == 0 && open_is(0, 0, 0) && ledger_tagged(&ledger, 1) == NULL && enter(1, 'B', 1) == 8);
    CHECK(replace(1, 5) == 9 && answer(TW_CANCELED, 8, 1) && open_is(0, 0, 0)); /* invalid replacement: the original goes */
    enter(2, 'B', 10);
    CHECK(replace(2, 20) == 11 && replaced(11, 10, 0) && open_is(0, 0, 0)); /* replaced and dead */
    enter(2, 'B', 10);
    CHECK(replace(2, 20) == 13);
    ledger_unsent(&ledger, 13, TW_REPLACE);
    CHECK(open_is(10, 1, 0) && ledger_tagged(&ledger, 2)->reference == 12 && replace(2, 5) == 14);
    CHECK(cancel(2) == 14);
    ledger_unsent(&ledger, 14, TW_CANCEL);
    CHECK(cancel(2) == 14);
    ledger_unsent(&ledger, 12, TW_ENTER);
    CHECK(open_is(0, 0, 0) && ledger.last_reference == 14);
    CHECK(ledger.unknown == 0);
    again();
    CHECK(open_is(0, 0, 0) && ledger.last_reference == 14 && aapl()->shares == 200);
    stop();
}

static void a_rejected_cancel_leaves_the_order(void)
{
    begin(64);
    enter(1, 'B', 100);
    answer(TW_ACCEPTED, 1, 100);
    CHECK(cancel(1) == 1 && answer(TW_REJECTED, 1, 0) && update.open_shares == 100 && open_is(100, 1, 0) && cancel(1) == 1);
    stop();
}

static void a_broken_trade_puts_the_position_back_once(void)
{
    begin(64);
    enter(1, 'S', 100);
    answer(TW_ACCEPTED, 1, 100);
    answer(TW_EXECUTED, 1, 40); /* match number 1 */
    answer(TW_EXECUTED, 1, 60); /* 2: gone */
    CHECK(aapl()->shares == -100 && aapl()->cash == 1000000 && ledger.open_orders == 0);
    again();
    struct ledger_answer broken = {.kind = TW_BROKEN, .reference = 1, .match_number = 1};
    CHECK(ledger_answer(&ledger, ++sequence, &broken, &update) && update.position == -60 && update.shares == 40);
    CHECK(aapl()->cash == 600000);
    CHECK(!ledger_answer(&ledger, ++sequence, &broken, &update) && aapl()->shares == -60 && ledger.unknown == 1);
    broken.match_number = 99;
    CHECK(!ledger_answer(&ledger, ++sequence, &broken, &update) && aapl()->shares == -60 && ledger.unknown == 2);
    again();
    CHECK(aapl()->shares == -60 && aapl()->cash == 600000 && ledger.unknown == 2);
    stop();
}

static unsigned gone_count;

static void gone(void *context, const struct tw_update *told)
{
    gone_count++;
    *(struct tw_update *)context = *told;
}

static void answers_come_again_after_a_reconnect(void)
{
    begin(64);
    enter(1, 'B', 100);
    enter(2, 'B', 10);
    answer(TW_ACCEPTED, 1, 100);
    answer(TW_EXECUTED, 1, 10);
    ledger_session(&ledger, "S1", 3);
    CHECK(ledger.unsure == 1 && ledger.answered == 2);
    sequence = 0;
    CHECK(!answer(TW_ACCEPTED, 1, 100) && !answer(TW_EXECUTED, 1, 10) && aapl()->shares == 10 && open_is(100, 2, 0));
    gone_count = 0;
    ledger_settle(&ledger, gone, &update);
    CHECK(gone_count == 1 && update.kind == TW_CANCELED && update.tag == 2 && update.shares == 10 && update.open_shares == 0);
    CHECK(open_is(90, 1, 0) && ledger.unsure == 0 && aapl()->shares == 10);
    again();
    CHECK(open_is(90, 1, 0) && ledger.answered == 2 && ledger.last_reference == 2 && strcmp(ledger.session, "S1") == 0);
    stop();
}

static void what_was_sent_and_not_answered_is_unsure_after_a_kill(void)
{
    begin(64);
    enter(1, 'B', 100);
    replace(1, 150);
    enter(2, 'B', 50);
    again();
    CHECK(ledger.unsure == 3 && open_is(200, 2, 1) && ledger_tagged(&ledger, 1)->reference == 2);
    ledger_session(&ledger, "S1", 1);
    CHECK(answer(TW_ACCEPTED, 1, 100) && ledger.unsure == 2 && enter(3, 'B', 1) == 4);
    gone_count = 0;
    ledger_settle(&ledger, gone, &update);
    CHECK(gone_count == 2 && ledger.unsure == 0 && open_is(101, 2, 0) && ledger_tagged(&ledger, 1)->reference == 1);
    CHECK(ledger_tagged(&ledger, 3)->state == LEDGER_SENT); /* sent after the login: not unsure */
    /* Settled too early: the exchange had it after all. It is taken in again, by what the journal knows of it. */
    CHECK(answer(TW_ACCEPTED, 3, 50) && update.tag == TW_NO_TAG && update.side == 'B' && open_is(151, 3, 0) && ledger.unknown == 1);
    CHECK(answer(TW_EXECUTED, 3, 50) && aapl()->shares == 50 && open_is(101, 2, 0));
    again();
    CHECK(aapl()->shares == 50 && open_is(101, 2, 0) && ledger.unknown == 1);
    stop();
}

static void another_session_knows_none_of_our_orders(void)
{
    begin(64);
    enter(1, 'B', 100);
    answer(TW_ACCEPTED, 1, 100);
    answer(TW_EXECUTED, 1, 10);
    ledger_session(&ledger, "S2        ", 1);
    CHECK(ledger.answered == 0 && ledger.unsure == 1 && open_is(90, 1, 0) && aapl()->shares == 10);
    again();
    CHECK(ledger.answered == 0 && ledger.unsure == 1 && strcmp(ledger.session, "S2        ") == 0);
    ledger_settle(&ledger, NULL, NULL);
    CHECK(open_is(0, 0, 0) && aapl()->shares == 10 && enter(1, 'B', 10) == 2);
    CHECK(answer(TW_ACCEPTED, 2, 10) && ledger.answered == 1); /* sequence 1 of the new session counts */
    ledger_session(&ledger, "S2        ", 1); /* the same name, but it has forgotten: an exchange that began anew */
    CHECK(ledger.answered == 0 && ledger.unsure == 1);
    stop();
}

static void answers_about_what_we_do_not_know(void)
{
    begin(64);
    CHECK(!answer(TW_EXECUTED, 5, 10) && !answer(TW_CANCELED, 5, 10) && ledger.unknown == 2 && ledger.last_reference == 5);
    struct ledger_answer message = {
        .kind = TW_ACCEPTED, .reference = 6, .shares = 10, .price = 1, .side = 'S', .symbol = "GOOG    "};
    CHECK(ledger_answer(&ledger, ++sequence, &message, &update) && ledger_find(&ledger, 6)->state == LEDGER_LIVE);
    CHECK(answer(TW_EXECUTED, 6, 10) && update.position == -10 && ledger.open_orders == 0);
    CHECK(!answer(0, 0, 0) && ledger.answered == sequence && ledger.unknown == 3); /* nothing of an order */
    CHECK(enter(1, 'B', 1) == 7);
    again();
    CHECK(ledger.last_reference == 7 && ledger.unknown == 3 && ledger.answered == sequence && ledger.open_orders == 1);
    stop();
}

static void instruments_come_and_go_with_the_feed(void)
{
    begin(64);
    enter(1, 'B', 100);
    CHECK(answer(TW_EXECUTED, 1, 5));
    ledger_unbind(&ledger);
    CHECK(ledger_position(&ledger, 7) == NULL && enter(2, 'B', 1) == 0 && answer(TW_EXECUTED, 1, 5) && update.locate == 0);
    CHECK(ledger_bind(&ledger, 500, (const uint8_t *)"AAPL    ") && ledger_position(&ledger, 500)->shares == 10);
    CHECK(ledger_bind(&ledger, 500, (const uint8_t *)"X       ") && ledger_position(&ledger, 500)->shares == 0);
    CHECK(ledger_bind(&ledger, 501, (const uint8_t *)"Y       ") && !ledger_bind(&ledger, 502, (const uint8_t *)"Z       "));
    CHECK(answer(TW_EXECUTED, 1, 5) && update.locate == 0 && update.position == 15);
    stop();
}

static void limits_are_kept_and_named_when_they_do_not_do(void)
{
    begin(200);
    for (uint32_t tag = 0; tag < 8; tag++)
        CHECK(enter(tag, 'B', 1) == tag + 1);
    CHECK(enter(TW_NO_TAG, 'B', 1) == 0);
    for (uint32_t i = 0; i < 8; i++)
        CHECK(replace(0, i + 1) != 0);
    CHECK(replace(1, 1) == 0 && replace(0, 1) == 0 && cancel(0) == 16);
    stop();
    struct ledger_settings fewer = settings;
    fewer.max_open_orders = 7;
    CHECK(!start(64, &fewer) && failure.code == E2BIG && strstr(failure.text, "more than 7 orders") != NULL);
    stop();
    fewer = settings;
    fewer.max_tags = 1; /* the strategy has fewer names today: the orders stay */
    CHECK(start(64, &fewer) && ledger.open_orders == 8 && ledger_tagged(&ledger, 0)->reference == 16);
    stop();
}

static void a_nearly_full_journal_takes_cancels_and_answers_but_no_orders(void)
{
    begin(60);
    uint32_t orders = 0;
    while (enter(orders, 'B', 10) != 0)
        orders++;
    CHECK(orders == 8);
    ledger_unsent(&ledger, 8, TW_ENTER);
    /* 50 left, 7 open. An eighth needs more than 4 * 8 + 8 = 40 to be there before it is written. */
    CHECK(journal_room(&journal) == 50 && ledger.open_orders == 7);
    for (unsigned i = 0; i < 10; i++)
        answer(0, 0, 0);
    CHECK(journal_room(&journal) == 40 && enter(7, 'B', 10) == 0 && replace(0, 20) == 0);
    for (uint32_t i = 1; i <= 7; i++)
        CHECK(answer(TW_ACCEPTED, i, 10) && answer(TW_EXECUTED, i, 5) && cancel(i - 1) == i && answer(TW_CANCELED, i, 5));
    CHECK(journal_room(&journal) == 12 && !ledger_exhausted(&ledger) && enter(7, 'B', 10) == 0 && aapl()->shares == 35);
    while (!ledger_exhausted(&ledger))
        answer(0, 0, 0);
    uint64_t taken = ledger.answered;
    CHECK(!answer(TW_EXECUTED, 3, 5) && ledger.answered == taken && aapl()->shares == 35); /* not booked: it will come again */
    again();
    CHECK(!ledger_exhausted(&ledger) && ledger.answered == taken && aapl()->shares == 35);
    CHECK(answer(TW_EXECUTED, 3, 5) && aapl()->shares == 40 && enter(7, 'B', 10) == 9);
    stop();
}

static void numbers_of_lost_records_are_not_used_again(void)
{
    begin(64);
    for (uint32_t tag = 0; tag < 6; tag++)
        enter(tag, 'B', 10);
    ledger.journal->records[3].shares ^= 1; /* of orders 3 and up (the session is record 1) nothing can be used */
    again();
    CHECK(journal.lost == 4 && ledger.open_orders == 2 && ledger.last_reference >= 6);
    uint32_t next = ledger.last_reference + 1;
    CHECK(enter(7, 'B', 10) == next);
    again();
    CHECK(journal.lost == 0 && ledger.open_orders == 3 && ledger.last_reference == next);
    stop();
}

/* What the child of the kill test says it has done: written after the call came back, so at most one behind. */
struct told {
    volatile uint32_t reference;
    volatile uint64_t answered;
};

static void trade_until_killed(struct told *told)
{
    uint64_t state = (uint64_t)getpid();
    for (;;) {
        uint32_t tag = (uint32_t)(chance(&state) % 8), reference;
        const struct ledger_order *open = ledger_tagged(&ledger, tag);
        if (open == NULL)
            reference = enter(tag, 'B', 100);
        else if (chance(&state) % 4 == 0)
            reference = replace(tag, 50);
        else
            reference = 0;
        if (reference != 0)
            told->reference = reference;
        if (open == NULL || (open = ledger_tagged(&ledger, tag)) == NULL)
            continue;
        if (open->original != 0)
            replaced(open->reference, open->original, open->open_shares);
        else
            answer(TW_EXECUTED, open->reference, 1 + (uint32_t)(chance(&state) % open->open_shares));
        told->answered = sequence;
    }
}

static void a_killed_process_has_lost_nothing(void)
{
    struct told *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(told != MAP_FAILED);
    unlink(path);
    for (unsigned round = 0; round < 20; round++) {
        uint32_t first = told->reference;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            start(1u << 18, &settings);
            if (round == 0)
                ledger_session(&ledger, "S1", 1);
            ledger_settle(&ledger, NULL, NULL);
            trade_until_killed(told);
        }
        while (told->reference < first + 100)
            usleep(200);
        usleep(chance(&(uint64_t){round + 1}) % 3000);
        CHECK(kill(child, SIGKILL) == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(start(64, &settings));
        CHECK(journal.lost == 0);
        CHECK(ledger.last_reference == told->reference || ledger.last_reference == told->reference + 1);
        CHECK(ledger.answered == told->answered || ledger.answered == told->answered + 1);
        uint32_t reference = 0;
        int64_t executed = 0;
        for (uint64_t i = 0; i < journal.count; i++) {
            const struct journal_record *record = journal_at(&journal, i);
            if (record->kind == JOURNAL_ENTER || record->kind == JOURNAL_REPLACE)
                CHECK(record->reference == ++reference); /* each once, none left out */
            if (record->kind == JOURNAL_ANSWER && record->answer == TW_EXECUTED)
                executed += record->shares;
        }
        CHECK(reference == ledger.last_reference && aapl()->shares == executed && executed > 0);
        stop();
    }
    munmap(told, 4096);
}

int main(void)
{
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/j", directory);
    an_order_from_entry_to_its_end();
    partly_canceled_by_the_exchange();
    self_match_in_4_2();
    a_replacement_names_what_the_chain_may_come_to();
    replacements_may_follow_each_other();
    a_rejected_cancel_leaves_the_order();
    a_broken_trade_puts_the_position_back_once();
    answers_come_again_after_a_reconnect();
    what_was_sent_and_not_answered_is_unsure_after_a_kill();
    another_session_knows_none_of_our_orders();
    answers_about_what_we_do_not_know();
    instruments_come_and_go_with_the_feed();
    limits_are_kept_and_named_when_they_do_not_do();
    a_nearly_full_journal_takes_cancels_and_answers_but_no_orders();
    numbers_of_lost_records_are_not_used_again();
    a_killed_process_has_lost_nothing();
    unlink(path);
    rmdir(directory);
    return DONE();
}

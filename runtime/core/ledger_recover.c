/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions, what is unsure, and the way back from the journal. */
#include "ledger_book.h"

#include <errno.h>

/* Requests without an answer, or all orders, are unsure; cancels without an answer may be sent again. */
static void doubt(struct ledger *ledger, bool all)
{
    for (uint32_t i = 0; i <= ledger->order_mask; i++) {
        struct ledger_order *order = &ledger->orders[i];
        if (order->reference == 0)
            continue;
        order->canceling = 0;
        if (all || order->state == LEDGER_SENT)
            ledger_set_state(ledger, order, LEDGER_UNSURE);
    }
}

void ledger_book_session(struct ledger *ledger, const struct journal_record *record)
{
    memcpy(ledger->session, record->symbol, sizeof record->symbol);
    ledger->session[8] = (char)record->side;
    ledger->session[9] = (char)record->time_in_force;
    ledger->session[10] = '\0';
    ledger->answered = record->answer_sequence - 1;
    doubt(ledger, true);
}

void ledger_session(struct ledger *ledger, const char *session, uint64_t next_sequence)
{
    char id[sizeof ledger->session] = {0};
    strncpy(id, session, sizeof id - 1);
    if (strcmp(id, ledger->session) == 0 && next_sequence > ledger->answered) {
        doubt(ledger, false);
        return;
    }
    struct journal_record record = {.answer_sequence = next_sequence > 0 ? next_sequence : 1,
                                    .kind = JOURNAL_SESSION,
                                    .side = (uint8_t)id[8],
                                    .time_in_force = (uint8_t)id[9]};
    memcpy(record.symbol, id, sizeof record.symbol);
    if (LIKELY(journal_room(ledger->journal) > 0))
        journal_append(ledger->journal, &record);
    ledger_book_session(ledger, &record);
}

/* The last replacement first, so that the strategy sees the chain go in order. */
static void give_up(struct ledger *ledger, const struct ledger_order *order, struct tw_update *update)
{
    while (order->next != 0)
        order = ledger_get(ledger, order->next);
    struct journal_record record = {
        .reference = order->reference, .kind = JOURNAL_UNSENT, .answer = order->original != 0 ? TW_REPLACE : TW_ENTER};
    memset(update, 0, sizeof *update);
    ledger_tell(ledger, order, update);
    update->kind = order->original != 0 ? TW_REJECTED : TW_CANCELED;
    update->shares = order->open_shares;
    if (LIKELY(journal_room(ledger->journal) > 0))
        journal_append(ledger->journal, &record);
    const struct ledger_order *stays = ledger_get(ledger, ledger_forget(ledger, record.reference));
    update->open_shares = stays != NULL ? stays->open_shares : 0;
}

void ledger_settle(struct ledger *ledger, void (*gone)(void *context, const struct tw_update *update), void *context)
{
    while (ledger->unsure > 0) /* orders move in the table when others go, so one round may miss some */
        for (uint32_t i = 0; i <= ledger->order_mask; i++) {
            struct tw_update update;
            if (ledger->orders[i].state != LEDGER_UNSURE)
                continue;
            give_up(ledger, &ledger->orders[i], &update);
            if (gone != NULL)
                gone(context, &update);
        }
}

static bool book(struct ledger *ledger, const struct journal_record *record)
{
    struct tw_update update;
    struct ledger_order *order;
    switch (record->kind) {
    case JOURNAL_ENTER:
        return record->reference > ledger->last_reference &&
               ledger_place(ledger, record, ledger_instrument(ledger, record->symbol)) != NULL;
    case JOURNAL_REPLACE:
        return record->reference > ledger->last_reference && ledger_book_replace(ledger, record);
    case JOURNAL_CANCEL:
        if ((order = ledger_get(ledger, record->reference)) != NULL)
            order->canceling = 1;
        return true;
    case JOURNAL_UNSENT:
        ledger_book_unsent(ledger, record);
        return true;
    case JOURNAL_ANSWER:
        ledger_book_answer(ledger, record, &update);
        return true;
    case JOURNAL_SESSION:
        ledger_book_session(ledger, record);
        return true;
    case JOURNAL_TORN: /* each record that was lost may have used a number */
        if (record->reference > ledger->last_reference)
            ledger->last_reference = record->reference;
        ledger->last_reference += record->shares < UINT32_MAX - ledger->last_reference ? record->shares
                                                                                          : UINT32_MAX - ledger->last_reference;
        return true;
    default:
        return false;
    }
}

bool ledger_recover(struct ledger *ledger, struct failure *failure)
{
    const struct ledger_settings *settings = &ledger->settings;
    const struct journal_record *record;
    for (uint64_t i = 0; (record = journal_at(ledger->journal, i)) != NULL; i++) {
        if (book(ledger, record))
            continue;
        if (ledger->open_orders >= settings->max_open_orders || ledger->replacing >= settings->max_open_orders)
            return failure_set(failure, E2BIG,
                               "journal record %llu: more than %u orders are open there; raise risk.max_open_orders at least until "
                               "they are closed",
                               (unsigned long long)i + 1, settings->max_open_orders);
        if (ledger->position_count >= settings->max_instruments)
            return failure_set(failure, E2BIG, "journal record %llu: more than %u instruments; raise engine.max_instruments",
                               (unsigned long long)i + 1, settings->max_instruments);
        return failure_set(failure, EBADMSG,
                           "journal record %llu: of kind 0x%02x for order %u cannot follow those before it; move the journal away, "
                           "and ask the exchange what is open",
                           (unsigned long long)i + 1, record->kind, record->reference);
    }
    doubt(ledger, false);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the exchange. What a record needs to be booked without looking back (symbol, side, what a broken trade had been) is
 * put into it before it is journalled, so that booking it after a restart needs nothing but the record and the state before it. */
#include "ledger_book.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void execute(struct ledger_position *position, uint8_t side, int64_t shares, uint32_t price)
{
    int64_t signed_shares = side == 'B' ? shares : -shares;
    position->shares += signed_shares;
    position->cash -= signed_shares * (int64_t)price;
}

/* `shares` of the order are used up: of those that are to replace it too, because their quantity counts them in. */
static void use_up(struct ledger *ledger, struct ledger_order *order, uint32_t shares)
{
    uint32_t before = ledger_exposure(ledger, order);
    for (struct ledger_order *each = order; each != NULL; each = ledger_get(ledger, each->next)) {
        each->open_shares -= least(shares, each->open_shares);
        each->used += shares;
    }
    ledger_expose(&ledger->positions[order->instrument], order->side, before, ledger_exposure(ledger, order));
}

static void set_open(struct ledger *ledger, struct ledger_order *order, uint32_t shares)
{
    uint32_t before = ledger_exposure(ledger, order);
    order->open_shares = shares;
    ledger_expose(&ledger->positions[order->instrument], order->side, before, ledger_exposure(ledger, order));
}

/* The exchange has taken it, with these shares and this price. */
static void go_live(struct ledger *ledger, struct ledger_order *order, const struct journal_record *record)
{
    ledger_set_state(ledger, order, LEDGER_LIVE);
    set_open(ledger, order, record->shares);
    if (record->price != 0)
        order->price = record->price;
}

static bool book_reject(struct ledger *ledger, struct ledger_order *order, struct tw_update *update)
{
    if (order->state == LEDGER_LIVE && order->original == 0) { /* the cancel of it */
        order->canceling = 0;
        ledger_tell(ledger, order, update);
        return true;
    }
    uint32_t reference = order->reference;
    ledger_tell(ledger, order, update);
    update->open_shares = 0;
    const struct ledger_order *stays = ledger_get(ledger, ledger_forget(ledger, reference));
    if (stays != NULL)
        update->open_shares = stays->open_shares;
    return true;
}

static bool book_known(struct ledger *ledger, const struct journal_record *record, struct tw_update *update)
{
    if (record->answer == TW_REJECTED)
        return book_reject(ledger, ledger_get(ledger, record->reference), update);
    if (ledger_get(ledger, record->reference)->original != 0)
        ledger_supersede(ledger, record->reference);
    struct ledger_order *order = ledger_get(ledger, record->reference);
    switch (record->answer) {
    case TW_ACCEPTED:
    case TW_REPLACED:
        go_live(ledger, order, record);
        break;
    case TW_EXECUTED:
        ledger_set_state(ledger, order, LEDGER_LIVE);
        execute(&ledger->positions[order->instrument], order->side, record->shares, record->price);
        use_up(ledger, order, record->shares);
        break;
    case TW_CANCELED:
        ledger_set_state(ledger, order, LEDGER_LIVE);
        if (record->tag == LEDGER_SELF_MATCH && !ledger->settings.self_match_is_unused)
            use_up(ledger, order, record->shares);
        else
            set_open(ledger, order, order->open_shares - least(record->shares, order->open_shares));
        break;
    default:
        return false;
    }
    ledger_tell(ledger, order, update);
    if (record->answer == TW_EXECUTED)
        update->price = record->price;
    if (order->open_shares == 0)
        ledger_forget(ledger, record->reference);
    return true;
}

/* About an order that is not open here. An execution counts all the same when the record names its symbol, and an order the
 * exchange says is live is taken in: it was given up too early, or its request was lost with the journal's end. */
static bool book_unknown(struct ledger *ledger, const struct journal_record *record, struct tw_update *update)
{
    ledger->unknown++;
    bool named = record->symbol[0] != '\0' && record->side != 0;
    uint32_t instrument = named ? ledger_instrument(ledger, record->symbol) : UINT32_MAX;
    if (record->answer == TW_REPLACED && ledger_get(ledger, record->original) != NULL)
        ledger_forget(ledger, record->original);
    if (instrument == UINT32_MAX)
        return false;
    const struct ledger_position *position = &ledger->positions[instrument];
    update->locate = position->locate == UINT32_MAX ? 0 : (uint16_t)position->locate;
    update->reference = record->reference;
    update->tag = TW_NO_TAG;
    update->price = record->price;
    update->side = record->side;
    if (record->answer == TW_EXECUTED) {
        execute(&ledger->positions[instrument], record->side, record->shares, record->price);
    } else if ((record->answer == TW_ACCEPTED || record->answer == TW_REPLACED) && record->shares > 0) {
        struct journal_record request = *record;
        request.original = 0;
        request.tag = TW_NO_TAG;
        request.time_in_force = TW_DAY;
        struct ledger_order *order = ledger_place(ledger, &request, instrument);
        if (order == NULL)
            return false;
        ledger_set_state(ledger, order, LEDGER_LIVE);
        update->open_shares = record->shares;
    } else {
        return false;
    }
    update->position = position->shares;
    return true;
}

/* The record has what the execution was, or no shares when that is not known. */
static bool book_break(struct ledger *ledger, const struct journal_record *record, struct tw_update *update)
{
    uint32_t instrument = record->shares > 0 ? ledger_instrument(ledger, record->symbol) : UINT32_MAX;
    if (instrument == UINT32_MAX) {
        ledger->unknown++;
        return false;
    }
    struct ledger_position *position = &ledger->positions[instrument];
    execute(position, record->side, -(int64_t)record->shares, record->price);
    const struct ledger_order *order = ledger_get(ledger, record->reference);
    update->reference = record->reference;
    update->tag = order != NULL ? order->tag : TW_NO_TAG;
    update->open_shares = order != NULL ? order->open_shares : 0;
    update->price = record->price;
    update->side = record->side;
    update->position = position->shares;
    update->locate = position->locate == UINT32_MAX ? 0 : (uint16_t)position->locate;
    return true;
}

bool ledger_book_answer(struct ledger *ledger, const struct journal_record *record, struct tw_update *update)
{
    ledger->answered = record->answer_sequence;
    if (record->answer == 0)
        return false;
    memset(update, 0, sizeof *update);
    update->kind = record->answer;
    update->shares = record->shares;
    if (record->reference > ledger->last_reference) /* the journal has lost its end: the number is used all the same */
        ledger->last_reference = record->reference;
    if (record->answer == TW_BROKEN)
        return book_break(ledger, record, update);
    if (ledger_get(ledger, record->reference) != NULL)
        return book_known(ledger, record, update);
    return book_unknown(ledger, record, update);
}

/* Backwards through the journal: the execution a broken trade undoes. None when it has been undone before. */
static void find_execution(const struct journal *journal, struct journal_record *record)
{
    record->shares = 0;
    for (uint64_t i = journal->count; i-- > 0;) {
        const struct journal_record *old = journal_at(journal, i);
        if (old == NULL || (old->kind == JOURNAL_ANSWER && old->answer == TW_BROKEN &&
                            old->match_number == record->match_number && old->reference == record->reference))
            return;
        if (old->kind != JOURNAL_ANSWER || old->answer != TW_EXECUTED || old->match_number != record->match_number ||
            old->reference != record->reference)
            continue;
        record->shares = old->shares;
        record->price = old->price;
        record->side = old->side;
        memcpy(record->symbol, old->symbol, sizeof record->symbol);
        return;
    }
}

/* Backwards through the journal: what the request sent under this number was for. Of an order that is not open any more: rare. */
static void find_request(const struct journal *journal, struct journal_record *record)
{
    for (uint64_t i = journal->count; i-- > 0;) {
        const struct journal_record *old = journal_at(journal, i);
        if (old == NULL)
            return;
        if ((old->kind != JOURNAL_ENTER && old->kind != JOURNAL_REPLACE) || old->reference != record->reference)
            continue;
        record->side = old->side;
        memcpy(record->symbol, old->symbol, sizeof record->symbol);
        if (record->price == 0)
            record->price = old->price;
        return;
    }
}

bool ledger_answer(struct ledger *ledger, uint64_t sequence, const struct ledger_answer *answer, struct tw_update *update)
{
    if (sequence <= ledger->answered || UNLIKELY(journal_room(ledger->journal) == 0))
        return false;
    struct journal_record record = {.answer_sequence = sequence,
                                    .match_number = answer->match_number,
                                    .reference = answer->reference,
                                    .original = answer->original,
                                    .price = answer->price,
                                    .shares = answer->shares,
                                    .tag = answer->reason,
                                    .kind = JOURNAL_ANSWER,
                                    .answer = answer->kind,
                                    .side = answer->side};
    memcpy(record.symbol, answer->symbol, sizeof record.symbol);
    const struct ledger_order *order = ledger_get(ledger, answer->reference);
    if (order == NULL && answer->kind == TW_REPLACED)
        order = ledger_get(ledger, answer->original);
    if (answer->kind == TW_BROKEN) {
        find_execution(ledger->journal, &record);
    } else if (order != NULL) {
        record.side = order->side;
        memcpy(record.symbol, ledger->positions[order->instrument].symbol, sizeof record.symbol);
    } else if (answer->kind != 0 && record.symbol[0] == '\0') {
        find_request(ledger->journal, &record);
    }
    journal_append(ledger->journal, &record);
    if (!ledger_book_answer(ledger, &record, update))
        return false;
    update->time_ns = answer->time_ns;
    return true;
}

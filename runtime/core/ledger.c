/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruments and requests: what is booked before it is sent. */
#include "ledger_enter.h"

#define LOCATES 65536u

static uint32_t power_above(uint64_t n)
{
    uint32_t power = 16;
    while (power < n)
        power *= 2;
    return power;
}

/* Half full at most: open orders and as many replacements on their way. */
static uint32_t order_slots(const struct ledger_settings *settings)
{
    return power_above(4 * (uint64_t)settings->max_open_orders);
}

static uint32_t symbol_slots(const struct ledger_settings *settings)
{
    return power_above(2 * (uint64_t)settings->max_instruments);
}

size_t ledger_footprint(const struct ledger_settings *settings)
{
    return arena_footprint(order_slots(settings) * sizeof(struct ledger_order)) +
           arena_footprint(settings->max_instruments * sizeof(struct ledger_position)) +
           arena_footprint(settings->max_tags * sizeof(uint32_t)) + arena_footprint(LOCATES * sizeof(uint32_t)) +
           arena_footprint(symbol_slots(settings) * sizeof(uint32_t));
}

bool ledger_init(struct ledger *ledger, struct arena *arena, const struct ledger_settings *settings, struct journal *journal)
{
    memset(ledger, 0, sizeof *ledger);
    ledger->journal = journal;
    ledger->settings = *settings;
    ledger->order_mask = order_slots(settings) - 1;
    ledger->symbol_mask = symbol_slots(settings) - 1;
    ledger->orders = arena_take(arena, order_slots(settings) * sizeof(struct ledger_order));
    ledger->positions = arena_take(arena, settings->max_instruments * sizeof(struct ledger_position));
    ledger->by_tag = arena_take(arena, settings->max_tags * sizeof(uint32_t));
    ledger->of_locate = arena_take(arena, LOCATES * sizeof(uint32_t));
    ledger->by_symbol = arena_take(arena, symbol_slots(settings) * sizeof(uint32_t));
    return ledger->by_symbol != NULL; /* the last: once the arena is used up it gives nothing more */
}

uint32_t ledger_instrument(struct ledger *ledger, const uint8_t symbol[8])
{
    uint64_t key;
    memcpy(&key, symbol, sizeof key);
    uint32_t at = (uint32_t)(key * 0x9E3779B97F4A7C15u >> 32) & ledger->symbol_mask;
    for (; ledger->by_symbol[at] != 0; at = (at + 1) & ledger->symbol_mask)
        if (memcmp(ledger->positions[ledger->by_symbol[at] - 1].symbol, symbol, sizeof key) == 0)
            return ledger->by_symbol[at] - 1;
    if (ledger->position_count == ledger->settings.max_instruments)
        return UINT32_MAX;
    struct ledger_position *position = &ledger->positions[ledger->position_count];
    memset(position, 0, sizeof *position);
    memcpy(position->symbol, symbol, sizeof position->symbol);
    position->locate = UINT32_MAX;
    ledger->by_symbol[at] = ++ledger->position_count;
    return ledger->position_count - 1;
}

bool ledger_bind(struct ledger *ledger, uint16_t locate, const uint8_t stock[8])
{
    uint32_t instrument = ledger_instrument(ledger, stock);
    struct ledger_position *before = ledger_position(ledger, locate);
    if (before != NULL && before->locate == locate)
        before->locate = UINT32_MAX;
    ledger->of_locate[locate] = 0;
    if (instrument == UINT32_MAX)
        return false;
    ledger->positions[instrument].locate = locate;
    ledger->of_locate[locate] = instrument + 1;
    return true;
}

void ledger_unbind(struct ledger *ledger)
{
    memset(ledger->of_locate, 0, LOCATES * sizeof(uint32_t));
    for (uint32_t i = 0; i < ledger->position_count; i++)
        ledger->positions[i].locate = UINT32_MAX;
}

bool ledger_has_room(const struct ledger *ledger, uint32_t count)
{
    const struct ledger_settings *settings = &ledger->settings;
    return ledger_journal_has_room(ledger, count) && ledger->open_orders + (uint64_t)count <= settings->max_open_orders &&
           ledger->replacing + (uint64_t)count <= settings->max_open_orders;
}

void ledger_skip_to(struct ledger *ledger, uint32_t next_reference)
{
    if (next_reference > ledger->last_reference + 1)
        ledger->last_reference = next_reference - 1;
}

void ledger_warm(const struct ledger *ledger)
{
    if (ledger->journal->map != NULL)
        prefetch(&ledger->journal->records[ledger->journal->count]);
    const struct ledger_order *next = &ledger->orders[ledger_home(ledger, ledger->last_reference + 1)];
    prefetch(next);
    prefetch((const uint8_t *)(next + 1) - 1); /* it may straddle two lines */
}

struct ledger_order *ledger_place(struct ledger *ledger, const struct journal_record *record, uint32_t instrument)
{
    if (ledger->open_orders >= ledger->settings.max_open_orders || instrument == UINT32_MAX)
        return NULL;
    return ledger_place_first(ledger, record, instrument);
}

bool ledger_book_replace(struct ledger *ledger, const struct journal_record *record)
{
    struct ledger_order *original = ledger_get(ledger, record->original);
    if (UNLIKELY(original == NULL || ledger->replacing >= ledger->settings.max_open_orders))
        return false;
    uint32_t before = ledger_exposure(ledger, original);
    struct ledger_order *order = ledger_put(ledger, record, original->instrument);
    order->used = original->used;
    original->next = record->reference;
    ledger->replacing++;
    if (record->shares > before)
        ledger_expose(&ledger->positions[order->instrument], order->side, before, record->shares);
    return true;
}

uint32_t ledger_enter(struct ledger *ledger, const struct tw_order *order)
{
    uint32_t reference = ledger_enter_journal(ledger, order);
    if (reference != 0)
        ledger_enter_book(ledger, order, reference);
    return reference;
}

uint32_t ledger_replace(struct ledger *ledger, const struct tw_order *order, uint32_t *original, uint32_t *quantity)
{
    const struct ledger_order *old = ledger_tagged(ledger, order->tag);
    if (UNLIKELY(old == NULL || order->shares == 0 || old->state == LEDGER_UNSURE || old->canceling ||
                 old->used > UINT32_MAX - order->shares || ledger->replacing >= ledger->settings.max_open_orders ||
                 !ledger_journal_has_room(ledger, 1)))
        return 0;
    struct journal_record record = {.reference = ledger->last_reference + 1,
                                    .original = old->reference,
                                    .price = order->price,
                                    .shares = order->shares,
                                    .tag = old->tag,
                                    .kind = JOURNAL_REPLACE,
                                    .side = old->side,
                                    .time_in_force = order->time_in_force};
    memcpy(record.symbol, ledger->positions[old->instrument].symbol, sizeof record.symbol);
    *original = old->reference;
    *quantity = old->used + order->shares;
    journal_append(ledger->journal, &record);
    ledger_book_replace(ledger, &record);
    return record.reference;
}

static uint32_t cancel(struct ledger *ledger, const struct ledger_order *old)
{
    if (UNLIKELY(old == NULL || old->canceling || journal_room(ledger->journal) == 0))
        return 0;
    struct journal_record record = {.reference = old->reference, .kind = JOURNAL_CANCEL, .side = old->side};
    memcpy(record.symbol, ledger->positions[old->instrument].symbol, sizeof record.symbol);
    journal_append(ledger->journal, &record);
    ledger_get(ledger, record.reference)->canceling = 1;
    return record.reference;
}

uint32_t ledger_cancel(struct ledger *ledger, const struct tw_order *order)
{
    return cancel(ledger, ledger_tagged(ledger, order->tag));
}

uint32_t ledger_cancel_reference(struct ledger *ledger, uint32_t reference)
{
    return cancel(ledger, ledger_find(ledger, reference));
}

void ledger_book_unsent(struct ledger *ledger, const struct journal_record *record)
{
    struct ledger_order *order = ledger_get(ledger, record->reference);
    if (order == NULL)
        return;
    if (record->answer == TW_CANCEL)
        order->canceling = 0;
    else
        ledger_forget(ledger, record->reference);
}

void ledger_unsent(struct ledger *ledger, uint32_t reference, uint8_t action)
{
    struct journal_record record = {.reference = reference, .kind = JOURNAL_UNSENT, .answer = action};
    if (ledger_get(ledger, reference) == NULL)
        return;
    /* Without room it stays undone only in memory: after a restart it is unsure, which is true enough. */
    if (LIKELY(journal_room(ledger->journal) > 0))
        journal_append(ledger->journal, &record);
    ledger_book_unsent(ledger, &record);
}

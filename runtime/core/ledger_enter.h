/* SPDX-License-Identifier: Apache-2.0
 *
 * A new order into the ledger, for ledger.c and for the engine, which has it in line: a record just made then goes from registers
 * to the journal and to the order's slot, and need not be in memory at all.
 *
 * Only the journal has to come before the wire. A single order is booked when its bytes are on their way: the state in memory is
 * gone with the process either way, and the next look into it comes later. */
#ifndef TICKWIRE_LEDGER_ENTER_H
#define TICKWIRE_LEDGER_ENTER_H

#include "ledger_book.h"

#define LEDGER_INLINE __attribute__((always_inline)) static inline

/* Is there room for that many more orders' records behind those every open order may still need? */
LEDGER_INLINE bool ledger_journal_has_room(const struct ledger *ledger, uint32_t count)
{
    uint64_t open = (uint64_t)ledger->open_orders + ledger->replacing + count;
    return journal_room(ledger->journal) > LEDGER_RESERVE * open + LEDGER_RESERVE_BASE &&
           ledger->last_reference <= UINT32_MAX - count;
}

LEDGER_INLINE struct ledger_order *ledger_put(struct ledger *ledger, const struct journal_record *record, uint32_t instrument)
{
    struct ledger_order *order = ledger_slot(ledger, record->reference);
    *order = (struct ledger_order){.reference = record->reference,
                                   .original = record->original,
                                   .tag = record->tag,
                                   .price = record->price,
                                   .open_shares = record->shares,
                                   .instrument = instrument,
                                   .side = record->side,
                                   .state = LEDGER_SENT,
                                   .time_in_force = record->time_in_force};
    if (record->tag < ledger->settings.max_tags)
        ledger->by_tag[record->tag] = record->reference;
    if (record->reference > ledger->last_reference)
        ledger->last_reference = record->reference;
    return order;
}

/* The first of a chain. */
LEDGER_INLINE struct ledger_order *ledger_place_first(struct ledger *ledger, const struct journal_record *record,
                                                      uint32_t instrument)
{
    ledger_expose(&ledger->positions[instrument], record->side, 0, record->shares);
    ledger->open_orders++;
    return ledger_put(ledger, record, instrument);
}

LEDGER_INLINE struct journal_record ledger_entry(const struct ledger *ledger, const struct tw_order *order, uint32_t reference)
{
    struct journal_record record = {.reference = reference,
                                    .price = order->price,
                                    .shares = order->shares,
                                    .tag = order->tag,
                                    .kind = JOURNAL_ENTER,
                                    .side = order->side,
                                    .time_in_force = order->time_in_force};
    uint32_t instrument = ledger->of_locate[order->locate] - 1;
    memcpy(record.symbol, ledger->positions[instrument].symbol, sizeof record.symbol);
    return record;
}

/* The first half of ledger_enter: what must be done before the order may leave. Returns its reference, or 0. */
LEDGER_INLINE uint32_t ledger_enter_journal(struct ledger *ledger, const struct tw_order *order)
{
    bool tagged = order->tag != TW_NO_TAG;
    if (UNLIKELY(ledger->of_locate[order->locate] == 0 || order->shares == 0 ||
                 ledger->open_orders >= ledger->settings.max_open_orders ||
                 (tagged && (order->tag >= ledger->settings.max_tags || ledger->by_tag[order->tag] != 0)) ||
                 !ledger_journal_has_room(ledger, 1)))
        return 0;
    struct journal_record record = ledger_entry(ledger, order, ledger->last_reference + 1);
    journal_append(ledger->journal, &record);
    return record.reference;
}

/* The second half, with the reference of the first: nothing may look into the ledger between the two. */
LEDGER_INLINE void ledger_enter_book(struct ledger *ledger, const struct tw_order *order, uint32_t reference)
{
    struct journal_record record = ledger_entry(ledger, order, reference);
    ledger_place_first(ledger, &record, ledger->of_locate[order->locate] - 1);
}

#endif

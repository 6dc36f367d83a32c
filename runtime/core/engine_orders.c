/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

void engine_tell(struct engine *engine, const struct tw_update *update)
{
    const struct tw_strategy *strategy = engine->settings.strategy;
    struct tw_order orders[TW_STRATEGY_ORDERS];
    if (strategy->on_update == NULL)
        return;
    uint32_t count = strategy->on_update(engine->strategy_state, update, orders);
    if (count > 0)
        engine_ask(engine, orders, count, NULL);
}

void engine_tell_recovered(struct engine *engine)
{
    for (uint32_t tag = 0; tag < engine->ledger.settings.max_tags && engine->untold_count > 0; tag++) {
        const struct ledger_order *order = ledger_tagged(&engine->ledger, tag);
        if (!engine->untold[tag])
            continue;
        struct tw_update update = {.time_ns = engine->time_ns, .kind = TW_ACCEPTED};
        if (order != NULL) {
            if (engine->ledger.positions[order->instrument].locate > UINT16_MAX)
                continue; /* the feed has yet to name it */
            ledger_tell(&engine->ledger, order, &update);
            update.shares = update.open_shares;
        }
        engine->untold[tag] = 0;
        engine->untold_count--;
        if (order != NULL) /* the cancel of one that went in the meantime was told */
            engine_tell(engine, &update);
    }
}

void engine_cancel_all(struct engine *engine)
{
    for (uint32_t at = 0; at <= engine->ledger.order_mask; at++) {
        const struct ledger_order *order = &engine->ledger.orders[at];
        if (order->reference == 0 || order->canceling || order->state == LEDGER_UNSURE)
            continue;
        uint32_t reference = ledger_cancel_reference(&engine->ledger, order->reference), last_byte;
        if (reference == 0)
            return; /* the journal is full: the exchange's own means are left, see docs/bad-days.md */
        uint32_t length = ouch_cancel(&engine->staged[0], reference);
        if (engine->transport.orders.send(engine->transport.orders.self, engine->staged[0].cancel, length, &last_byte) != 0) {
            ledger_unsent(&engine->ledger, reference, TW_CANCEL);
            BLOCK_COUNT(engine->block, orders_unsent, 1);
            return;
        }
        BLOCK_COUNT(engine->block, cancels_sent, 1);
        engine->orders->sent = true;
        engine->orders_unread++;
    }
}

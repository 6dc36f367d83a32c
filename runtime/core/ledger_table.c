/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of open orders, and the chains of replacements in it. */
#include "ledger_book.h"

const struct ledger_order *ledger_find(const struct ledger *ledger, uint32_t reference)
{
    return ledger_get(ledger, reference);
}

const struct ledger_order *ledger_tagged(const struct ledger *ledger, uint32_t tag)
{
    return tag < ledger->settings.max_tags ? ledger_get(ledger, ledger->by_tag[tag]) : NULL;
}

uint32_t ledger_exposure(const struct ledger *ledger, const struct ledger_order *order)
{
    while (order->original != 0)
        order = ledger_get(ledger, order->original);
    uint32_t most = order->open_shares;
    while (order->next != 0) {
        order = ledger_get(ledger, order->next);
        if (order->open_shares > most)
            most = order->open_shares;
    }
    return most;
}

void ledger_set_state(struct ledger *ledger, struct ledger_order *order, enum ledger_state state)
{
    ledger->unsure -= order->state == LEDGER_UNSURE;
    ledger->unsure += state == LEDGER_UNSURE;
    order->state = (uint8_t)state;
}

/* Open addressing without tombstones: those behind the hole move up unless their own place is behind it. */
static void free_slot(struct ledger *ledger, struct ledger_order *order)
{
    uint32_t mask = ledger->order_mask, hole = (uint32_t)(order - ledger->orders);
    for (uint32_t at = (hole + 1) & mask; ledger->orders[at].reference != 0; at = (at + 1) & mask) {
        uint32_t home = ledger_home(ledger, ledger->orders[at].reference);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            ledger->orders[hole] = ledger->orders[at];
            hole = at;
        }
    }
    memset(&ledger->orders[hole], 0, sizeof ledger->orders[hole]);
}

uint32_t ledger_drop(struct ledger *ledger, uint32_t reference)
{
    struct ledger_order *order = ledger_get(ledger, reference);
    uint32_t original = order->original, tag = order->tag;
    if (original != 0)
        ledger_get(ledger, original)->next = 0;
    if (tag < ledger->settings.max_tags)
        ledger->by_tag[tag] = original;
    while (order != NULL) {
        uint32_t next = order->next;
        if (order->original != 0)
            ledger->replacing--;
        else
            ledger->open_orders--;
        ledger_set_state(ledger, order, LEDGER_FREE);
        free_slot(ledger, order);
        order = ledger_get(ledger, next);
    }
    return original;
}

uint32_t ledger_forget(struct ledger *ledger, uint32_t reference)
{
    const struct ledger_order *order = ledger_get(ledger, reference);
    struct ledger_position *position = &ledger->positions[order->instrument];
    uint8_t side = order->side;
    uint32_t before = ledger_exposure(ledger, order), original = ledger_drop(ledger, reference);
    const struct ledger_order *stays = ledger_get(ledger, original);
    ledger_expose(position, side, before, stays != NULL ? ledger_exposure(ledger, stays) : 0);
    return original;
}

void ledger_supersede(struct ledger *ledger, uint32_t reference)
{
    struct ledger_order *order = ledger_get(ledger, reference);
    struct ledger_position *position = &ledger->positions[order->instrument];
    uint8_t side = order->side;
    uint32_t before = ledger_exposure(ledger, order), original = order->original;
    order->original = 0;
    while (original != 0) {
        struct ledger_order *old = ledger_get(ledger, original);
        original = old->original;
        ledger->replacing--; /* as many fewer are on their way as orders go, and the chain keeps counting once */
        ledger_set_state(ledger, old, LEDGER_FREE);
        free_slot(ledger, old);
    }
    ledger_expose(position, side, before, ledger_exposure(ledger, ledger_get(ledger, reference)));
}

void ledger_tell(const struct ledger *ledger, const struct ledger_order *order, struct tw_update *update)
{
    const struct ledger_position *position = &ledger->positions[order->instrument];
    update->reference = order->reference;
    update->tag = order->tag;
    update->price = order->price;
    update->open_shares = order->open_shares;
    update->side = order->side;
    update->position = position->shares;
    update->locate = position->locate == UINT32_MAX ? 0 : (uint16_t)position->locate;
}

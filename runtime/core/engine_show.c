/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "clock.h"

static void show_tops(struct engine *engine)
{
    const struct book *book = &engine->book;
    struct block_top tops[BLOCK_TOPS] = {0};
    uint32_t count = book->opened_count < BLOCK_TOPS ? book->opened_count : BLOCK_TOPS;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t locate = book->opened[i];
        struct book_top top = book_top(book, locate);
        tops[i] = (struct block_top){.bid = top.bid,
                                     .ask = top.ask,
                                     .bid_shares = top.bid_shares,
                                     .ask_shares = top.ask_shares,
                                     .locate = locate,
                                     .trading_state = book->instruments[locate].trading_state};
        memcpy(tops[i].stock, book->stocks[locate], sizeof tops[i].stock);
    }
    block_put_tops(engine->block, tops, count);
    BLOCK_SET(engine->block, book_errors, book_errors_total(&book->errors));
}

static bool has_business(const struct ledger_position *position)
{
    return (position->shares | position->cash) != 0 || (position->open_buys | position->open_sells) != 0;
}

/* The first instruments of the day to have an order or a position of ours. A few positions are looked at with every call, so that
 * ten thousand of them never pass through the caches at once. */
static void find_positions(struct engine *engine)
{
    const struct ledger *ledger = &engine->ledger;
    for (uint32_t looks = 0; looks < 64 && engine->shown_count < BLOCK_POSITIONS && ledger->position_count > 0; looks++) {
        uint32_t at = engine->shown_from++ % ledger->position_count;
        bool shown = false;
        for (uint32_t i = 0; i < engine->shown_count; i++)
            shown = shown || engine->shown[i] == at;
        if (!shown && has_business(&ledger->positions[at]))
            engine->shown[engine->shown_count++] = at;
    }
}

static void show_positions(struct engine *engine)
{
    struct block_position positions[BLOCK_POSITIONS] = {0};
    find_positions(engine);
    for (uint32_t i = 0; i < engine->shown_count; i++) {
        const struct ledger_position *position = &engine->ledger.positions[engine->shown[i]];
        positions[i] = (struct block_position){.shares = position->shares,
                                               .cash = position->cash,
                                               .open_buys = position->open_buys,
                                               .open_sells = position->open_sells};
        memcpy(positions[i].stock, position->symbol, sizeof positions[i].stock);
    }
    block_put_positions(engine->block, positions, engine->shown_count);
}

static void show_feed(struct engine *engine)
{
    struct block *block = engine->block;
    const struct feed_counts *counts = feed_counts(engine->feed);
    BLOCK_SET(block, packets, counts->packets_a + counts->packets_b + counts->packets_requested);
    BLOCK_SET(block, packets_b, counts->packets_b);
    BLOCK_SET(block, packets_requested, counts->packets_requested);
    BLOCK_SET(block, gaps, counts->gaps);
    BLOCK_SET(block, gaps_closed, counts->gaps_closed);
    BLOCK_SET(block, messages_lost, counts->messages_lost);
    BLOCK_SET(block, requests, counts->requests);
    BLOCK_SET(block, duplicates, counts->duplicates);
    BLOCK_SET(block, out_of_session, counts->out_of_session);
    BLOCK_SET(block, malformed, counts->malformed + engine->malformed);
    BLOCK_SET(block, stale, feed_is_stale(engine->feed));
    BLOCK_SET(block, silent, feed_is_silent(engine->feed));
    BLOCK_SET(block, next_sequence, feed_next_sequence(engine->feed));
    BLOCK_SET(block, messages, engine->messages);
}

void engine_show(struct engine *engine)
{
    struct block *block = engine->block;
    show_feed(engine);
    show_tops(engine);
    show_positions(engine);
    if (engine->settings.strategy == &tw_strategy_user)
        BLOCK_SET(block, strategy_failures, tw_user_failures(engine->strategy_state));
    BLOCK_SET(block, open_orders, engine->ledger.open_orders);
    BLOCK_SET(block, unsure_orders, engine->ledger.unsure);
    BLOCK_SET(block, orders_unknown, engine->ledger.unknown);
    BLOCK_SET(block, journal_records, engine->journal.count);
    BLOCK_SET(block, full, !ledger_has_room(&engine->ledger, 1));
    BLOCK_SET(block, journal_room, journal_room(&engine->journal));
    BLOCK_SET(block, shown_ns, clock_now());
    BLOCK_SET(block, killed, atomic_load_explicit(&engine->control->killed, memory_order_relaxed) != 0);
}

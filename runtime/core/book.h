/* SPDX-License-Identifier: Apache-2.0
 *
 * Full-depth books of all instruments, by order.
 *
 * Orders live in one open-addressing table (linear probing, at most half full, deletion by shifting back). Each side of a
 * book is an array of levels sorted so that the best price is last: most changes are near the top, so they move few levels.
 * Arrays double and halve in blocks of a pool. A level's key is the price for bids and its complement for asks, so that both
 * sides sort the same way.
 *
 * Limits: `max_orders` live orders, `max_instruments` (stock locates 0 to max_instruments - 1), and a pool of twice as many
 * levels as orders. What does not fit is dropped and counted, never written past the end; such a book is wrong from there on,
 * as it is after lost messages. */
#ifndef TICKWIRE_BOOK_H
#define TICKWIRE_BOOK_H

#include "arena.h"
#include "pool.h"
#include "wire.h"

#define BOOK_ORDERS_LIMIT (1u << 28)
#define BOOK_INSTRUMENTS_LIMIT 65536u /* a stock locate is 16 bits */
#define BOOK_OPENED 8

enum book_side_index { BOOK_BID, BOOK_ASK };

struct book_order {
    uint64_t reference;
    uint32_t price;
    uint32_t shares;
    uint32_t epoch; /* the slot is taken when this is the book's epoch, so that clearing the table costs nothing */
    uint16_t locate;
    uint8_t side;
};

struct book_side {
    uint32_t block; /* of the pool */
    uint32_t count;
    uint8_t class;  /* capacity is POOL_UNIT << class; 0xFF: empty, without a block */
};

struct book_instrument {
    struct book_side side[2];
    uint8_t stock[8]; /* as on the feed; blank-padded; all zero until seen */
};

struct book_top {
    uint32_t bid, ask; /* 0: that side is empty */
    uint64_t bid_shares, ask_shares;
};

struct book_errors {
    uint64_t unknown_orders;   /* execute, cancel, delete or replace of an order that is not there */
    uint64_t duplicate_orders; /* add of a reference that is there */
    uint64_t bad_quantities;   /* zero shares added, or more taken off than there are */
    uint64_t overflow_orders;
    uint64_t overflow_levels;
    uint64_t overflow_instruments;
};

struct book {
    struct book_order *orders;
    struct book_instrument *instruments;
    struct pool pool;
    uint32_t order_mask;
    uint32_t order_shift;
    uint32_t epoch;
    uint32_t live_orders;
    uint32_t max_orders;
    uint32_t max_instruments;
    uint32_t opened_count; /* the first instruments of the day to have an order, for those who show a few books */
    uint16_t opened[BOOK_OPENED];
    struct book_errors errors;
};

/* Arena bytes that books of these sizes need. Sizes are 1 to the limits above. */
size_t book_footprint(uint32_t max_orders, uint32_t max_instruments);

/* False when the arena is too small (its `used` then says what would do). */
bool book_init(struct book *book, struct arena *arena, uint32_t max_orders, uint32_t max_instruments);

/* Empty all books: a new trading day. Error counts stay. */
void book_clear(struct book *book);

/* Apply one ITCH message whose length has been checked. Returns the stock locate of the book whose best price or size changed,
 * or -1. */
int32_t book_apply(struct book *book, const uint8_t *message);

struct book_top book_top(const struct book *book, uint16_t locate);

/* The level `nth` from the best of a side; false past the last. */
bool book_level_at(const struct book *book, uint16_t locate, enum book_side_index side, uint32_t nth, uint32_t *price,
                   struct book_level *level);

uint64_t book_errors_total(const struct book_errors *errors);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Full-depth books of all instruments, by order: live orders in an order_table, each side of a book as in side.h.
 *
 * Limits: `max_orders` live orders, `max_instruments` (stock locates 0 to max_instruments - 1), and a pool of twice as many
 * levels as orders. What does not fit is dropped and counted, never written past the end; such a book is wrong from there on,
 * as it is after lost messages.
 *
 * Whoever has several messages in hand does not call book_apply for each but walks them together: book_walk.h.
 *
 * News. What a message changed besides a book is left in `news` for the caller, who looks after every book_apply and, when it is
 * not zero, reads `news_locate` and sets `news` to zero: */
#ifndef TICKWIRE_BOOK_H
#define TICKWIRE_BOOK_H

#include "arena.h"
#include "itch.h"
#include "order_table.h"
#include "side.h"

enum book_news {
    BOOK_NEWS_NAMED = 1,  /* instrument `news_locate` has a name, or another one (R, H; A or F of a feed joined late) */
    BOOK_NEWS_STATUS = 2, /* its trading state or bands have changed (H, h, J, R) */
    BOOK_NEWS_SYSTEM = 4, /* a system event: system_event, and perhaps the trading state of any instrument */
};

#define BOOK_ORDERS_LIMIT ORDER_TABLE_LIMIT
#define BOOK_INSTRUMENTS_LIMIT 65536u /* a stock locate is 16 bits */
#define BOOK_OPENED 8

enum book_side_index { BOOK_BID, BOOK_ASK };

/* What else is known of an instrument.
 *
 * trading_state is 'T' trading, 'H' halted, 'P' paused or 'Q' quotation only, from H messages; 'H' also while an operational halt
 * (h) of any market is in force. Before the feed has said anything about an instrument it counts as trading: files without H
 * messages and feeds joined late would never trade. Yet Nasdaq says H for every tradable instrument before the start of system
 * hours, and who is left out is halted: so if any H came between the system events O and S, an instrument of the stock directory
 * without one is halted from S on.
 *
 * The bands are the lower and upper price of the last J of the instrument, 0 when there was none. J is the collar of the auction
 * that ends a limit up limit down pause. The continuous bands are not on this feed (the SIPs have them), so the collar is the only
 * limit on prices an engine can know here; it stays in force until the next J or the end of the session, and an order outside of it
 * is refused by risk. */
struct book_instrument {
    uint32_t lower_band, upper_band;
    uint8_t trading_state;
    uint8_t said_state; /* by the last H; 0: none */
    uint8_t halts;      /* operational halts in force, a bit for each market */
    bool listed;        /* in the stock directory of this session */
    bool named;         /* its name is known */
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

/* What leaves the books as they are. */
struct book_trades {
    uint64_t hidden;  /* P, against an order that was not displayed */
    uint64_t crosses; /* Q */
    uint64_t broken;  /* B */
};

struct book {
    struct order_table orders;
    struct side *sides;    /* by place: 2 * stock locate + side */
    struct tw_level *near; /* SIDE_NEAR for each of them */
    struct book_instrument *instruments;
    uint8_t (*stocks)[8];  /* per instrument: as on the feed; blank-padded; all zero until seen */
    uint32_t max_instruments;
    uint32_t max_orders;
    uint32_t live_orders;
    uint32_t news;         /* enum book_news, set by book_apply, zeroed by the caller */
    uint16_t news_locate;
    uint8_t system_event;  /* code of the last S: O, S, Q, M, E, C; 0: none yet */
    bool spin;             /* an H came between the system events O and S */
    struct pool pool;
    uint32_t opened_count; /* the first instruments of the day to have an order, for those who show a few books */
    uint16_t opened[BOOK_OPENED];
    struct book_trades trades;
    struct book_errors errors;
};

/* Arena bytes that books of these sizes need. Sizes are 1 to the limits above. */
size_t book_footprint(uint32_t max_orders, uint32_t max_instruments);

/* False when the arena is too small (its `used` then says what would do). */
bool book_init(struct book *book, struct arena *arena, uint32_t max_orders, uint32_t max_instruments);

/* Empty all books: a new trading day. Error counts stay. With live orders left, the whole order table is zeroed: milliseconds. */
void book_clear(struct book *book);

/* Apply one ITCH message whose length has been checked. Returns the stock locate of the book whose best price or size changed,
 * or -1. */
int32_t book_apply(struct book *book, const uint8_t *message);

static inline uint32_t book_place(uint32_t locate, enum book_side_index which)
{
    return 2 * locate + which;
}

static inline struct tw_level *book_near(const struct book *book, uint32_t place)
{
    return &book->near[place * SIDE_NEAR];
}

/* The best level of a side; one of price 0 without orders when the side is empty. Good until the next book_apply. */
static inline const struct tw_level *book_best(const struct book *book, uint32_t locate, enum book_side_index which)
{
    uint32_t place = book_place(locate, which);
    return side_best(&book->sides[place], book_near(book, place), &book->pool);
}

static inline struct book_top book_top(const struct book *book, uint32_t locate)
{
    const struct tw_level *bid = book_best(book, locate, BOOK_BID), *ask = book_best(book, locate, BOOK_ASK);
    return (struct book_top){.bid = bid->price, .ask = ask->price, .bid_shares = bid->shares, .ask_shares = ask->shares};
}

/* How many levels a side has. */
static inline uint32_t book_level_count(const struct book *book, uint32_t locate, enum book_side_index which)
{
    return side_count(&book->sides[book_place(locate, which)]);
}

/* The level `nth` from the best of a side, or NULL past the last. Good until the next book_apply. */
static inline const struct tw_level *book_level(const struct book *book, uint32_t locate, enum book_side_index which, uint32_t nth)
{
    uint32_t place = book_place(locate, which);
    return side_level(&book->sides[place], book_near(book, place), &book->pool, nth);
}

/* The live order of this reference, or NULL. Good until the next book_apply. */
const struct order_slot *book_order(const struct book *book, uint64_t reference);

uint64_t book_errors_total(const struct book_errors *errors);

#endif

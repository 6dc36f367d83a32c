/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks every order passes before it is sent. There is no way around them and no switch to turn them off; a limit of the
 * configuration is always a number. Cancels pass always: they only take risk away. */
#ifndef TICKWIRE_RISK_H
#define TICKWIRE_RISK_H

#include "arena.h"
#include "book.h"
#include "strategy.h"

#define RISK_RESTRICTED_MAX 256 /* symbols on the restricted list */

/* Laid out for the control block: fixed sizes, no pointers. */
struct risk_limits {
    uint64_t max_notional;      /* 1/10000 dollar per order */
    uint32_t max_size;          /* shares per order */
    uint32_t collar_bps;        /* farthest from the mid of the book, in 1/100 percent of it */
    uint32_t max_position;      /* shares long or short per instrument, open orders counted as if they were filled */
    uint32_t max_open_orders;   /* of all instruments */
    uint32_t max_orders_per_s;  /* enters and replaces; a bucket of that many, filled evenly */
    uint32_t duplicate_ms;      /* the same side, price and shares for one instrument again before that time is over; 0: off */
};

/* Why an order was refused; X-macro so that counters, names and enum are one list. */
#define RISK_REASONS(X)                                                                                     \
    X(size) X(notional) X(collar) X(position) X(open_orders) X(rate) X(duplicate) X(restricted) X(killed) \
    X(stale) X(halted) X(band) X(leg) X(tag) X(full)

enum risk_verdict {
    RISK_PASSED,
#define RISK_VERDICT(name) RISK_##name,
    RISK_REASONS(RISK_VERDICT)
#undef RISK_VERDICT
    RISK_VERDICTS
};

/* What the check needs to know of the moment; the engine fills it in. */
struct risk_view {
    struct book_top top;
    int64_t position;       /* shares of the instrument, from executions */
    uint64_t open_buys;     /* shares of own open orders in the instrument */
    uint64_t open_sells;
    uint32_t open_orders;   /* of all instruments */
    uint32_t replaced_open; /* open shares of the order this one replaces; 0: it replaces none */
    uint32_t lower_band;    /* limit up limit down; 0: none published */
    uint32_t upper_band;
    uint64_t time_ns;       /* since midnight, of the message */
    uint8_t trading_state;  /* 'T': may trade */
    uint8_t stale;          /* the books miss messages */
};

struct risk; /* limits in force, the rate's bucket, the last four orders per side of an instrument, restricted locates: memory of
                the arena */

size_t risk_footprint(uint32_t max_instruments);
struct risk *risk_init(struct arena *arena, const struct risk_limits *limits, uint32_t max_instruments);

/* New limits; the bucket keeps what it has, at most the new size. */
void risk_set_limits(struct risk *risk, const struct risk_limits *limits);
void risk_set_killed(struct risk *risk, bool killed);
/* The whole restricted list, blank-padded symbols; locates already named are looked at again. */
void risk_set_restricted(struct risk *risk, const uint8_t symbols[][8], uint32_t count);

/* The feed named an instrument; a new feed session forgets all of them, and what was sent to them: locates mean others now. */
void risk_name(struct risk *risk, uint16_t locate, const uint8_t stock[8]);
void risk_forget(struct risk *risk);

/* Every few milliseconds: fill the rate's bucket. */
void risk_tick(struct risk *risk, uint64_t now_ns);

/* First reason against the order, in the order of the list above. Changes nothing. What only the engine can know (leg, tag, full)
 * is left to it; TW_CANCEL passes always, also when killed. A locate from max_instruments on is restricted, and so is one without a
 * name while there is a restricted list. A position from executions beyond the limit refuses only what leads further away. */
enum risk_verdict risk_check(const struct risk *risk, const struct tw_order *order, const struct risk_view *view);

/* Ask for the lines a check of an order for that instrument will read. */
void risk_warm(const struct risk *risk, uint16_t locate);

/* The order goes out: take it from the bucket and remember it. Cancels count for nothing. */
void risk_sent(struct risk *risk, const struct tw_order *order, uint64_t time_ns);

/* The same for orders checked together before any goes out (legs): `nth` were checked before this one and count as sent, against
 * rate and open orders. For the position the caller adds those of the same instrument to open_buys and open_sells of the view. */
enum risk_verdict risk_check_nth(const struct risk *risk, const struct tw_order *order, const struct risk_view *view, uint32_t nth);

const char *risk_name_of(enum risk_verdict verdict);

#endif

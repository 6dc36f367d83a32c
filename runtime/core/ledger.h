/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: own open orders and positions, and the only source of order numbers.
 *
 * Every change is a record first: it is appended to the journal and then booked from the record, by the same code that books it
 * after a restart. So the state is a function of the journal, and a restart cannot come to another one.
 *
 * A number is never used twice on one journal: it is in the journal before the order is on the wire. After a restart an order that
 * was journalled and never answered is `unsure`: it counts as open (position limits see it) until the exchange's replayed messages,
 * or the end of that replay, say what it is. It is never sent again. The same holds for a connection that was lost.
 *
 * A replacement is an order of its own until it is answered, and the two (or more, replacements may follow each other before the
 * first is answered) are one chain of which at most one is live at the exchange. What the chain can execute at most counts as open:
 * the largest of them, not their sum. When the first goes, those behind it go with it, because the exchange ignores the
 * replacement of an order that is gone and says nothing. The quantity of OUCH's Replace is what the whole chain may come to,
 * shares already executed included, and in 5.0 those self-match prevention took (ouch.h, ouch42.h); strategies say what shall be
 * open, and ledger_replace gives the quantity to send.
 *
 * When the journal runs full no order and no replacement goes out any more while there is still room for a cancel and the usual
 * answers of every open order (LEDGER_RESERVE each). When even that is gone, ledger_exhausted: an answer that cannot be written
 * is not booked either, so that a restart, which makes room, gets it from the exchange once more.
 *
 * Instruments are known by symbol here, because stock locates change from day to day and are unknown before the feed has named
 * them; ledger_bind ties a locate to its symbol.
 *
 * Files: ledger.c requests and instruments, ledger_table.c orders and their chains, ledger_answer.c answers of the exchange,
 * ledger_recover.c sessions and the way back from the journal. */
#ifndef TICKWIRE_LEDGER_H
#define TICKWIRE_LEDGER_H

#include "arena.h"
#include "journal.h"
#include "strategy.h"

#define LEDGER_RESERVE 4      /* records kept for each open order: accepted, executed, its cancel, canceled */
#define LEDGER_RESERVE_BASE 8 /* and for sessions, system events, what was torn */
#define LEDGER_SELF_MATCH 'Q' /* reason of a TW_CANCELED answer whose shares count as used up in a replacement's quantity */

enum ledger_state { LEDGER_FREE, LEDGER_SENT, LEDGER_LIVE, LEDGER_UNSURE };

struct ledger_order {
    uint32_t reference;  /* 0: the slot is free */
    uint32_t original;   /* of a replace that is not answered yet: what it replaces */
    uint32_t next;       /* the replacement of it that is on its way; else 0 */
    uint32_t tag;
    uint32_t price;
    uint32_t open_shares;
    uint32_t used;       /* executed, and in 5.0 lost to self-match prevention, by it and by those it replaced */
    uint32_t instrument; /* of the ledger */
    uint8_t side;
    uint8_t state;       /* ledger_state */
    uint8_t time_in_force;
    uint8_t canceling;   /* a cancel is on its way */
};

struct ledger_position {
    int64_t shares;       /* from executions; short is negative */
    uint64_t open_buys;   /* shares of open orders, a chain of replacements counted once, by its largest */
    uint64_t open_sells;
    int64_t cash;         /* 1/10000 dollar, from executions: negative when bought */
    uint8_t symbol[8];
    uint32_t locate;      /* UINT32_MAX: not bound in this feed session */
    uint32_t reserved;
} __attribute__((aligned(64))); /* a line of its own: one that straddles two is missed twice */

struct ledger_settings {
    uint32_t max_open_orders; /* and as many replacements on their way */
    uint32_t max_instruments; /* with a position or an order of ours, and bound locates */
    uint32_t max_tags;
    bool self_match_is_unused; /* 4.2: a replacement's quantity does not count what self-match prevention took */
};

/* An answer of the exchange, the same for both versions of OUCH. */
struct ledger_answer {
    uint64_t time_ns;
    uint64_t match_number;
    uint32_t reference;
    uint32_t original;   /* TW_REPLACED: what was replaced */
    uint32_t shares;     /* accepted and replaced: open now, 0 when its state is dead; executed and canceled: by how many; broken:
                            of the execution if told */
    uint32_t price;      /* 0 when the message has none */
    uint16_t reason;
    uint8_t kind;        /* tw_update_kind; 0: nothing of an order (system events and the like) */
    uint8_t side;        /* 'B' or 'S' when the message says it, else 0 */
    uint8_t symbol[8];   /* when the message says it, else zeros: by it an order the journal lost is taken in again */
};

struct ledger {
    struct journal *journal;
    struct ledger_order *orders;        /* open addressing by reference */
    struct ledger_position *positions;
    uint32_t *by_tag;                   /* reference of the open order with that tag (of a chain the last), 0: none */
    uint32_t *of_locate;                /* 65,536: 1 + index of positions, 0: not bound */
    uint32_t *by_symbol;                /* hash of symbols, 1 + index */
    struct ledger_settings settings;
    uint32_t order_mask, symbol_mask;
    uint32_t open_orders;               /* a chain counts once */
    uint32_t replacing;                 /* replacements on their way */
    uint32_t position_count;
    uint32_t last_reference;
    uint32_t unsure;
    uint64_t answered;                  /* sequence of the last answer of the SoupBinTCP session taken; resume from the next */
    char session[11];                   /* of those sequences */
    uint64_t unknown;                   /* answers about orders we do not have: counted, and their executions still booked when
                                           the message or the journal names a symbol */
};

size_t ledger_footprint(const struct ledger_settings *settings);
bool ledger_init(struct ledger *ledger, struct arena *arena, const struct ledger_settings *settings, struct journal *journal);

/* Build the state from the journal. False with `failure` when it holds more than the settings have room for. */
bool ledger_recover(struct ledger *ledger, struct failure *failure);

/* The feed named an instrument: its positions entry. False when max_instruments is used up. A new feed session unbinds all. */
bool ledger_bind(struct ledger *ledger, uint16_t locate, const uint8_t stock[8]);
void ledger_unbind(struct ledger *ledger);

/* Bound locates only; NULL otherwise. */
static inline struct ledger_position *ledger_position(const struct ledger *ledger, uint16_t locate)
{
    uint32_t at = ledger->of_locate[locate];
    return at == 0 ? NULL : &ledger->positions[at - 1];
}

const struct ledger_order *ledger_find(const struct ledger *ledger, uint32_t reference);
/* The open order with this tag, or NULL; while replacements are on their way the last of them. */
const struct ledger_order *ledger_tagged(const struct ledger *ledger, uint32_t tag);

/* What an update says of an order besides the kind and the shares of it. */
void ledger_tell(const struct ledger *ledger, const struct ledger_order *order, struct tw_update *update);

/* Before the send: journal the request and book it. Return the reference to send under (for a cancel that of the order), 0 when
 * there is no room (orders, journal) or nothing to change: no such tag or (enter) one that is taken, a locate that is not bound, no
 * shares; a cancel already on its way; a replacement of an order that is unsure or being canceled. `quantity` is the one OUCH's
 * Replace has to say. */
uint32_t ledger_enter(struct ledger *ledger, const struct tw_order *order);
uint32_t ledger_replace(struct ledger *ledger, const struct tw_order *order, uint32_t *original, uint32_t *quantity);
uint32_t ledger_cancel(struct ledger *ledger, const struct tw_order *order);
uint32_t ledger_cancel_reference(struct ledger *ledger, uint32_t reference);

/* Is there room for `count` more orders or replacements, their records included? */
bool ledger_has_room(const struct ledger *ledger, uint32_t count);

/* The exchange expects this number next: those below are used, whatever the journal says (it may have been lost). */
void ledger_skip_to(struct ledger *ledger, uint32_t next_reference);

/* Fetch what the next ledger_enter will write to. */
void ledger_warm(const struct ledger *ledger);

/* The transport took nothing of the request sent under `reference`: undo it. `action`: tw_action. The number is gone all the
 * same. */
void ledger_unsent(struct ledger *ledger, uint32_t reference, uint8_t action);

/* Sequenced message `sequence` of the session. Journalled, booked, and told as `update` (false: nothing for the strategy, or seen
 * before: a sequence at or below `answered` changes nothing). A rejected replacement is told with the open shares of the order it
 * was to replace, which stays; a rejected cancel with those of the order. */
bool ledger_answer(struct ledger *ledger, uint64_t sequence, const struct ledger_answer *answer, struct tw_update *update);

/* Logged in: `session` and the sequence the exchange will go on with. Requests without an answer become unsure, and a cancel
 * without one may be sent again. Another session, or a sequence below the one asked for, is another trading day or an exchange that
 * began anew: it knows none of the open orders, so all of them become unsure, `answered` starts over, positions stay. */
void ledger_session(struct ledger *ledger, const char *session, uint64_t next_sequence);

/* The replay of missed messages is over: what is still unsure never reached the exchange, or went with its session. Calls `gone`
 * (may be NULL) for each dropped: an order as TW_CANCELED, a replacement as TW_REJECTED. */
void ledger_settle(struct ledger *ledger, void (*gone)(void *context, const struct tw_update *update), void *context);

/* The journal is full: answers are not taken any more. Stop; a restart makes room and asks the exchange for them again. */
static inline bool ledger_exhausted(const struct ledger *ledger)
{
    return journal_room(ledger->journal) == 0;
}

#endif

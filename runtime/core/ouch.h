/* SPDX-License-Identifier: Apache-2.0
 *
 * Nasdaq OUCH: the messages of version 5.0 as tables (those of 4.2 are in ouch42.h), staged requests, and the exchange's answers in
 * the form the ledger takes.
 *
 * The tables follow Nasdaq's "OUCH 5.0 Order Entry Specification", revision 1.05 of October 2025. Which messages must, may or do
 * not carry an appendage is from the same place; the exchange leaves an optional one out when it has nothing to say in it.
 *
 * Quantities. Enter Order: shares. Replace Order (section 2.2): shares the whole chain of replaces is liable for, those already
 * executed or taken by self-match prevention included. Cancel Order: shares that may execute in total, 0 cancels what is open.
 * Accepted and Replaced tell what is open; Executed and Canceled by how much that shrinks. */
#ifndef TICKWIRE_OUCH_H
#define TICKWIRE_OUCH_H

#include "ouch42.h"
#include "wire.h"

/* M(name, character, length, tail, title): direction prefix IN (client to exchange) or OUT. Lengths are without the appendage
 * length and the appendage. */
#define OUCH_INBOUND(M)                                         \
    M(IN_O, 'O', 45, REQUIRED, "Enter Order")                   \
    M(IN_U, 'U', 38, REQUIRED, "Replace Order")                 \
    M(IN_X, 'X', 9, OPTIONAL, "Cancel Order")                   \
    M(IN_M, 'M', 10, OPTIONAL, "Modify Order")                  \
    M(IN_C, 'C', 17, REQUIRED, "Mass Cancel")                   \
    M(IN_D, 'D', 9, REQUIRED, "Disable Order Entry")            \
    M(IN_E, 'E', 9, REQUIRED, "Enable Order Entry")             \
    M(IN_Q, 'Q', 1, OPTIONAL, "Account Query")

#define OUCH_OUTBOUND(M)                                        \
    M(OUT_S, 'S', 10, NONE, "System Event")                     \
    M(OUT_A, 'A', 62, REQUIRED, "Order Accepted")               \
    M(OUT_U, 'U', 66, REQUIRED, "Order Replaced")               \
    M(OUT_C, 'C', 18, OPTIONAL, "Order Canceled")               \
    M(OUT_D, 'D', 32, OPTIONAL, "AIQ Canceled")                 \
    M(OUT_E, 'E', 34, REQUIRED, "Order Executed")               \
    M(OUT_B, 'B', 36, OPTIONAL, "Broken Trade")                 \
    M(OUT_J, 'J', 29, OPTIONAL, "Rejected")                     \
    M(OUT_P, 'P', 13, OPTIONAL, "Cancel Pending")               \
    M(OUT_I, 'I', 13, OPTIONAL, "Cancel Reject")                \
    M(OUT_T, 'T', 30, OPTIONAL, "Order Priority Update")        \
    M(OUT_M, 'M', 18, OPTIONAL, "Order Modified")               \
    M(OUT_R, 'R', 14, REQUIRED, "Order Restated")               \
    M(OUT_X, 'X', 25, REQUIRED, "Mass Cancel Response")         \
    M(OUT_G, 'G', 17, REQUIRED, "Disable Order Entry Response") \
    M(OUT_K, 'K', 17, REQUIRED, "Enable Order Entry Response")  \
    M(OUT_Q, 'Q', 13, OPTIONAL, "Account Query Response")

#define OUCH_FIELDS_IN_O(F)                     \
    F(IN_O, user_ref_num, U32, 1, 4)            \
    F(IN_O, side, CHAR, 5, 1)                   \
    F(IN_O, quantity, U32, 6, 4)                \
    F(IN_O, symbol, ALPHA, 10, 8)               \
    F(IN_O, price, PRICE4, 18, 8)               \
    F(IN_O, time_in_force, CHAR, 26, 1)         \
    F(IN_O, display, CHAR, 27, 1)               \
    F(IN_O, capacity, CHAR, 28, 1)              \
    F(IN_O, intermarket_sweep, CHAR, 29, 1)     \
    F(IN_O, cross_type, CHAR, 30, 1)            \
    F(IN_O, cl_ord_id, ALPHA, 31, 14)

#define OUCH_FIELDS_IN_U(F)                     \
    F(IN_U, orig_user_ref_num, U32, 1, 4)       \
    F(IN_U, user_ref_num, U32, 5, 4)            \
    F(IN_U, quantity, U32, 9, 4)                \
    F(IN_U, price, PRICE4, 13, 8)               \
    F(IN_U, time_in_force, CHAR, 21, 1)         \
    F(IN_U, display, CHAR, 22, 1)               \
    F(IN_U, intermarket_sweep, CHAR, 23, 1)     \
    F(IN_U, cl_ord_id, ALPHA, 24, 14)

#define OUCH_FIELDS_IN_X(F)                     \
    F(IN_X, user_ref_num, U32, 1, 4)            \
    F(IN_X, quantity, U32, 5, 4)

#define OUCH_FIELDS_IN_M(F)                     \
    F(IN_M, user_ref_num, U32, 1, 4)            \
    F(IN_M, side, CHAR, 5, 1)                   \
    F(IN_M, quantity, U32, 6, 4)

#define OUCH_FIELDS_IN_C(F)                     \
    F(IN_C, user_ref_num, U32, 1, 4)            \
    F(IN_C, firm, ALPHA, 5, 4)                  \
    F(IN_C, symbol, ALPHA, 9, 8)

#define OUCH_FIELDS_ENTRY(F, T)                 \
    F(T, user_ref_num, U32, 1, 4)               \
    F(T, firm, ALPHA, 5, 4)

#define OUCH_FIELDS_IN_D(F) OUCH_FIELDS_ENTRY(F, IN_D)
#define OUCH_FIELDS_IN_E(F) OUCH_FIELDS_ENTRY(F, IN_E)
#define OUCH_FIELDS_IN_Q(F)

#define OUCH_FIELDS_OUT_S(F)                    \
    F(OUT_S, timestamp, U64, 1, 8)              \
    F(OUT_S, event_code, CHAR, 9, 1)

/* How the answers about one order begin. */
#define OUCH_FIELDS_ORDER(F, T)                 \
    F(T, timestamp, U64, 1, 8)                  \
    F(T, user_ref_num, U32, 9, 4)

#define OUCH_FIELDS_OUT_A(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_A)                 \
    F(OUT_A, side, CHAR, 13, 1)                 \
    F(OUT_A, quantity, U32, 14, 4)              \
    F(OUT_A, symbol, ALPHA, 18, 8)              \
    F(OUT_A, price, PRICE4, 26, 8)              \
    F(OUT_A, time_in_force, CHAR, 34, 1)        \
    F(OUT_A, display, CHAR, 35, 1)              \
    F(OUT_A, order_reference, U64, 36, 8)       \
    F(OUT_A, capacity, CHAR, 44, 1)             \
    F(OUT_A, intermarket_sweep, CHAR, 45, 1)    \
    F(OUT_A, cross_type, CHAR, 46, 1)           \
    F(OUT_A, order_state, CHAR, 47, 1)          \
    F(OUT_A, cl_ord_id, ALPHA, 48, 14)

#define OUCH_FIELDS_OUT_U(F)                    \
    F(OUT_U, timestamp, U64, 1, 8)              \
    F(OUT_U, orig_user_ref_num, U32, 9, 4)      \
    F(OUT_U, user_ref_num, U32, 13, 4)          \
    F(OUT_U, side, CHAR, 17, 1)                 \
    F(OUT_U, quantity, U32, 18, 4)              \
    F(OUT_U, symbol, ALPHA, 22, 8)              \
    F(OUT_U, price, PRICE4, 30, 8)              \
    F(OUT_U, time_in_force, CHAR, 38, 1)        \
    F(OUT_U, display, CHAR, 39, 1)              \
    F(OUT_U, order_reference, U64, 40, 8)       \
    F(OUT_U, capacity, CHAR, 48, 1)             \
    F(OUT_U, intermarket_sweep, CHAR, 49, 1)    \
    F(OUT_U, cross_type, CHAR, 50, 1)           \
    F(OUT_U, order_state, CHAR, 51, 1)          \
    F(OUT_U, cl_ord_id, ALPHA, 52, 14)

#define OUCH_FIELDS_OUT_C(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_C)                 \
    F(OUT_C, quantity, U32, 13, 4)              \
    F(OUT_C, reason, CHAR, 17, 1)

#define OUCH_FIELDS_OUT_D(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_D)                 \
    F(OUT_D, decrement_shares, U32, 13, 4)      \
    F(OUT_D, reason, CHAR, 17, 1)               \
    F(OUT_D, quantity_prevented, U32, 18, 4)    \
    F(OUT_D, execution_price, PRICE4, 22, 8)    \
    F(OUT_D, liquidity_flag, CHAR, 30, 1)       \
    F(OUT_D, aiq_strategy, CHAR, 31, 1)

#define OUCH_FIELDS_OUT_E(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_E)                 \
    F(OUT_E, quantity, U32, 13, 4)              \
    F(OUT_E, price, PRICE4, 17, 8)              \
    F(OUT_E, liquidity_flag, CHAR, 25, 1)       \
    F(OUT_E, match_number, U64, 26, 8)

#define OUCH_FIELDS_OUT_B(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_B)                 \
    F(OUT_B, match_number, U64, 13, 8)          \
    F(OUT_B, reason, CHAR, 21, 1)               \
    F(OUT_B, cl_ord_id, ALPHA, 22, 14)

#define OUCH_FIELDS_OUT_J(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_J)                 \
    F(OUT_J, reason, U16, 13, 2)                \
    F(OUT_J, cl_ord_id, ALPHA, 15, 14)

#define OUCH_FIELDS_OUT_P(F) OUCH_FIELDS_ORDER(F, OUT_P)
#define OUCH_FIELDS_OUT_I(F) OUCH_FIELDS_ORDER(F, OUT_I)

#define OUCH_FIELDS_OUT_T(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_T)                 \
    F(OUT_T, price, PRICE4, 13, 8)              \
    F(OUT_T, display, CHAR, 21, 1)              \
    F(OUT_T, order_reference, U64, 22, 8)

#define OUCH_FIELDS_OUT_M(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_M)                 \
    F(OUT_M, side, CHAR, 13, 1)                 \
    F(OUT_M, quantity, U32, 14, 4)

#define OUCH_FIELDS_OUT_R(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_R)                 \
    F(OUT_R, reason, CHAR, 13, 1)

#define OUCH_FIELDS_OUT_X(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_X)                 \
    F(OUT_X, firm, ALPHA, 13, 4)                \
    F(OUT_X, symbol, ALPHA, 17, 8)

#define OUCH_FIELDS_OUT_G(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_G)                 \
    F(OUT_G, firm, ALPHA, 13, 4)

#define OUCH_FIELDS_OUT_K(F)                    \
    OUCH_FIELDS_ORDER(F, OUT_K)                 \
    F(OUT_K, firm, ALPHA, 13, 4)

#define OUCH_FIELDS_OUT_Q(F)                    \
    F(OUT_Q, timestamp, U64, 1, 8)              \
    F(OUT_Q, next_user_ref_num, U32, 9, 4)

enum ouch_offset {
#define OUCH_OFFSET(T, field, kind, offset, length) OUCH_##T##_##field = offset,
#define OUCH_OFFSETS(T, character, length, tail, title) OUCH_FIELDS_##T(OUCH_OFFSET)
    OUCH_INBOUND(OUCH_OFFSETS)
    OUCH_OUTBOUND(OUCH_OFFSETS)
#undef OUCH_OFFSETS
#undef OUCH_OFFSET
#define OUCH_LENGTH(T, character, length, tail, title) OUCH_##T##_length = length,
    OUCH_INBOUND(OUCH_LENGTH)
    OUCH_OUTBOUND(OUCH_LENGTH)
#undef OUCH_LENGTH
};

#define OUCH_INBOUND_COUNT 8
#define OUCH_OUTBOUND_COUNT 17
extern const struct wire_message ouch_inbound[OUCH_INBOUND_COUNT];
extern const struct wire_message ouch_outbound[OUCH_OUTBOUND_COUNT];

/* What an appendage may hold: elements of length (1, of what follows), tag (1), value. G(name, tag, kind, length of the value).
 * Numbers 8, 19, 20 and 21 are not in use. */
#define OUCH_TAGS(G)                            \
    G(secondary_ord_ref_num, 1, U64, 8)         \
    G(firm, 2, ALPHA, 4)                        \
    G(min_qty, 3, U32, 4)                       \
    G(customer_type, 4, CHAR, 1)                \
    G(max_floor, 5, U32, 4)                     \
    G(price_type, 6, CHAR, 1)                   \
    G(peg_offset, 7, I32, 4)                    \
    G(discretion_price, 9, PRICE4, 8)           \
    G(discretion_price_type, 10, CHAR, 1)       \
    G(discretion_peg_offset, 11, I32, 4)        \
    G(post_only, 12, CHAR, 1)                   \
    G(random_reserves, 13, U32, 4)              \
    G(route, 14, ALPHA, 4)                      \
    G(expire_time, 15, U32, 4)                  \
    G(trade_now, 16, CHAR, 1)                   \
    G(handle_inst, 17, CHAR, 1)                 \
    G(bbo_weight_indicator, 18, CHAR, 1)        \
    G(display_quantity, 22, U32, 4)             \
    G(display_price, 23, PRICE4, 8)             \
    G(group_id, 24, U16, 2)                     \
    G(shares_located, 25, CHAR, 1)              \
    G(locate_broker, 26, ALPHA, 4)              \
    G(side, 27, CHAR, 1)                        \
    G(user_ref_idx, 28, U8, 1)                  \
    G(aiq_strategy, 29, CHAR, 1)                \
    G(aiq_group_id, 30, ALPHA, 2)

enum ouch_tag_number {
#define OUCH_TAG_NUMBER(name, tag, kind, length) OUCH_TAG_##name = tag,
    OUCH_TAGS(OUCH_TAG_NUMBER)
#undef OUCH_TAG_NUMBER
};

struct ouch_tag {
    uint8_t tag;
    struct wire_field value; /* its offset is 0: from the first byte after the tag */
};

#define OUCH_TAG_COUNT 26
extern const struct ouch_tag ouch_tags[OUCH_TAG_COUNT];

/* The element at the front of an appendage: the bytes it takes, its tag and value; 0 when there is none left, -1 when damaged. */
int32_t ouch_element(const uint8_t *appendage, uint32_t available, uint8_t *tag, const uint8_t **value, uint32_t *length);

enum ouch_version { OUCH_50, OUCH_42 };

/* --- requests (ouch_stage.c) --- */

/* A SoupBinTCP packet each, with everything that is the same for every order written once: displayed limit orders of principal
 * capacity for the continuous market. */
struct ouch_staged {
    uint8_t enter[96], replace[96], cancel[64];
    uint32_t enter_length, replace_length, cancel_length;
    uint32_t prepared; /* the reference that stands in `enter` */
    enum ouch_version version;
};

/* `firm` of up to 4 characters; "" stands for the port's default firm. */
void ouch_stage(struct ouch_staged *staged, enum ouch_version version, const char *firm);

/* Ask for the lines of the template ouch_enter writes into. */
static inline void ouch_warm(const struct ouch_staged *staged)
{
    prefetch(staged->enter);
    prefetch(staged->enter + 64);
    prefetch(&staged->version);
}

/* Write the reference of the next ouch_enter ahead of it. Only saves time: ouch_enter writes it if it is another one. */
void ouch_prepare(struct ouch_staged *staged, uint32_t reference);

/* Each writes only what changes and returns the bytes of the whole packet. Side 'B' or 'S'; symbol: 8 bytes as on the feed; price
 * in 1/10000 dollar; time_in_force: tw_time_in_force of strategy.h. A reference is the UserRefNum of 5.0 and the token of 4.2
 * (ouch42.h); ClOrdID of 5.0 carries that token too. */
uint32_t ouch_enter(struct ouch_staged *staged, uint32_t reference, uint8_t side, uint32_t shares, const uint8_t symbol[8],
                    uint32_t price, uint8_t time_in_force);
/* `shares` is OUCH's quantity of a replace (see above): what shall be open, and what the chain has executed so far on top. */
uint32_t ouch_replace(struct ouch_staged *staged, uint32_t original, uint32_t reference, uint32_t shares, uint32_t price,
                      uint8_t time_in_force);
uint32_t ouch_cancel(struct ouch_staged *staged, uint32_t reference);

/* --- answers (ouch_answer.c) --- */

struct ledger_answer;

/* A message of the exchange, without SoupBinTCP's header, as the ledger takes it. False when damaged or of unknown type.
 *
 *   message                  kind         what the fields say
 *   A Accepted               TW_ACCEPTED  shares: open now, 0 when the order state is dead ('D': accepted and gone at once); price
 *   U Replaced               TW_REPLACED  the same for the new reference; original: the reference that is gone
 *   E Executed, G (4.2)      TW_EXECUTED  shares, price and match number of this execution
 *   C Canceled               TW_CANCELED  shares: by how many it shrank, not what is left; reason: a letter
 *   D AIQ Canceled           TW_CANCELED  the same; the price in it is of a trade that did not take place, so price is 0
 *   B Broken Trade           TW_BROKEN    match number of the execution undone; the message has no shares, so 0; an execution
 *                                         broken does not open the order again
 *   J Rejected               TW_REJECTED  of an enter or a replace: that reference never lived, and what it was to replace stays as
 *                                         it was; reason: 5.0 a number, 4.2 a letter
 *   M Order Modified         TW_ACCEPTED  shares: open now; comes after a modify of somebody at the exchange, we send none
 *   F Trade Correction (4.2) 0            new price of an execution of before (see ouch42.h); shares, price and match number are
 *                                         told, position, cash and open shares stay as they are
 *   P Cancel Pending         0            the order is in a cross: a cancel is taken and done after it
 *   I Cancel Reject          0            the order is in a cross: it stays and the cancel is void
 *   T Order Priority Update  0            price as displayed; open shares stay
 *   R Order Restated         0            displayed part of the order was refreshed; open shares stay
 *   S, X, G (5.0), K, Q      0            nothing of an order; reference 0
 *
 * With kind 0 the reason is the message's letter, so that whoever keeps the order can tell I from P. Reference is 0 for orders that
 * are not ours (a foreign token). time_ns: since midnight. A price above 2^32 - 1 is damage: the highest OUCH allows is 2^31. */
bool ouch_answer(enum ouch_version version, const uint8_t *message, uint32_t length, struct ledger_answer *answer);

/* Why an order was rejected, in words; "unknown reason" for codes the specification does not have. (ouch_reason.c) */
const char *ouch_reject_text(enum ouch_version version, uint16_t reason);
/* The same for the letters of Canceled. Both versions have the same ones. */
const char *ouch_cancel_text(uint16_t reason);

#endif

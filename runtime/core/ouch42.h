/* SPDX-License-Identifier: Apache-2.0
 *
 * Nasdaq OUCH 4.2 as tables, from Nasdaq's "O*U*C*H Version 4.2", as updated in October 2025.
 *
 * Replace Order, section 2.2: Shares is the total the client is liable for over the whole chain of replaces, executed shares
 * included. Nasdaq's example: of 500 shares 100 are executed; a replace with 500 leaves 400 open, one with 600 leaves 500. 5.0 has
 * the same rule and names the shares that self-match prevention took as included too. 4.2 does not, so they are left out here: if
 * Nasdaq counts them after all, less is open than was wished, never more.
 *
 * Broken Trade, section 3.8: names an order and a match number, no shares; the Executed with that number has come before.
 *
 * Trade Correction (F) is gone from the list of outbound messages of that update. It told of one thing, the price of an execution
 * adjusted to a net asset value (reason N, the only one there was): shares, position and what is open are the same before and
 * after. It is still read, in the layout it had, that of Executed and a reason: 41 bytes, as in public codecs of 4.2 from before.
 *
 * Prices are 4 bytes with 4 decimals, there is no appendage, and orders are named by tokens of 14 characters. Ours are "TW", the
 * reference in 8 hexadecimal digits, and 4 blanks; a token of any other form is not ours. */
#ifndef TICKWIRE_OUCH42_H
#define TICKWIRE_OUCH42_H

#include "wire.h"

#define OUCH42_INBOUND(M)                                       \
    M(IN_O, 'O', 49, NONE, "Enter Order")                       \
    M(IN_U, 'U', 47, NONE, "Replace Order")                     \
    M(IN_X, 'X', 19, NONE, "Cancel Order")                      \
    M(IN_M, 'M', 20, NONE, "Modify Order")

#define OUCH42_OUTBOUND(M)                                      \
    M(OUT_S, 'S', 10, NONE, "System Event")                     \
    M(OUT_A, 'A', 66, NONE, "Accepted")                         \
    M(OUT_U, 'U', 80, NONE, "Replaced")                         \
    M(OUT_C, 'C', 28, NONE, "Canceled")                         \
    M(OUT_D, 'D', 38, NONE, "AIQ Canceled")                     \
    M(OUT_E, 'E', 40, NONE, "Executed")                         \
    M(OUT_G, 'G', 45, NONE, "Executed with Reference Price")    \
    M(OUT_F, 'F', 41, NONE, "Trade Correction")                 \
    M(OUT_B, 'B', 32, NONE, "Broken Trade")                     \
    M(OUT_J, 'J', 24, NONE, "Rejected")                         \
    M(OUT_P, 'P', 23, NONE, "Cancel Pending")                   \
    M(OUT_I, 'I', 23, NONE, "Cancel Reject")                    \
    M(OUT_T, 'T', 36, NONE, "Order Priority Update")            \
    M(OUT_M, 'M', 28, NONE, "Order Modified")

#define OUCH42_FIELDS_IN_O(F)                   \
    F(IN_O, order_token, ALPHA, 1, 14)          \
    F(IN_O, side, CHAR, 15, 1)                  \
    F(IN_O, shares, U32, 16, 4)                 \
    F(IN_O, stock, ALPHA, 20, 8)                \
    F(IN_O, price, PRICE4, 28, 4)               \
    F(IN_O, time_in_force, U32, 32, 4)          \
    F(IN_O, firm, ALPHA, 36, 4)                 \
    F(IN_O, display, CHAR, 40, 1)               \
    F(IN_O, capacity, CHAR, 41, 1)              \
    F(IN_O, intermarket_sweep, CHAR, 42, 1)     \
    F(IN_O, minimum_quantity, U32, 43, 4)       \
    F(IN_O, cross_type, CHAR, 47, 1)            \
    F(IN_O, customer_type, CHAR, 48, 1)

#define OUCH42_FIELDS_IN_U(F)                   \
    F(IN_U, existing_order_token, ALPHA, 1, 14) \
    F(IN_U, order_token, ALPHA, 15, 14)         \
    F(IN_U, shares, U32, 29, 4)                 \
    F(IN_U, price, PRICE4, 33, 4)               \
    F(IN_U, time_in_force, U32, 37, 4)          \
    F(IN_U, display, CHAR, 41, 1)               \
    F(IN_U, intermarket_sweep, CHAR, 42, 1)     \
    F(IN_U, minimum_quantity, U32, 43, 4)

#define OUCH42_FIELDS_IN_X(F)                   \
    F(IN_X, order_token, ALPHA, 1, 14)          \
    F(IN_X, shares, U32, 15, 4)

#define OUCH42_FIELDS_IN_M(F)                   \
    F(IN_M, order_token, ALPHA, 1, 14)          \
    F(IN_M, side, CHAR, 15, 1)                  \
    F(IN_M, shares, U32, 16, 4)

#define OUCH42_FIELDS_OUT_S(F)                  \
    F(OUT_S, timestamp, U64, 1, 8)              \
    F(OUT_S, event_code, CHAR, 9, 1)

#define OUCH42_FIELDS_ORDER(F, T)               \
    F(T, timestamp, U64, 1, 8)                  \
    F(T, order_token, ALPHA, 9, 14)

#define OUCH42_FIELDS_BOOKED(F, T)              \
    OUCH42_FIELDS_ORDER(F, T)                   \
    F(T, side, CHAR, 23, 1)                     \
    F(T, shares, U32, 24, 4)                    \
    F(T, stock, ALPHA, 28, 8)                   \
    F(T, price, PRICE4, 36, 4)                  \
    F(T, time_in_force, U32, 40, 4)             \
    F(T, firm, ALPHA, 44, 4)                    \
    F(T, display, CHAR, 48, 1)                  \
    F(T, order_reference, U64, 49, 8)           \
    F(T, capacity, CHAR, 57, 1)                 \
    F(T, intermarket_sweep, CHAR, 58, 1)        \
    F(T, minimum_quantity, U32, 59, 4)          \
    F(T, cross_type, CHAR, 63, 1)               \
    F(T, order_state, CHAR, 64, 1)

#define OUCH42_FIELDS_OUT_A(F)                  \
    OUCH42_FIELDS_BOOKED(F, OUT_A)              \
    F(OUT_A, bbo_weight_indicator, CHAR, 65, 1)

#define OUCH42_FIELDS_OUT_U(F)                      \
    OUCH42_FIELDS_BOOKED(F, OUT_U)                  \
    F(OUT_U, previous_order_token, ALPHA, 65, 14)   \
    F(OUT_U, bbo_weight_indicator, CHAR, 79, 1)

#define OUCH42_FIELDS_OUT_C(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_C)               \
    F(OUT_C, decrement_shares, U32, 23, 4)      \
    F(OUT_C, reason, CHAR, 27, 1)

#define OUCH42_FIELDS_OUT_D(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_D)               \
    F(OUT_D, decrement_shares, U32, 23, 4)      \
    F(OUT_D, reason, CHAR, 27, 1)               \
    F(OUT_D, quantity_prevented, U32, 28, 4)    \
    F(OUT_D, execution_price, PRICE4, 32, 4)    \
    F(OUT_D, liquidity_flag, CHAR, 36, 1)       \
    F(OUT_D, aiq_strategy, CHAR, 37, 1)

#define OUCH42_FIELDS_EXECUTED(F, T)            \
    OUCH42_FIELDS_ORDER(F, T)                   \
    F(T, executed_shares, U32, 23, 4)           \
    F(T, execution_price, PRICE4, 27, 4)        \
    F(T, liquidity_flag, CHAR, 31, 1)           \
    F(T, match_number, U64, 32, 8)

#define OUCH42_FIELDS_OUT_E(F) OUCH42_FIELDS_EXECUTED(F, OUT_E)

#define OUCH42_FIELDS_OUT_G(F)                  \
    OUCH42_FIELDS_EXECUTED(F, OUT_G)            \
    F(OUT_G, reference_price, PRICE4, 40, 4)    \
    F(OUT_G, reference_price_type, CHAR, 44, 1)

#define OUCH42_FIELDS_OUT_F(F)                  \
    OUCH42_FIELDS_EXECUTED(F, OUT_F)            \
    F(OUT_F, reason, CHAR, 40, 1)

#define OUCH42_FIELDS_OUT_B(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_B)               \
    F(OUT_B, match_number, U64, 23, 8)          \
    F(OUT_B, reason, CHAR, 31, 1)

#define OUCH42_FIELDS_OUT_J(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_J)               \
    F(OUT_J, reason, CHAR, 23, 1)

#define OUCH42_FIELDS_OUT_P(F) OUCH42_FIELDS_ORDER(F, OUT_P)
#define OUCH42_FIELDS_OUT_I(F) OUCH42_FIELDS_ORDER(F, OUT_I)

#define OUCH42_FIELDS_OUT_T(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_T)               \
    F(OUT_T, price, PRICE4, 23, 4)              \
    F(OUT_T, display, CHAR, 27, 1)              \
    F(OUT_T, order_reference, U64, 28, 8)

#define OUCH42_FIELDS_OUT_M(F)                  \
    OUCH42_FIELDS_ORDER(F, OUT_M)               \
    F(OUT_M, side, CHAR, 23, 1)                 \
    F(OUT_M, shares, U32, 24, 4)

enum ouch42_offset {
#define OUCH42_OFFSET(T, field, kind, offset, length) OUCH42_##T##_##field = offset,
#define OUCH42_OFFSETS(T, character, length, tail, title) OUCH42_FIELDS_##T(OUCH42_OFFSET)
    OUCH42_INBOUND(OUCH42_OFFSETS)
    OUCH42_OUTBOUND(OUCH42_OFFSETS)
#undef OUCH42_OFFSETS
#undef OUCH42_OFFSET
#define OUCH42_LENGTH(T, character, length, tail, title) OUCH42_##T##_length = length,
    OUCH42_INBOUND(OUCH42_LENGTH)
    OUCH42_OUTBOUND(OUCH42_LENGTH)
#undef OUCH42_LENGTH
};

#define OUCH42_INBOUND_COUNT 4
#define OUCH42_OUTBOUND_COUNT 14
extern const struct wire_message ouch42_inbound[OUCH42_INBOUND_COUNT];
extern const struct wire_message ouch42_outbound[OUCH42_OUTBOUND_COUNT];

/* Time in force is a number of seconds, with these meanings besides. */
#define OUCH42_IMMEDIATE 0u
#define OUCH42_MARKET_HOURS 99998u
#define OUCH42_SYSTEM_HOURS 99999u

#define OUCH42_TOKEN 14

/* The reference in digits, at the third character of a token that is staged already. */
static inline void ouch42_patch_token(uint8_t *token, uint32_t reference)
{
    uint64_t digits = reference; /* to one nibble a byte, the highest first in memory */
    digits = (digits & 0xFFFF) << 32 | digits >> 16;
    digits = (digits & 0x000000FF000000FF) << 16 | (digits & 0x0000FF000000FF00) >> 8;
    digits = (digits & 0x000F000F000F000F) << 8 | (digits & 0x00F000F000F000F0) >> 4;
    uint64_t letters = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
    digits += 0x3030303030303030 + letters * ('A' - '0' - 10);
    memcpy(token + 2, &digits, sizeof digits);
}

void ouch42_put_token(uint8_t token[OUCH42_TOKEN], uint32_t reference);

/* The reference of one of our tokens, 0 for any other. */
uint32_t ouch42_reference(const uint8_t token[OUCH42_TOKEN]);

#endif

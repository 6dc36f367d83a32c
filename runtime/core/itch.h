/* SPDX-License-Identifier: Apache-2.0
 *
 * Nasdaq TotalView-ITCH 5.0: the 23 message types, from Nasdaq's specification of that name.
 *
 * ITCH_MESSAGES and the ITCH_FIELDS_* lists below are the only place where a length or an offset is written. The hot path reads
 * fields at the enum constants made from them (ITCH_A_price), everything else walks `itch_messages`. */
#ifndef TICKWIRE_ITCH_H
#define TICKWIRE_ITCH_H

#include "wire.h"

#define ITCH_TYPES "SRHYLVWKJhAFECXDUPQBINO"
#define ITCH_MESSAGE_MAX 50 /* the longest, I */

/* M(letter, character, length, title) */
#define ITCH_MESSAGES(M)                                            \
    M(S, 'S', 12, "System Event")                                   \
    M(R, 'R', 39, "Stock Directory")                                \
    M(H, 'H', 25, "Stock Trading Action")                           \
    M(Y, 'Y', 20, "Reg SHO Restriction")                            \
    M(L, 'L', 26, "Market Participant Position")                    \
    M(V, 'V', 35, "MWCB Decline Level")                             \
    M(W, 'W', 12, "MWCB Status")                                    \
    M(K, 'K', 28, "Quoting Period Update")                          \
    M(J, 'J', 35, "LULD Auction Collar")                            \
    M(h, 'h', 21, "Operational Halt")                               \
    M(A, 'A', 36, "Add Order")                                      \
    M(F, 'F', 40, "Add Order with Attribution")                     \
    M(E, 'E', 31, "Order Executed")                                 \
    M(C, 'C', 36, "Order Executed with Price")                      \
    M(X, 'X', 23, "Order Cancel")                                   \
    M(D, 'D', 19, "Order Delete")                                   \
    M(U, 'U', 35, "Order Replace")                                  \
    M(P, 'P', 44, "Trade (non-cross)")                              \
    M(Q, 'Q', 40, "Cross Trade")                                    \
    M(B, 'B', 19, "Broken Trade")                                   \
    M(I, 'I', 50, "Net Order Imbalance Indicator")                  \
    M(N, 'N', 20, "Retail Price Improvement Indicator")             \
    M(O, 'O', 48, "Direct Listing with Capital Raise Price Discovery")

/* F(letter, field, kind, offset, length) */
#define ITCH_FIELDS_HEADER(F, T)        \
    F(T, stock_locate, U16, 1, 2)       \
    F(T, tracking_number, U16, 3, 2)    \
    F(T, timestamp, U48, 5, 6)

#define ITCH_FIELDS_S(F)                \
    ITCH_FIELDS_HEADER(F, S)            \
    F(S, event_code, CHAR, 11, 1)

#define ITCH_FIELDS_R(F)                        \
    ITCH_FIELDS_HEADER(F, R)                    \
    F(R, stock, ALPHA, 11, 8)                   \
    F(R, market_category, CHAR, 19, 1)          \
    F(R, financial_status, CHAR, 20, 1)         \
    F(R, round_lot_size, U32, 21, 4)            \
    F(R, round_lots_only, CHAR, 25, 1)          \
    F(R, issue_classification, CHAR, 26, 1)     \
    F(R, issue_subtype, ALPHA, 27, 2)           \
    F(R, authenticity, CHAR, 29, 1)             \
    F(R, short_sale_threshold, CHAR, 30, 1)     \
    F(R, ipo_flag, CHAR, 31, 1)                 \
    F(R, luld_tier, CHAR, 32, 1)                \
    F(R, etp_flag, CHAR, 33, 1)                 \
    F(R, etp_leverage, U32, 34, 4)              \
    F(R, inverse, CHAR, 38, 1)

#define ITCH_FIELDS_H(F)                \
    ITCH_FIELDS_HEADER(F, H)            \
    F(H, stock, ALPHA, 11, 8)           \
    F(H, trading_state, CHAR, 19, 1)    \
    F(H, reserved, CHAR, 20, 1)         \
    F(H, reason, ALPHA, 21, 4)

#define ITCH_FIELDS_Y(F)                \
    ITCH_FIELDS_HEADER(F, Y)            \
    F(Y, stock, ALPHA, 11, 8)           \
    F(Y, reg_sho_action, CHAR, 19, 1)

#define ITCH_FIELDS_L(F)                        \
    ITCH_FIELDS_HEADER(F, L)                    \
    F(L, mpid, ALPHA, 11, 4)                    \
    F(L, stock, ALPHA, 15, 8)                   \
    F(L, primary_market_maker, CHAR, 23, 1)     \
    F(L, market_maker_mode, CHAR, 24, 1)        \
    F(L, participant_state, CHAR, 25, 1)

#define ITCH_FIELDS_V(F)                \
    ITCH_FIELDS_HEADER(F, V)            \
    F(V, level_1, PRICE8, 11, 8)        \
    F(V, level_2, PRICE8, 19, 8)        \
    F(V, level_3, PRICE8, 27, 8)

#define ITCH_FIELDS_W(F)                \
    ITCH_FIELDS_HEADER(F, W)            \
    F(W, breached_level, CHAR, 11, 1)

#define ITCH_FIELDS_K(F)                \
    ITCH_FIELDS_HEADER(F, K)            \
    F(K, stock, ALPHA, 11, 8)           \
    F(K, release_time, U32, 19, 4)      \
    F(K, release_qualifier, CHAR, 23, 1) \
    F(K, ipo_price, PRICE4, 24, 4)

#define ITCH_FIELDS_J(F)                \
    ITCH_FIELDS_HEADER(F, J)            \
    F(J, stock, ALPHA, 11, 8)           \
    F(J, reference_price, PRICE4, 19, 4) \
    F(J, upper_price, PRICE4, 23, 4)    \
    F(J, lower_price, PRICE4, 27, 4)    \
    F(J, extension, U32, 31, 4)

#define ITCH_FIELDS_h(F)                \
    ITCH_FIELDS_HEADER(F, h)            \
    F(h, stock, ALPHA, 11, 8)           \
    F(h, market_code, CHAR, 19, 1)      \
    F(h, halt_action, CHAR, 20, 1)

#define ITCH_FIELDS_ADD(F, T)           \
    ITCH_FIELDS_HEADER(F, T)            \
    F(T, order_reference, U64, 11, 8)   \
    F(T, side, CHAR, 19, 1)             \
    F(T, shares, U32, 20, 4)            \
    F(T, stock, ALPHA, 24, 8)           \
    F(T, price, PRICE4, 32, 4)

#define ITCH_FIELDS_A(F) ITCH_FIELDS_ADD(F, A)

#define ITCH_FIELDS_F(X) /* not F(letter, ...): the letter is F here */ \
    ITCH_FIELDS_ADD(X, F)                                               \
    X(F, attribution, ALPHA, 36, 4)

#define ITCH_FIELDS_EXECUTED(F, T)      \
    ITCH_FIELDS_HEADER(F, T)            \
    F(T, order_reference, U64, 11, 8)   \
    F(T, executed_shares, U32, 19, 4)   \
    F(T, match_number, U64, 23, 8)

#define ITCH_FIELDS_E(F) ITCH_FIELDS_EXECUTED(F, E)

#define ITCH_FIELDS_C(F)                \
    ITCH_FIELDS_EXECUTED(F, C)          \
    F(C, printable, CHAR, 31, 1)        \
    F(C, execution_price, PRICE4, 32, 4)

#define ITCH_FIELDS_X(F)                \
    ITCH_FIELDS_HEADER(F, X)            \
    F(X, order_reference, U64, 11, 8)   \
    F(X, cancelled_shares, U32, 19, 4)

#define ITCH_FIELDS_D(F)                \
    ITCH_FIELDS_HEADER(F, D)            \
    F(D, order_reference, U64, 11, 8)

#define ITCH_FIELDS_U(F)                \
    ITCH_FIELDS_HEADER(F, U)            \
    F(U, original_reference, U64, 11, 8) \
    F(U, new_reference, U64, 19, 8)     \
    F(U, shares, U32, 27, 4)            \
    F(U, price, PRICE4, 31, 4)

#define ITCH_FIELDS_P(F)                \
    ITCH_FIELDS_ADD(F, P)               \
    F(P, match_number, U64, 36, 8)

#define ITCH_FIELDS_Q(F)                \
    ITCH_FIELDS_HEADER(F, Q)            \
    F(Q, shares, U64, 11, 8)            \
    F(Q, stock, ALPHA, 19, 8)           \
    F(Q, cross_price, PRICE4, 27, 4)    \
    F(Q, match_number, U64, 31, 8)      \
    F(Q, cross_type, CHAR, 39, 1)

#define ITCH_FIELDS_B(F)                \
    ITCH_FIELDS_HEADER(F, B)            \
    F(B, match_number, U64, 11, 8)

#define ITCH_FIELDS_I(F)                \
    ITCH_FIELDS_HEADER(F, I)            \
    F(I, paired_shares, U64, 11, 8)     \
    F(I, imbalance_shares, U64, 19, 8)  \
    F(I, imbalance_direction, CHAR, 27, 1) \
    F(I, stock, ALPHA, 28, 8)           \
    F(I, far_price, PRICE4, 36, 4)      \
    F(I, near_price, PRICE4, 40, 4)     \
    F(I, reference_price, PRICE4, 44, 4) \
    F(I, cross_type, CHAR, 48, 1)       \
    F(I, price_variation, CHAR, 49, 1)

#define ITCH_FIELDS_N(F)                \
    ITCH_FIELDS_HEADER(F, N)            \
    F(N, stock, ALPHA, 11, 8)           \
    F(N, interest_flag, CHAR, 19, 1)

#define ITCH_FIELDS_O(F)                        \
    ITCH_FIELDS_HEADER(F, O)                    \
    F(O, stock, ALPHA, 11, 8)                   \
    F(O, open_eligibility, CHAR, 19, 1)         \
    F(O, minimum_price, PRICE4, 20, 4)          \
    F(O, maximum_price, PRICE4, 24, 4)          \
    F(O, near_execution_price, PRICE4, 28, 4)   \
    F(O, near_execution_time, U64, 32, 8)       \
    F(O, lower_collar, PRICE4, 40, 4)           \
    F(O, upper_collar, PRICE4, 44, 4)

enum itch_offset {
#define ITCH_OFFSET(T, field, kind, offset, length) ITCH_##T##_##field = offset,
#define ITCH_OFFSETS(T, character, length, title) ITCH_FIELDS_##T(ITCH_OFFSET)
    ITCH_MESSAGES(ITCH_OFFSETS)
#undef ITCH_OFFSETS
#undef ITCH_OFFSET
};

#define ITCH_MESSAGE_COUNT 23

extern const struct wire_message itch_messages[ITCH_MESSAGE_COUNT];

/* Bytes of a message by its type byte; 0: no such type. */
extern const uint8_t itch_lengths[256];

#endif

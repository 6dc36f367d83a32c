/* SPDX-License-Identifier: Apache-2.0
 *
 * Nasdaq OUCH 5.0: the messages this runtime speaks, as tables, and the pre-staged Enter Order.
 *
 * An order leaves as one SoupBinTCP packet. Everything that is the same for every order is staged once; `ouch_patch` writes the
 * rest (reference, side, quantity, symbol, price) in place, in about as many stores as there are fields. */
#ifndef TICKWIRE_OUCH_H
#define TICKWIRE_OUCH_H

#include "wire.h"

/* M(name, letter, character, length, tail, title): direction prefix IN (client to exchange) or OUT. Lengths are without the
 * appendage length and the appendage. */
#define OUCH_INBOUND(M) M(IN_O, 'O', 45, REQUIRED, "Enter Order")

#define OUCH_OUTBOUND(M)                            \
    M(OUT_S, 'S', 10, NONE, "System Event")         \
    M(OUT_A, 'A', 62, REQUIRED, "Order Accepted")   \
    M(OUT_J, 'J', 29, OPTIONAL, "Rejected")

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

#define OUCH_FIELDS_OUT_S(F)                    \
    F(OUT_S, timestamp, U64, 1, 8)              \
    F(OUT_S, event_code, CHAR, 9, 1)

#define OUCH_FIELDS_OUT_A(F)                    \
    F(OUT_A, timestamp, U64, 1, 8)              \
    F(OUT_A, user_ref_num, U32, 9, 4)           \
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

#define OUCH_FIELDS_OUT_J(F)                    \
    F(OUT_J, timestamp, U64, 1, 8)              \
    F(OUT_J, user_ref_num, U32, 9, 4)           \
    F(OUT_J, reason, U16, 13, 2)                \
    F(OUT_J, cl_ord_id, ALPHA, 15, 14)

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

#define OUCH_INBOUND_COUNT 1
#define OUCH_OUTBOUND_COUNT 3
extern const struct wire_message ouch_inbound[OUCH_INBOUND_COUNT];
extern const struct wire_message ouch_outbound[OUCH_OUTBOUND_COUNT];

/* Appendage element: length of tag and value, tag, value. */
#define OUCH_TAG_FIRM 2
#define OUCH_FIRM_ELEMENT 6

/* A staged order: SoupBinTCP header (3), Enter Order (45), appendage length (2), firm (6). */
#define OUCH_ORDER_MESSAGE 3
#define OUCH_ORDER_BYTES (OUCH_ORDER_MESSAGE + OUCH_IN_O_length + 2 + OUCH_FIRM_ELEMENT)

struct ouch_order {
    uint8_t bytes[64];
    uint32_t length; /* of the whole SoupBinTCP packet */
};

/* Stage an immediate-or-cancel limit order of principal capacity; `firm` of up to 4 characters, "" leaves the appendage out (the
 * port's default firm). */
void ouch_stage(struct ouch_order *order, const char *firm);

/* side 'B' or 'S'; symbol: 8 bytes as on the feed; price in 1/10000 dollar. The ClOrdID becomes "TW" and the reference in hex. */
void ouch_patch(struct ouch_order *order, uint32_t user_ref_num, uint8_t side, uint32_t quantity, const uint8_t *symbol,
                uint32_t price);

#endif

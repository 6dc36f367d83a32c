/* SPDX-License-Identifier: Apache-2.0 */
#include "ouch.h"

#define FIELD(T, field, kind, offset, length) {#field, WIRE_##kind, offset, length},
#define FIELDS(T, character, length, tail, title) static const struct wire_field fields_##T[] = {OUCH_FIELDS_##T(FIELD)};
OUCH_INBOUND(FIELDS)
OUCH_OUTBOUND(FIELDS)

#define MESSAGE(T, character, length, tail, title) \
    {character, WIRE_TAIL_##tail, sizeof fields_##T / sizeof fields_##T[0], length, title, fields_##T},
const struct wire_message ouch_inbound[OUCH_INBOUND_COUNT] = {OUCH_INBOUND(MESSAGE)};
const struct wire_message ouch_outbound[OUCH_OUTBOUND_COUNT] = {OUCH_OUTBOUND(MESSAGE)};

_Static_assert(OUCH_ORDER_BYTES <= sizeof((struct ouch_order *)0)->bytes, "a staged order fits its buffer");

void ouch_stage(struct ouch_order *order, const char *firm)
{
    memset(order, 0, sizeof *order);
    uint8_t *message = order->bytes + OUCH_ORDER_MESSAGE;
    uint8_t *tail = message + OUCH_IN_O_length;
    message[0] = 'O';
    memset(message + OUCH_IN_O_symbol, ' ', 8);
    message[OUCH_IN_O_side] = 'B';
    message[OUCH_IN_O_time_in_force] = '3'; /* immediate or cancel */
    message[OUCH_IN_O_display] = 'Y';
    message[OUCH_IN_O_capacity] = 'P';
    message[OUCH_IN_O_intermarket_sweep] = 'N';
    message[OUCH_IN_O_cross_type] = 'N'; /* continuous market */
    wire_put_alpha(message + OUCH_IN_O_cl_ord_id, 14, "TW00000000");
    uint32_t appendage = 0;
    if (firm[0] != '\0') {
        appendage = OUCH_FIRM_ELEMENT;
        tail[2] = OUCH_FIRM_ELEMENT - 1;
        tail[3] = OUCH_TAG_FIRM;
        wire_put_alpha(tail + 4, 4, firm);
    }
    put16(tail, (uint16_t)appendage);
    order->length = OUCH_ORDER_MESSAGE + OUCH_IN_O_length + 2 + appendage;
    put16(order->bytes, (uint16_t)(order->length - 2)); /* SoupBinTCP counts the packet type but not the length itself */
    order->bytes[2] = 'U';
}

void ouch_patch(struct ouch_order *order, uint32_t user_ref_num, uint8_t side, uint32_t quantity, const uint8_t *symbol,
                uint32_t price)
{
    static const char hex[16] = "0123456789ABCDEF";
    uint8_t *message = order->bytes + OUCH_ORDER_MESSAGE;
    put32(message + OUCH_IN_O_user_ref_num, user_ref_num);
    message[OUCH_IN_O_side] = side;
    put32(message + OUCH_IN_O_quantity, quantity);
    memcpy(message + OUCH_IN_O_symbol, symbol, 8);
    put64(message + OUCH_IN_O_price, price);
    uint8_t *id = message + OUCH_IN_O_cl_ord_id + 2;
    for (unsigned i = 0; i < 8; i++)
        id[i] = (uint8_t)hex[user_ref_num >> (28 - 4 * i) & 15];
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged requests: templates of both versions, and the stores that make an order of one. */
#include "ouch.h"

#include "strategy.h"

#define MESSAGE 3 /* SoupBinTCP: length (2), type (1) */
#define FIRM_ELEMENT 6

_Static_assert(MESSAGE + OUCH_IN_O_length + 2 + FIRM_ELEMENT <= sizeof((struct ouch_staged *)0)->enter, "Enter Order fits");
_Static_assert(MESSAGE + OUCH_IN_U_length + 2 <= sizeof((struct ouch_staged *)0)->replace, "Replace Order fits");
_Static_assert(MESSAGE + OUCH_IN_X_length + 2 <= sizeof((struct ouch_staged *)0)->cancel, "Cancel Order fits");
_Static_assert(MESSAGE + OUCH42_IN_O_length <= sizeof((struct ouch_staged *)0)->enter, "Enter Order of 4.2 fits");
_Static_assert(MESSAGE + OUCH42_IN_U_length <= sizeof((struct ouch_staged *)0)->replace, "Replace Order of 4.2 fits");
_Static_assert(MESSAGE + OUCH42_IN_X_length <= sizeof((struct ouch_staged *)0)->cancel, "Cancel Order of 4.2 fits");

/* SoupBinTCP's header for a message of `length`; the bytes of the packet. */
static uint32_t wrap(uint8_t *packet, uint32_t length)
{
    put16(packet, (uint16_t)(length + 1)); /* counts the packet type but not the length itself */
    packet[2] = 'U';
    return MESSAGE + length;
}

static void stage50(struct ouch_staged *staged, const char *firm)
{
    uint8_t *message = staged->enter + MESSAGE;
    message[0] = 'O';
    message[OUCH_IN_O_side] = 'B';
    memset(message + OUCH_IN_O_symbol, ' ', 8);
    message[OUCH_IN_O_time_in_force] = TW_DAY;
    message[OUCH_IN_O_display] = 'Y';
    message[OUCH_IN_O_capacity] = 'P';
    message[OUCH_IN_O_intermarket_sweep] = 'N';
    message[OUCH_IN_O_cross_type] = 'N'; /* continuous market */
    ouch42_put_token(message + OUCH_IN_O_cl_ord_id, 0);
    uint32_t appendage = 0;
    uint8_t *tail = message + OUCH_IN_O_length;
    if (firm[0] != '\0') {
        appendage = FIRM_ELEMENT;
        tail[2] = FIRM_ELEMENT - 1;
        tail[3] = OUCH_TAG_firm;
        wire_put_alpha(tail + 4, 4, firm);
    }
    put16(tail, (uint16_t)appendage);
    staged->enter_length = wrap(staged->enter, OUCH_IN_O_length + 2 + appendage);

    message = staged->replace + MESSAGE;
    message[0] = 'U';
    message[OUCH_IN_U_time_in_force] = TW_DAY;
    message[OUCH_IN_U_display] = 'Y';
    message[OUCH_IN_U_intermarket_sweep] = 'N';
    ouch42_put_token(message + OUCH_IN_U_cl_ord_id, 0);
    staged->replace_length = wrap(staged->replace, OUCH_IN_U_length + 2);

    staged->cancel[MESSAGE] = 'X'; /* quantity 0: all that is open */
    staged->cancel_length = wrap(staged->cancel, OUCH_IN_X_length + 2);
}

static void stage42(struct ouch_staged *staged, const char *firm)
{
    uint8_t *message = staged->enter + MESSAGE;
    message[0] = 'O';
    ouch42_put_token(message + OUCH42_IN_O_order_token, 0);
    message[OUCH42_IN_O_side] = 'B';
    memset(message + OUCH42_IN_O_stock, ' ', 8);
    put32(message + OUCH42_IN_O_time_in_force, OUCH42_MARKET_HOURS);
    wire_put_alpha(message + OUCH42_IN_O_firm, 4, firm);
    message[OUCH42_IN_O_display] = 'Y';
    message[OUCH42_IN_O_capacity] = 'P';
    message[OUCH42_IN_O_intermarket_sweep] = 'N';
    message[OUCH42_IN_O_cross_type] = 'N';
    message[OUCH42_IN_O_customer_type] = ' '; /* the port's default */
    staged->enter_length = wrap(staged->enter, OUCH42_IN_O_length);

    message = staged->replace + MESSAGE;
    message[0] = 'U';
    ouch42_put_token(message + OUCH42_IN_U_existing_order_token, 0);
    ouch42_put_token(message + OUCH42_IN_U_order_token, 0);
    put32(message + OUCH42_IN_U_time_in_force, OUCH42_MARKET_HOURS);
    message[OUCH42_IN_U_display] = 'Y';
    message[OUCH42_IN_U_intermarket_sweep] = 'N';
    staged->replace_length = wrap(staged->replace, OUCH42_IN_U_length);

    message = staged->cancel + MESSAGE;
    message[0] = 'X';
    ouch42_put_token(message + OUCH42_IN_X_order_token, 0);
    staged->cancel_length = wrap(staged->cancel, OUCH42_IN_X_length);
}

void ouch_stage(struct ouch_staged *staged, enum ouch_version version, const char *firm)
{
    memset(staged, 0, sizeof *staged);
    staged->version = version;
    if (version == OUCH_42)
        stage42(staged, firm);
    else
        stage50(staged, firm);
}

static inline uint32_t seconds42(uint8_t time_in_force)
{
    return time_in_force == TW_IOC ? OUCH42_IMMEDIATE : OUCH42_MARKET_HOURS;
}

void ouch_prepare(struct ouch_staged *staged, uint32_t reference)
{
    uint8_t *message = staged->enter + MESSAGE;
    staged->prepared = reference;
    if (staged->version == OUCH_42) {
        ouch42_patch_token(message + OUCH42_IN_O_order_token, reference);
    } else {
        put32(message + OUCH_IN_O_user_ref_num, reference);
        ouch42_patch_token(message + OUCH_IN_O_cl_ord_id, reference);
    }
}

uint32_t ouch_enter(struct ouch_staged *staged, uint32_t reference, uint8_t side, uint32_t shares, const uint8_t symbol[8],
                    uint32_t price, uint8_t time_in_force)
{
    uint8_t *message = staged->enter + MESSAGE;
    if (UNLIKELY(staged->prepared != reference))
        ouch_prepare(staged, reference);
    if (staged->version == OUCH_42) {
        message[OUCH42_IN_O_side] = side;
        put32(message + OUCH42_IN_O_shares, shares);
        memcpy(message + OUCH42_IN_O_stock, symbol, 8);
        put32(message + OUCH42_IN_O_price, price);
        put32(message + OUCH42_IN_O_time_in_force, seconds42(time_in_force));
    } else {
        message[OUCH_IN_O_side] = side;
        put32(message + OUCH_IN_O_quantity, shares);
        memcpy(message + OUCH_IN_O_symbol, symbol, 8);
        put64(message + OUCH_IN_O_price, price);
        message[OUCH_IN_O_time_in_force] = time_in_force;
    }
    return staged->enter_length;
}

uint32_t ouch_replace(struct ouch_staged *staged, uint32_t original, uint32_t reference, uint32_t shares, uint32_t price,
                      uint8_t time_in_force)
{
    uint8_t *message = staged->replace + MESSAGE;
    if (staged->version == OUCH_42) {
        ouch42_patch_token(message + OUCH42_IN_U_existing_order_token, original);
        ouch42_patch_token(message + OUCH42_IN_U_order_token, reference);
        put32(message + OUCH42_IN_U_shares, shares);
        put32(message + OUCH42_IN_U_price, price);
        put32(message + OUCH42_IN_U_time_in_force, seconds42(time_in_force));
    } else {
        put32(message + OUCH_IN_U_orig_user_ref_num, original);
        put32(message + OUCH_IN_U_user_ref_num, reference);
        put32(message + OUCH_IN_U_quantity, shares);
        put64(message + OUCH_IN_U_price, price);
        message[OUCH_IN_U_time_in_force] = time_in_force;
        ouch42_patch_token(message + OUCH_IN_U_cl_ord_id, reference);
    }
    return staged->replace_length;
}

uint32_t ouch_cancel(struct ouch_staged *staged, uint32_t reference)
{
    uint8_t *message = staged->cancel + MESSAGE;
    if (staged->version == OUCH_42)
        ouch42_patch_token(message + OUCH42_IN_X_order_token, reference);
    else
        put32(message + OUCH_IN_X_user_ref_num, reference);
    return staged->cancel_length;
}

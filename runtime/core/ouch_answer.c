/* SPDX-License-Identifier: Apache-2.0
 *
 * What the exchange says of orders, from either version's messages into the ledger's form. The table of meanings is in ouch.h. */
#include "ledger.h"
#include "ouch.h"

static bool fits(const uint8_t *message, uint32_t length, uint32_t fixed, enum wire_tail tail)
{
    if (length == fixed)
        return tail != WIRE_TAIL_REQUIRED;
    return tail != WIRE_TAIL_NONE && length >= fixed + 2 && length - fixed - 2 == get16(message + fixed);
}

static bool whole50(const uint8_t *message, uint32_t length)
{
#define CASE(T, character, fixed, tail, title) \
    case character: \
        return fits(message, length, fixed, WIRE_TAIL_##tail);
    switch (message[0]) {
        OUCH_OUTBOUND(CASE)
    default:
        return false;
    }
}

static bool whole42(const uint8_t *message, uint32_t length)
{
    switch (message[0]) {
        OUCH42_OUTBOUND(CASE)
    default:
        return false;
    }
#undef CASE
}

static bool put_price(struct ledger_answer *answer, uint64_t price)
{
    answer->price = (uint32_t)price;
    return price <= UINT32_MAX;
}

/* Who and what the order is for: the ledger may not know it. */
static void put_order(struct ledger_answer *answer, uint8_t side, const uint8_t *symbol)
{
    answer->side = side == 'B' ? 'B' : 'S'; /* the others are kinds of sales */
    memcpy(answer->symbol, symbol, sizeof answer->symbol);
}

static bool answer50(const uint8_t *message, struct ledger_answer *answer)
{
    answer->time_ns = get64(message + OUCH_OUT_A_timestamp);
    answer->reason = message[0];
    switch (message[0]) {
    case 'S': case 'X': case 'G': case 'K': case 'Q':
        return true;
    case 'U':
        answer->kind = TW_REPLACED;
        answer->original = get32(message + OUCH_OUT_U_orig_user_ref_num);
        answer->reference = get32(message + OUCH_OUT_U_user_ref_num);
        answer->shares = message[OUCH_OUT_U_order_state] == 'D' ? 0 : get32(message + OUCH_OUT_U_quantity);
        put_order(answer, message[OUCH_OUT_U_side], message + OUCH_OUT_U_symbol);
        answer->reason = 0;
        return put_price(answer, get64(message + OUCH_OUT_U_price));
    default:
        answer->reference = get32(message + OUCH_OUT_A_user_ref_num); /* the same place in all that follow */
    }
    switch (message[0]) {
    case 'A':
        answer->kind = TW_ACCEPTED;
        answer->shares = message[OUCH_OUT_A_order_state] == 'D' ? 0 : get32(message + OUCH_OUT_A_quantity);
        put_order(answer, message[OUCH_OUT_A_side], message + OUCH_OUT_A_symbol);
        answer->reason = 0;
        return put_price(answer, get64(message + OUCH_OUT_A_price));
    case 'M':
        answer->kind = TW_ACCEPTED;
        answer->shares = get32(message + OUCH_OUT_M_quantity);
        answer->reason = 0;
        return true;
    case 'E':
        answer->kind = TW_EXECUTED;
        answer->shares = get32(message + OUCH_OUT_E_quantity);
        answer->match_number = get64(message + OUCH_OUT_E_match_number);
        answer->reason = 0;
        return put_price(answer, get64(message + OUCH_OUT_E_price));
    case 'C': case 'D': /* decrement and reason are at the same place in both */
        answer->kind = TW_CANCELED;
        answer->shares = get32(message + OUCH_OUT_C_quantity);
        answer->reason = message[OUCH_OUT_C_reason];
        return true;
    case 'B':
        answer->kind = TW_BROKEN;
        answer->match_number = get64(message + OUCH_OUT_B_match_number);
        answer->reason = message[OUCH_OUT_B_reason];
        return true;
    case 'J':
        answer->kind = TW_REJECTED;
        answer->reason = get16(message + OUCH_OUT_J_reason);
        return true;
    case 'T':
        return put_price(answer, get64(message + OUCH_OUT_T_price));
    default: /* P I R */
        return true;
    }
}

static void answer42(const uint8_t *message, struct ledger_answer *answer)
{
    answer->time_ns = get64(message + OUCH42_OUT_A_timestamp);
    answer->reason = message[0];
    if (message[0] == 'S')
        return;
    answer->reference = ouch42_reference(message + OUCH42_OUT_A_order_token); /* the same place in all that follow */
    switch (message[0]) {
    case 'A': case 'U': /* Replaced has what Accepted has where Accepted has it */
        answer->kind = TW_ACCEPTED;
        if (message[0] == 'U') {
            answer->kind = TW_REPLACED;
            answer->original = ouch42_reference(message + OUCH42_OUT_U_previous_order_token);
        }
        answer->shares = message[OUCH42_OUT_A_order_state] == 'D' ? 0 : get32(message + OUCH42_OUT_A_shares);
        put_order(answer, message[OUCH42_OUT_A_side], message + OUCH42_OUT_A_stock);
        answer->price = get32(message + OUCH42_OUT_A_price);
        answer->reason = 0;
        break;
    case 'M':
        answer->kind = TW_ACCEPTED;
        answer->shares = get32(message + OUCH42_OUT_M_shares);
        answer->reason = 0;
        break;
    case 'E': case 'G': case 'F':
        answer->shares = get32(message + OUCH42_OUT_E_executed_shares);
        answer->price = get32(message + OUCH42_OUT_E_execution_price);
        answer->match_number = get64(message + OUCH42_OUT_E_match_number);
        if (message[0] != 'F') {
            answer->kind = TW_EXECUTED;
            answer->reason = 0;
        }
        break;
    case 'C': case 'D':
        answer->kind = TW_CANCELED;
        answer->shares = get32(message + OUCH42_OUT_C_decrement_shares);
        answer->reason = message[OUCH42_OUT_C_reason];
        break;
    case 'B':
        answer->kind = TW_BROKEN;
        answer->match_number = get64(message + OUCH42_OUT_B_match_number);
        answer->reason = message[OUCH42_OUT_B_reason];
        break;
    case 'J':
        answer->kind = TW_REJECTED;
        answer->reason = message[OUCH42_OUT_J_reason];
        break;
    case 'T':
        answer->price = get32(message + OUCH42_OUT_T_price);
        break;
    default: /* P I */
        break;
    }
}

bool ouch_answer(enum ouch_version version, const uint8_t *message, uint32_t length, struct ledger_answer *answer)
{
    *answer = (struct ledger_answer){0};
    if (length == 0 || !(version == OUCH_42 ? whole42(message, length) : whole50(message, length)))
        return false;
    if (version == OUCH_42) {
        answer42(message, answer);
        return true;
    }
    return answer50(message, answer);
}

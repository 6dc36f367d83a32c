/* SPDX-License-Identifier: Apache-2.0
 *
 * Reasons of Rejected and Canceled in words, for logs. Codes are from the specifications ouch.h and ouch42.h name; the words are
 * ours. */
#include "ouch.h"

static const char unknown[] = "unknown reason";

static const char *const rejects50[] = {
    [0x01] = "quote unavailable",
    [0x02] = "destination closed",
    [0x03] = "invalid display",
    [0x04] = "invalid max floor",
    [0x05] = "invalid peg type",
    [0x06] = "fat finger",
    [0x07] = "halted",
    [0x08] = "intermarket sweep not allowed",
    [0x09] = "invalid side",
    [0x0A] = "processing error",
    [0x0B] = "cancel pending",
    [0x0C] = "firm not authorized",
    [0x0D] = "invalid minimum quantity",
    [0x0E] = "no closing reference price",
    [0x0F] = "other",
    [0x10] = "cancel not allowed",
    [0x11] = "pegging not allowed",
    [0x12] = "crossed market",
    [0x13] = "invalid quantity",
    [0x14] = "invalid cross order",
    [0x15] = "replace not allowed",
    [0x16] = "routing not allowed",
    [0x17] = "invalid symbol",
    [0x18] = "test mode",
    [0x19] = "late limit-on-close order too aggressive",
    [0x1A] = "retail order not allowed",
    [0x1B] = "invalid price of a midpoint post-only order",
    [0x1C] = "invalid destination",
    [0x1D] = "invalid price",
    [0x1E] = "shares exceed the threshold",
    [0x1F] = "notional value exceeds the maximum",
    [0x20] = "risk: aggregate exposure exceeded",
    [0x21] = "risk: market impact",
    [0x22] = "risk: restricted stock",
    [0x23] = "risk: short sale restricted",
    [0x24] = "risk: intermarket sweep not allowed",
    [0x25] = "risk: average daily volume limit exceeded",
    [0x26] = "risk: fat finger",
    [0x27] = "risk: locate required",
    [0x28] = "risk: message rate of the symbol",
    [0x29] = "risk: message rate of the port",
    [0x2A] = "risk: rate of duplicate messages",
    [0x2B] = "risk: short sale not allowed",
    [0x2C] = "risk: market order not allowed",
    [0x2D] = "risk: pre-market order not allowed",
    [0x2E] = "risk: post-market order not allowed",
    [0x2F] = "risk: short sale exempt not allowed",
    [0x30] = "risk: notional value of the order exceeded",
    [0x31] = "risk: maximum quantity exceeded",
    [0x32] = "state of Regulation SHO not available",
    [0x33] = "risk: market buy in an IPO not allowed",
    [0x40] = "invalid self-match prevention",
};

static const char *const rejects42[128] = {
    ['C'] = "the market is closed",
    ['D'] = "invalid display",
    ['H'] = "halted",
    ['L'] = "firm not authorized for the clearing type",
    ['M'] = "outside the times permitted for the clearing type",
    ['N'] = "invalid minimum quantity",
    ['O'] = "other",
    ['R'] = "not allowed in this cross",
    ['S'] = "invalid stock",
    ['T'] = "test mode",
    ['V'] = "retail order not allowed",
    ['W'] = "invalid price of a midpoint post-only order",
    ['X'] = "invalid price",
    ['Z'] = "shares exceed the threshold",
    ['a'] = "risk: restricted stock",
    ['b'] = "risk: short sale restricted",
    ['c'] = "risk: order type restricted",
    ['d'] = "risk: average daily volume limit exceeded",
    ['e'] = "risk: fat finger",
    ['m'] = "risk: maximum quantity exceeded",
    ['n'] = "risk: maximum notional value exceeded",
    ['o'] = "no reference price for a late limit-on-open or limit-on-close order",
    ['q'] = "midpoint peg in a crossed market",
    ['r'] = "risk: market impact",
    ['u'] = "late limit-on-open or limit-on-close order too aggressive",
    ['v'] = "risk: aggregate exposure exceeded",
    ['w'] = "risk: message rate of the symbol",
    ['x'] = "risk: message rate of the port",
    ['y'] = "risk: rate of duplicate messages",
};

static const char *const cancels[128] = {
    ['C'] = "cross canceled",
    ['D'] = "regulatory restriction",
    ['E'] = "closed",
    ['F'] = "post-only order would have been repriced for the national best quote",
    ['G'] = "post-only order would have been repriced for a displayed order",
    ['H'] = "halted",
    ['I'] = "immediate or cancel",
    ['K'] = "market collar",
    ['Q'] = "self-match prevention",
    ['S'] = "supervisory",
    ['T'] = "time in force is over",
    ['U'] = "requested",
    ['X'] = "open protection",
    ['Z'] = "canceled by the system",
    ['e'] = "exceeds the shares offered in a direct listing",
};

static const char *find(const char *const *texts, size_t count, uint16_t reason)
{
    return reason < count && texts[reason] != NULL ? texts[reason] : unknown;
}

const char *ouch_reject_text(enum ouch_version version, uint16_t reason)
{
    if (version == OUCH_42)
        return find(rejects42, sizeof rejects42 / sizeof rejects42[0], reason);
    return find(rejects50, sizeof rejects50 / sizeof rejects50[0], reason);
}

const char *ouch_cancel_text(uint16_t reason)
{
    return find(cancels, sizeof cancels / sizeof cancels[0], reason);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "ouch.h"

int main(void)
{
    struct ouch_order order;
    ouch_stage(&order, "TICK");
    CHECK(order.length == OUCH_ORDER_BYTES && order.length == 56);
    ouch_patch(&order, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567);
    static const char expected[] = "\0\66UO\xDE\xAD\xBE\xEFS\0\0\1\54ABCD    \0\0\0\0\0\22\326\2073YPNN"
                                   "TWDEADBEEF    \0\6\5\2TICK";
    CHECK(sizeof expected - 1 == 56 && memcmp(order.bytes, expected, 56) == 0);
    struct ouch_order again = order;
    ouch_patch(&again, 0, 'B', 0, (const uint8_t *)"        ", 0);
    ouch_patch(&again, 0xDEADBEEF, 'S', 300, (const uint8_t *)"ABCD    ", 1234567);
    CHECK(memcmp(&again, &order, sizeof order) == 0);
    ouch_stage(&order, "");
    CHECK(order.length == 50 && get16(order.bytes) == 48 && get16(order.bytes + 48) == 0);
    ouch_stage(&order, "AB");
    CHECK(memcmp(order.bytes + 52, "AB  ", 4) == 0);
    return DONE();
}

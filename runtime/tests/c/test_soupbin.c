/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "soupbin.h"

static void packets_come_in_any_pieces(void)
{
    static const uint8_t stream[] = {0, 1, 'H', 0, 4, 'S', 'a', 'b', 'c', 0, 1, 'Z'};
    for (uint32_t have = 0; have <= sizeof stream; have++) {
        uint8_t *exact = exactly(stream, have);
        struct soup_packet packet;
        uint32_t at = 0;
        int32_t took;
        unsigned seen = 0;
        while ((took = soup_next(exact + at, have - at, &packet)) > 0) {
            at += (uint32_t)took;
            CHECK(packet.type == (uint8_t) "HSZ"[seen++]);
            CHECK(packet.length == (packet.type == 'S' ? 3 : 0));
        }
        CHECK(took == 0);
        CHECK(seen == (have < 3 ? 0 : have < 9 ? 1 : have < 12 ? 2 : 3));
        free(exact);
    }
}

static void a_packet_without_type_is_damaged(void)
{
    static const uint8_t stream[] = {0, 0, 'H'};
    struct soup_packet packet;
    CHECK(soup_next(stream, sizeof stream, &packet) == -1);
}

static void login(void)
{
    uint8_t out[SOUP_LOGIN_BYTES];
    CHECK(soup_login(out, "TRADE1", "pass", "", 1) == 49);
    CHECK(memcmp(out, "\0\57L" "TRADE1" "pass      " "          " "                   1", 49) == 0);
    soup_login(out, "U", "0123456789", "S", UINT64_MAX);
    CHECK(memcmp(out + 3, "U     0123456789S         18446744073709551615", 46) == 0);
}

static void accepted(void)
{
    char session[SOUP_SESSION + 1];
    uint64_t sequence;
    const uint8_t *text = (const uint8_t *)" SESSION 1                  42";
    struct soup_packet packet = {'A', text, 30};
    CHECK(soup_accepted(&packet, session, &sequence) && strcmp(session, "SESSION 1") == 0 && sequence == 42);
    packet.payload = (const uint8_t *)"S1        42                  ";
    CHECK(soup_accepted(&packet, session, &sequence) && strcmp(session, "S1") == 0 && sequence == 42);
    packet.payload = (const uint8_t *)"                              ";
    CHECK(!soup_accepted(&packet, session, &sequence));
    packet.payload = (const uint8_t *)"S1        4x                  ";
    CHECK(!soup_accepted(&packet, session, &sequence));
    packet.payload = (const uint8_t *)"S1        99999999999999999999";
    CHECK(!soup_accepted(&packet, session, &sequence));
    packet.length = 29;
    CHECK(!soup_accepted(&packet, session, &sequence));
}

int main(void)
{
    packets_come_in_any_pieces();
    a_packet_without_type_is_damaged();
    login();
    accepted();
    return DONE();
}

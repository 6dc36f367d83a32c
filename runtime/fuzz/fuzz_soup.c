/* SPDX-License-Identifier: Apache-2.0
 *
 * A SoupBinTCP stream: read in one piece, and cut in two at every place, it gives the same packets. */
#include "fuzz.h"
#include "soupbin.h"

#define CUT_MAX 400 /* longer streams are cut at some places only: the work grows with the square */

struct tally {
    uint32_t packets, bytes;
    uint64_t digest; /* of types, lengths and payloads */
    bool damaged;
};

static void note(struct tally *tally, const struct soup_packet *packet, int32_t took)
{
    MUST(took == (int32_t)packet->length + 3);
    uint64_t digest = tally->digest ^ packet->type;
    for (uint32_t i = 0; i < packet->length; i++)
        digest = (digest ^ packet->payload[i]) * 0x100000001B3;
    tally->digest = digest * 31 + packet->length;
    tally->packets++;
    tally->bytes += (uint32_t)took;
    char session[SOUP_SESSION + 1];
    uint64_t sequence;
    if (soup_accepted(packet, session, &sequence)) {
        MUST(packet->type == SOUP_LOGIN_ACCEPTED && packet->length == SOUP_SESSION + SOUP_SEQUENCE);
        MUST(strlen(session) <= SOUP_SESSION);
        uint8_t login[SOUP_LOGIN_BYTES];
        struct soup_packet again = {.type = SOUP_LOGIN_ACCEPTED, .length = SOUP_SESSION + SOUP_SEQUENCE};
        char name[SOUP_SESSION + 1];
        uint64_t number;
        MUST(soup_login(login, "user", "password", session, sequence) == SOUP_LOGIN_BYTES);
        again.payload = login + 3 + SOUP_USERNAME + SOUP_PASSWORD;
        MUST(soup_accepted(&again, name, &number) && number == sequence && strcmp(name, session) == 0);
    }
}

/* All packets of `size` bytes, from `tally->bytes` on. */
static void read_all(struct tally *tally, const uint8_t *bytes, uint32_t size)
{
    while (!tally->damaged) {
        uint8_t *rest = exactly(bytes + tally->bytes, size - tally->bytes);
        struct soup_packet packet;
        int32_t took = soup_next(rest, size - tally->bytes, &packet);
        if (took > 0)
            note(tally, &packet, took);
        free(rest);
        MUST(tally->bytes <= size);
        tally->damaged = took < 0;
        if (took == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > SOUP_PACKET_MAX)
        size = SOUP_PACKET_MAX;
    struct tally whole = {0};
    read_all(&whole, bytes, (uint32_t)size);
    uint32_t step = 1 + (uint32_t)size / CUT_MAX;
    for (uint32_t cut = 0; cut < size; cut += step) {
        struct tally cut_one = {0};
        read_all(&cut_one, bytes, cut);
        read_all(&cut_one, bytes, (uint32_t)size);
        MUST(cut_one.packets == whole.packets && cut_one.bytes == whole.bytes && cut_one.digest == whole.digest);
        MUST(cut_one.damaged == whole.damaged);
    }
    return 0;
}

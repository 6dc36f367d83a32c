/* SPDX-License-Identifier: Apache-2.0 */
#include "icrc.h"

enum { ICRC = 4, HEADERS_MAX = 60 + 8 + 12, UDP_HEADER = 8, BTH = 12 };

void icrc_start(struct icrc_tables *tables)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        tables->of[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int k = 1; k < 8; k++)
            tables->of[k][byte] = tables->of[k - 1][byte] >> 8 ^ tables->of[0][tables->of[k - 1][byte] & 0xFF];
}

static uint32_t crc_over(const struct icrc_tables *t, uint32_t crc, const uint8_t *at, uint64_t length)
{
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word ^= crc;
        crc = t->of[7][word & 0xFF] ^ t->of[6][word >> 8 & 0xFF] ^ t->of[5][word >> 16 & 0xFF] ^ t->of[4][word >> 24 & 0xFF] ^
              t->of[3][word >> 32 & 0xFF] ^ t->of[2][word >> 40 & 0xFF] ^ t->of[1][word >> 48 & 0xFF] ^ t->of[0][word >> 56];
    }
    for (; length > 0; at++, length--)
        crc = crc >> 8 ^ t->of[0][(crc ^ *at) & 0xFF];
    return crc;
}

bool icrc_holds(const struct icrc_tables *tables, const struct roce_packet *p)
{
    static const uint8_t ones[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint8_t headers[HEADERS_MAX];
    uint32_t network = (uint32_t)(p->bth - p->ip) - UDP_HEADER, plain = 0;
    if (p->ipv6) { /* extension headers, which nothing masks, come between */
        plain = network - 40;
        network = 40;
    }
    memcpy(headers, p->ip, network);
    if (p->ipv6) {
        headers[0] |= 0x0F;
        memset(headers + 1, 0xFF, 3); /* traffic class and flow label */
        headers[7] = 0xFF;            /* hop limit */
    } else {
        headers[1] = headers[8] = 0xFF; /* type of service, time to live */
        memset(headers + 10, 0xFF, 2);  /* checksum */
    }
    uint32_t crc = crc_over(tables, 0xFFFFFFFFu, ones, sizeof ones);
    crc = crc_over(tables, crc, headers, network);
    crc = crc_over(tables, crc, p->ip + network, plain);
    memcpy(headers, p->bth - UDP_HEADER, UDP_HEADER + BTH);
    memset(headers + 6, 0xFF, 2);          /* checksum */
    headers[UDP_HEADER + 4] = 0xFF;        /* congestion marks and what is reserved beside them */
    crc = crc_over(tables, crc, headers, UDP_HEADER + BTH);
    crc = ~crc_over(tables, crc, p->bth + BTH, (uint64_t)(p->end - p->bth) - BTH - ICRC);
    uint32_t said;
    memcpy(&said, p->end - ICRC, sizeof said);
    return said == crc;
}

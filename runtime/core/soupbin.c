/* SPDX-License-Identifier: Apache-2.0 */
#include "soupbin.h"

int32_t soup_next(const uint8_t *bytes, uint32_t available, struct soup_packet *packet)
{
    if (available < 2)
        return 0;
    uint32_t length = get16(bytes);
    if (length == 0)
        return -1;
    if (available < 2 + length)
        return 0;
    *packet = (struct soup_packet){.type = bytes[2], .payload = bytes + 3, .length = length - 1};
    return (int32_t)(2 + length);
}

uint32_t soup_login(uint8_t *out, const char *username, const char *password, const char *session, uint64_t sequence)
{
    put16(out, SOUP_LOGIN_BYTES - 2);
    out[2] = SOUP_LOGIN_REQUEST;
    uint8_t *field = out + 3;
    wire_put_alpha(field, SOUP_USERNAME, username);
    wire_put_alpha(field += SOUP_USERNAME, SOUP_PASSWORD, password);
    wire_put_alpha(field += SOUP_PASSWORD, SOUP_SESSION, session);
    field += SOUP_SESSION;
    memset(field, ' ', SOUP_SEQUENCE); /* numbers are right-justified, text is left-justified */
    unsigned at = SOUP_SEQUENCE;
    do {
        field[--at] = (uint8_t)('0' + sequence % 10);
        sequence /= 10;
    } while (sequence > 0 && at > 0);
    return SOUP_LOGIN_BYTES;
}

uint32_t soup_empty(uint8_t *out, enum soup_type type)
{
    put16(out, 1);
    out[2] = (uint8_t)type;
    return 3;
}

bool soup_accepted(const struct soup_packet *packet, char session[SOUP_SESSION + 1], uint64_t *sequence)
{
    if (packet->type != SOUP_LOGIN_ACCEPTED || packet->length != SOUP_SESSION + SOUP_SEQUENCE)
        return false;
    unsigned from = 0, to = SOUP_SESSION; /* padded on the left by some, on the right by others */
    while (from < to && packet->payload[from] == ' ')
        from++;
    while (to > from && packet->payload[to - 1] == ' ')
        to--;
    memcpy(session, packet->payload + from, to - from);
    session[to - from] = '\0';
    uint64_t value = 0;
    bool any = false;
    for (unsigned i = SOUP_SESSION; i < packet->length; i++) {
        uint8_t c = packet->payload[i];
        if (c == ' ')
            continue;
        if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (c - '0');
        any = true;
    }
    *sequence = value;
    return any;
}

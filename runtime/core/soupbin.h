/* SPDX-License-Identifier: Apache-2.0
 *
 * SoupBinTCP 3.00/4.00 packets: a length (2, big-endian, counts what follows), a type (1), a payload. */
#ifndef TICKWIRE_SOUPBIN_H
#define TICKWIRE_SOUPBIN_H

#include "wire.h"

#define SOUP_USERNAME 6
#define SOUP_PASSWORD 10
#define SOUP_SESSION 10
#define SOUP_SEQUENCE 20
#define SOUP_PACKET_MAX (2 + 65535)
#define SOUP_LOGIN_BYTES (3 + SOUP_USERNAME + SOUP_PASSWORD + SOUP_SESSION + SOUP_SEQUENCE)
#define SOUP_SILENCE_S 15 /* a peer silent for that long is gone */

enum soup_type {
    SOUP_DEBUG = '+',
    SOUP_LOGIN_REQUEST = 'L',
    SOUP_LOGIN_ACCEPTED = 'A',
    SOUP_LOGIN_REJECTED = 'J',
    SOUP_SEQUENCED = 'S',
    SOUP_UNSEQUENCED = 'U',
    SOUP_SERVER_HEARTBEAT = 'H',
    SOUP_CLIENT_HEARTBEAT = 'R',
    SOUP_LOGOUT_REQUEST = 'O',
    SOUP_END_OF_SESSION = 'Z',
};

struct soup_packet {
    uint8_t type;
    const uint8_t *payload;
    uint32_t length; /* of the payload */
};

/* The packet at the front of a byte stream. Returns the bytes it takes, 0 when it is not all there yet, -1 when it is damaged (a
 * length of zero has no type). */
int32_t soup_next(const uint8_t *bytes, uint32_t available, struct soup_packet *packet);

/* Login request; returns SOUP_LOGIN_BYTES. A blank session asks for the one that is running. */
uint32_t soup_login(uint8_t *out, const char *username, const char *password, const char *session, uint64_t sequence);

/* A packet without payload; returns its 3 bytes' length. */
uint32_t soup_empty(uint8_t *out, enum soup_type type);

/* Session (without its padding, terminated) and sequence of a login-accepted payload; false when damaged. */
bool soup_accepted(const struct soup_packet *packet, char session[SOUP_SESSION + 1], uint64_t *sequence);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The checksums of a UDP datagram over IPv4 (RFC 1071, RFC 768), for frames that no kernel has looked at. NICs compute them, yet what
 * a NIC found is told to the kernel and not to AF_XDP, and it passes frames on whose checksum is wrong.
 *
 * A datagram that never was on a wire (from this machine, or from a virtual machine's neighbour) carries the sum of the pseudo-header
 * only, for a NIC to complete that never came (the kernel's CHECKSUM_PARTIAL); the kernel takes it, and so does this. */
#ifndef TICKWIRE_TRANSPORT_CHECKSUM_H
#define TICKWIRE_TRANSPORT_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Add `bytes` to a running sum in the byte order they are in, which a sum of ones' complements does not mind. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *at, uint32_t bytes)
{
    uint64_t word = 0;
    for (; bytes >= sizeof word; at += sizeof word, bytes -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += word;
        sum += sum < word; /* the carry comes back in */
    }
    if (bytes > 0) {
        word = 0;
        memcpy(&word, at, bytes);
        sum += word;
        sum += sum < word;
    }
    return sum;
}

static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)sum;
}

/* `ip`: a header without options, UDP's behind it. `udp_bytes`: UDP's length, header included. */
static inline bool checksum_good(const uint8_t *ip, uint32_t udp_bytes)
{
    const uint8_t *udp = ip + 20;
    uint8_t protocol[2] = {0, 17};
    uint16_t given;
    if (checksum_fold(checksum_add(0, ip, 20)) != 0xFFFF)
        return false;
    memcpy(&given, udp + 6, sizeof given);
    if (given == 0)
        return true; /* the sender made none */
    uint64_t pseudo = checksum_add(0, ip + 12, 8); /* both addresses, the protocol, the length */
    pseudo = checksum_add(pseudo, protocol, sizeof protocol);
    pseudo = checksum_add(pseudo, udp + 4, 2);
    return checksum_fold(checksum_add(pseudo, udp, udp_bytes)) == 0xFFFF || checksum_fold(pseudo) == given;
}

#endif

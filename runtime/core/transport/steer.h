/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * Which frames are market data. One text for two readers: the XDP program (bpf/steer.bpf.c) decides by it what goes to the AF_XDP
 * sockets, and the engine finds by it, in the frames it got, the line they came on and where the datagram begins.
 *
 * What matches is what the kernel would give to a socket of the line, as far as that can be seen without state: Ethernet, at most
 * one VLAN tag and that for VLAN 0 (a priority tag; a tagged VLAN is an interface of its own), IPv4 without options, not a
 * fragment, UDP to a line's group and port, from its source where it has one, and all of the datagram in the frame. Everything
 * else is the kernel's. Checksums are not looked at here, see checksum.h.
 *
 * The verifier of the kernel reads this too, and without CAP_PERFMON it wants it plain: every access follows a comparison with `end`,
 * nothing of the frame is added to a pointer, pointers are not subtracted, and there is no loop over the lines. Hence `bytes`, the length of the frame as a number. */
#ifndef TICKWIRE_TRANSPORT_STEER_H
#define TICKWIRE_TRANSPORT_STEER_H

#include <linux/types.h>

#define STEER_LINES 2u
#define STEER_QUEUES 64u  /* receive queues of an interface */
#define STEER_BYTES 1792u /* longest frame that is steered: a UMEM frame of 2,048 bytes less the kernel's headroom of 256 */

/* Right before a frame: what the XDP program knows of when it came, in ns; 0: it does not know. */
struct steer_stamps {
    __u64 card; /* the card's PTP hardware clock, as its driver tells */
    __u64 tai;  /* when the program saw the frame, CLOCK_TAI */
};

/* As on the wire, so that nothing is turned round for a comparison. */
struct steer_line {
    __u32 group;  /* 0: there is no such line */
    __u32 source; /* 0: any */
    __u16 port;
    __u16 zero;
};

struct steer_found {
    const __u8 *ip; /* its header; UDP's follows after STEER_IP bytes */
    __u32 line;
    __u32 udp_bytes; /* header included */
};

#define STEER_ETHERNET 14u
#define STEER_TAG 4u
#define STEER_IP 20u
#define STEER_UDP 8u

static inline __attribute__((always_inline)) __u32 steer_16(const __u8 *at)
{
    return (__u32)at[0] << 8 | at[1];
}

static inline __attribute__((always_inline)) __u32 steer_32(const __u8 *at)
{
    __u32 word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

static inline __attribute__((always_inline)) int steer_is(const volatile struct steer_line *line, __u32 group, __u32 source, __u16 port)
{
    return line->group == group && line->port == port && (line->source == 0 || line->source == source);
}

/* 1 and `found` when the frame is of one of the lines, else 0. */
static inline __attribute__((always_inline)) int steer_match(const volatile struct steer_line *lines, const __u8 *frame, const __u8 *end,
                                                             __u64 bytes, struct steer_found *found)
{
    const __u8 *ip = frame + STEER_ETHERNET;
    __u32 before_ip = STEER_ETHERNET;
    if (ip + STEER_IP + STEER_UDP > end)
        return 0;
    __u32 type = steer_16(ip - 2);
    if (type == 0x8100) {
        if ((steer_16(ip) & 0x0FFF) != 0 || ip + STEER_TAG + STEER_IP + STEER_UDP > end)
            return 0;
        ip += STEER_TAG;
        before_ip += STEER_TAG;
        type = steer_16(ip - 2);
    }
    /* Version 4 and no options; neither "more fragments" nor an offset; UDP. */
    if (type != 0x0800 || ip[0] != 0x45 || (ip[6] & 0x3F) != 0 || ip[7] != 0 || ip[9] != 17)
        return 0;
    const __u8 *udp = ip + STEER_IP;
    __u32 total = steer_16(ip + 2), udp_bytes = steer_16(udp + 4);
    if (udp_bytes < STEER_UDP || STEER_IP + udp_bytes > total || before_ip + total > bytes)
        return 0;
    __u16 port;
    __builtin_memcpy(&port, udp + 2, sizeof port);
    __u32 group = steer_32(ip + 16), source = steer_32(ip + 12);
    __u32 line = STEER_LINES;
    if (steer_is(&lines[0], group, source, port))
        line = 0;
    else if (steer_is(&lines[1], group, source, port))
        line = 1;
    if (group == 0 || line == STEER_LINES)
        return 0;
    *found = (struct steer_found){ip, line, udp_bytes};
    return 1;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One captured frame as a RoCEv2 packet: link layer, VLAN tags, IP, UDP port 4791, base transport header (BTH) and the headers its
 * opcode says follow, as in the InfiniBand Architecture Specification, volume 1, chapter 9 and annex A17 (RoCEv2). MAC control
 * frames that pause a port (IEEE 802.3 annex 31B) or a priority of it (802.1Qbb) are found as well.
 *
 * Lengths are those the IP and UDP headers give, so a capture that keeps only the first bytes of each packet counts the same bytes
 * as a full one; only what the headers say is needed, never the data. */
#ifndef TICKWIRE_RDMA_PACKET_H
#define TICKWIRE_RDMA_PACKET_H

#include "capture.h"

#define ROCE_UDP_PORT 4791
#define ROCE_PSN_MASK 0xFFFFFFu
#define ROCE_NO_PRIORITY 0xFF
#define ROCE_PRIORITIES 8
#define ROCE_OPCODE_CNP 0x81

enum packet_kind {
    PACKET_ROCE,
    PACKET_PAUSE,
    PACKET_OTHER,        /* something else, which is no error */
    PACKET_CUT,          /* RoCE, but the capture ends within the headers */
    PACKET_MALFORMED,    /* RoCE whose lengths disagree, or of an opcode nobody has defined */
    PACKET_FRAGMENT,     /* a later fragment of an IP packet */
    PACKET_LINK_UNKNOWN, /* a link type that is not read */
    PACKET_KINDS,
};

enum roce_service { SERVICE_RC, SERVICE_UC, SERVICE_RD, SERVICE_UD, SERVICE_CNP, SERVICE_XRC };

/* The five low bits of an opcode. */
enum roce_operation {
    SEND_FIRST = 0x00, SEND_MIDDLE, SEND_LAST, SEND_LAST_IMMEDIATE, SEND_ONLY, SEND_ONLY_IMMEDIATE,
    WRITE_FIRST = 0x06, WRITE_MIDDLE, WRITE_LAST, WRITE_LAST_IMMEDIATE, WRITE_ONLY, WRITE_ONLY_IMMEDIATE,
    READ_REQUEST = 0x0C, READ_RESPONSE_FIRST, READ_RESPONSE_MIDDLE, READ_RESPONSE_LAST, READ_RESPONSE_ONLY,
    ACKNOWLEDGE = 0x11, ATOMIC_ACKNOWLEDGE, COMPARE_SWAP, FETCH_ADD,
    SEND_LAST_INVALIDATE = 0x16, SEND_ONLY_INVALIDATE,
};

/* What an acknowledgement says. */
enum roce_syndrome { SYNDROME_ACK, SYNDROME_NOT_READY, SYNDROME_RESERVED, SYNDROME_NAK };

/* What the headers and the place of an operation in its message are. */
enum roce_trait {
    HAS_RETH = 1 << 0,
    HAS_AETH = 1 << 1,
    HAS_IMMEDIATE = 1 << 2,
    HAS_ATOMIC = 1 << 3,     /* AtomicETH */
    HAS_ATOMIC_ACK = 1 << 4, /* AtomicAckETH */
    HAS_INVALIDATE = 1 << 5, /* IETH */
    HAS_DETH = 1 << 6,
    HAS_XRCETH = 1 << 7,
    IS_REQUEST = 1 << 8,
    IS_RESPONSE = 1 << 9,
    BEGINS = 1 << 10, /* a message, or the responses of a read */
    ENDS = 1 << 11,
    IS_KNOWN = 1 << 12,
};

/* IPv4 addresses as ::ffff:a.b.c.d, in network byte order. */
struct address {
    uint64_t high, low;
};

struct roce_packet {
    uint64_t time_ns;
    uint32_t wire_length;
    struct address source, destination;
    uint16_t source_port;
    uint16_t ip_id;         /* 0 with IPv6 */
    uint8_t dscp, ecn;      /* ecn 3: congestion experienced */
    uint8_t priority;       /* of the outermost VLAN tag; ROCE_NO_PRIORITY without one */
    uint8_t link_direction; /* packet type of a Linux cooked capture and 1; 0: not told */
    uint8_t opcode, service, operation;
    uint8_t syndrome; /* of the AETH; 0 without one */
    uint16_t traits;
    uint16_t partition;
    bool ack_request, becn;
    uint32_t destination_qp, psn;
    uint32_t source_qp;  /* of the DETH */
    uint32_t dma_length; /* of the RETH */
    uint32_t sequence;   /* MSN of the AETH */
    uint32_t payload_length;
    const uint8_t *payload;
    const uint8_t *ip; /* from here to `end` the capture has it */
    const uint8_t *bth;
    const uint8_t *end;
    bool whole; /* the capture has all of it, invariant CRC included */
    bool ipv6;
};

struct pause_frame {
    uint64_t time_ns;
    uint8_t source[6];
    bool whole_port;                   /* 802.3 PAUSE, not a PFC frame */
    uint8_t enabled;                   /* bit n: priority n has a quantum; all of them with PAUSE */
    uint16_t quanta[ROCE_PRIORITIES];  /* of 512 bit times; 0 lets it go on */
};

struct packet {
    struct roce_packet roce;
    struct pause_frame pause;
};

extern const uint16_t roce_traits[32];

/* Signed way from one packet sequence number to another, around the wrap at 2^24. */
static inline int32_t psn_distance(uint32_t from, uint32_t to)
{
    return (int32_t)((to - from) << 8) >> 8;
}

static inline uint32_t psn_plus(uint32_t psn, int32_t step)
{
    return (psn + (uint32_t)step) & ROCE_PSN_MASK;
}

/* Two bits; the one above them is reserved. */
static inline enum roce_syndrome roce_syndrome(uint8_t syndrome)
{
    return (enum roce_syndrome)(syndrome >> 5 & 3);
}

static inline bool address_equal(struct address a, struct address b)
{
    return a.high == b.high && a.low == b.low;
}

enum packet_kind packet_read(const struct capture_record *record, struct packet *packet);

#endif

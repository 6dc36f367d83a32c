/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

enum {
    LINK_ETHERNET = 1,
    LINK_RAW = 101,
    LINK_COOKED = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_COOKED_2 = 276,
    TYPE_IPV4 = 0x0800,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86DD,
    TYPE_MAC_CONTROL = 0x8808,
    TYPE_QINQ = 0x88A8,
    TYPE_QINQ_OLD = 0x9100,
    CONTROL_PAUSE = 0x0001,
    CONTROL_PFC = 0x0101,
    MAC_ADDRESSES = 12,
    TAGS_MAX = 4,
    PROTOCOL_UDP = 17,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    IPV6_EXTENSIONS_MAX = 8,
    UDP_HEADER = 8,
    BTH = 12,
    ICRC = 4,
};

#define REQUEST (IS_KNOWN | IS_REQUEST)
#define RESPONSE (IS_KNOWN | IS_RESPONSE)

const uint16_t roce_traits[32] = {
    [SEND_FIRST] = REQUEST | BEGINS,
    [SEND_MIDDLE] = REQUEST,
    [SEND_LAST] = REQUEST | ENDS,
    [SEND_LAST_IMMEDIATE] = REQUEST | ENDS | HAS_IMMEDIATE,
    [SEND_ONLY] = REQUEST | BEGINS | ENDS,
    [SEND_ONLY_IMMEDIATE] = REQUEST | BEGINS | ENDS | HAS_IMMEDIATE,
    [WRITE_FIRST] = REQUEST | BEGINS | HAS_RETH,
    [WRITE_MIDDLE] = REQUEST,
    [WRITE_LAST] = REQUEST | ENDS,
    [WRITE_LAST_IMMEDIATE] = REQUEST | ENDS | HAS_IMMEDIATE,
    [WRITE_ONLY] = REQUEST | BEGINS | ENDS | HAS_RETH,
    [WRITE_ONLY_IMMEDIATE] = REQUEST | BEGINS | ENDS | HAS_RETH | HAS_IMMEDIATE,
    [READ_REQUEST] = REQUEST | BEGINS | ENDS | HAS_RETH,
    [READ_RESPONSE_FIRST] = RESPONSE | BEGINS | HAS_AETH,
    [READ_RESPONSE_MIDDLE] = RESPONSE,
    [READ_RESPONSE_LAST] = RESPONSE | ENDS | HAS_AETH,
    [READ_RESPONSE_ONLY] = RESPONSE | BEGINS | ENDS | HAS_AETH,
    [ACKNOWLEDGE] = RESPONSE | BEGINS | ENDS | HAS_AETH,
    [ATOMIC_ACKNOWLEDGE] = RESPONSE | BEGINS | ENDS | HAS_AETH | HAS_ATOMIC_ACK,
    [COMPARE_SWAP] = REQUEST | BEGINS | ENDS | HAS_ATOMIC,
    [FETCH_ADD] = REQUEST | BEGINS | ENDS | HAS_ATOMIC,
    [SEND_LAST_INVALIDATE] = REQUEST | ENDS | HAS_INVALIDATE,
    [SEND_ONLY_INVALIDATE] = REQUEST | BEGINS | ENDS | HAS_INVALIDATE,
};

/* What comes after the BTH, and whether there is such an opcode at all: 0 when not. */
static uint16_t traits_of(uint8_t opcode)
{
    uint16_t traits = roce_traits[opcode & 0x1F];
    switch (opcode >> 5) {
    case SERVICE_RC:
        return traits;
    case SERVICE_UC:
        return (opcode & 0x1F) <= WRITE_ONLY_IMMEDIATE ? traits : 0;
    case SERVICE_UD:
        return (opcode & 0x1F) == SEND_ONLY || (opcode & 0x1F) == SEND_ONLY_IMMEDIATE ? traits | HAS_DETH : 0;
    case SERVICE_CNP:
        return opcode == ROCE_OPCODE_CNP ? IS_KNOWN : 0;
    case SERVICE_XRC:
        return (traits & IS_REQUEST) != 0 ? traits | HAS_XRCETH : traits;
    default: /* reliable datagrams do not exist over Ethernet, and above them the numbers are the manufacturers' own */
        return 0;
    }
}

static uint32_t get24(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | get16(at + 1);
}

/* --- BTH and what follows --- */

static enum packet_kind read_extensions(struct roce_packet *p, const uint8_t *at, uint32_t length, uint32_t captured)
{
    uint16_t traits = p->traits;
    uint32_t size = (traits & HAS_XRCETH ? 4u : 0u) + (traits & HAS_DETH ? 8u : 0u) + (traits & HAS_RETH ? 16u : 0u) +
                    (traits & HAS_ATOMIC ? 28u : 0u) + (traits & HAS_AETH ? 4u : 0u) + (traits & HAS_ATOMIC_ACK ? 8u : 0u) +
                    (traits & HAS_IMMEDIATE ? 4u : 0u) + (traits & HAS_INVALIDATE ? 4u : 0u);
    uint32_t pad = p->bth[1] >> 4 & 3;
    if (length < size + pad)
        return PACKET_MALFORMED;
    if (captured < size)
        return PACKET_CUT;
    p->payload_length = length - size - pad;
    p->payload = at + size;
    if (traits & HAS_XRCETH)
        at += 4;
    if (traits & HAS_DETH)
        p->source_qp = get24(at + 5);
    if (traits & HAS_RETH)
        p->dma_length = get32(at + 12);
    if (traits & HAS_AETH) {
        p->syndrome = at[0];
        p->sequence = get24(at + 1);
    }
    return PACKET_ROCE;
}

/* `at`: the UDP header, `length` bytes of it by the IP header. */
static enum packet_kind read_udp(struct roce_packet *p, const uint8_t *at, uint32_t length)
{
    uint32_t captured = (uint32_t)(p->end - at);
    if (captured < 4)
        return PACKET_OTHER; /* of which kind is cut off */
    if (get16(at + 2) != ROCE_UDP_PORT)
        return PACKET_OTHER;
    if (captured < UDP_HEADER + BTH)
        return PACKET_CUT;
    uint32_t said = get16(at + 4);
    if (said > length || said < UDP_HEADER + BTH + ICRC)
        return PACKET_MALFORMED;
    const uint8_t *bth = at + UDP_HEADER;
    p->whole = captured >= said;
    if (p->whole)
        p->end = at + said;
    p->source_port = get16(at);
    p->bth = bth;
    p->opcode = bth[0];
    p->service = bth[0] >> 5;
    p->operation = bth[0] & 0x1F;
    p->traits = traits_of(bth[0]);
    p->partition = get16(bth + 2);
    p->becn = (bth[4] & 0x40) != 0;
    p->destination_qp = get24(bth + 5);
    p->ack_request = (bth[8] & 0x80) != 0;
    p->psn = get24(bth + 9);
    if (p->traits == 0 || (bth[1] & 0x0F) != 0) /* no such opcode, or no such version of the header */
        return PACKET_MALFORMED;
    return read_extensions(p, bth + BTH, said - UDP_HEADER - BTH - ICRC, captured - UDP_HEADER - BTH);
}

/* --- IP --- */

static enum packet_kind read_ipv4(struct roce_packet *p, const uint8_t *at)
{
    uint32_t captured = (uint32_t)(p->end - at);
    if (captured < IPV4_HEADER || at[0] >> 4 != 4 || at[9] != PROTOCOL_UDP)
        return PACKET_OTHER;
    uint32_t header = 4u * (at[0] & 0x0F), length = get16(at + 2);
    if (header < IPV4_HEADER || length < header + UDP_HEADER)
        return PACKET_OTHER;
    if ((get16(at + 6) & 0x1FFF) != 0)
        return PACKET_FRAGMENT;
    if (captured < header)
        return PACKET_OTHER;
    if (captured > length)
        p->end = at + length; /* behind it: padding of short frames, a frame check sequence */
    p->ip = at;
    p->ipv6 = false;
    uint32_t from, to;
    memcpy(&from, at + 12, sizeof from);
    memcpy(&to, at + 16, sizeof to);
    p->source = (struct address){0, (uint64_t)from << 32 | 0xFFFF0000u};
    p->destination = (struct address){0, (uint64_t)to << 32 | 0xFFFF0000u};
    p->dscp = at[1] >> 2;
    p->ecn = at[1] & 3;
    p->ip_id = get16(at + 4);
    return read_udp(p, at + header, length - header);
}

static enum packet_kind read_ipv6(struct roce_packet *p, const uint8_t *at)
{
    uint32_t captured = (uint32_t)(p->end - at);
    if (captured < IPV6_HEADER || at[0] >> 4 != 6)
        return PACKET_OTHER;
    uint32_t length = get16(at + 4), used = 0;
    uint8_t next = at[6];
    if (captured - IPV6_HEADER > length)
        p->end = at + IPV6_HEADER + length;
    captured = (uint32_t)(p->end - at) - IPV6_HEADER;
    for (int i = 0; i < IPV6_EXTENSIONS_MAX && (next == 0 || next == 43 || next == 44 || next == 60); i++) {
        const uint8_t *extension = at + IPV6_HEADER + used;
        if (captured < used + 8)
            return PACKET_OTHER;
        if (next == 44 && (get16(extension + 2) & 0xFFF8) != 0)
            return PACKET_FRAGMENT;
        used += next == 44 ? 8u : 8u * (extension[1] + 1u);
        next = extension[0];
    }
    if (next != PROTOCOL_UDP || captured < used || length < used + UDP_HEADER)
        return PACKET_OTHER;
    p->ip = at;
    p->ipv6 = true;
    memcpy(&p->source, at + 8, 16);
    memcpy(&p->destination, at + 24, 16);
    uint8_t class = (uint8_t)(get16(at) >> 4);
    p->dscp = class >> 2;
    p->ecn = class & 3;
    p->ip_id = 0;
    return read_udp(p, at + IPV6_HEADER + used, length - used);
}

/* --- link layer --- */

static enum packet_kind read_control(struct pause_frame *pause, const uint8_t *frame, const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return PACKET_OTHER;
    uint16_t opcode = get16(at);
    if (opcode == CONTROL_PAUSE) {
        pause->whole_port = true;
        pause->enabled = 0xFF;
        for (int i = 0; i < ROCE_PRIORITIES; i++)
            pause->quanta[i] = get16(at + 2);
    } else if (opcode == CONTROL_PFC && end - at >= 4 + 2 * ROCE_PRIORITIES) {
        pause->whole_port = false;
        pause->enabled = at[3];
        for (int i = 0; i < ROCE_PRIORITIES; i++)
            pause->quanta[i] = get16(at + 4 + 2 * i);
    } else {
        return PACKET_OTHER;
    }
    memcpy(pause->source, frame + 6, sizeof pause->source);
    return PACKET_PAUSE;
}

/* `at`: the two bytes of an EtherType. */
static enum packet_kind read_type(struct packet *packet, const uint8_t *frame, const uint8_t *at)
{
    struct roce_packet *p = &packet->roce;
    for (int tags = 0; p->end - at >= 2; tags++) {
        uint16_t type = get16(at);
        at += 2;
        if (type == TYPE_IPV4)
            return read_ipv4(p, at);
        if (type == TYPE_IPV6)
            return read_ipv6(p, at);
        if (type == TYPE_MAC_CONTROL && frame != NULL)
            return read_control(&packet->pause, frame, at, p->end);
        if ((type != TYPE_VLAN && type != TYPE_QINQ && type != TYPE_QINQ_OLD) || p->end - at < 2 || tags == TAGS_MAX)
            break;
        if (tags == 0)
            p->priority = at[0] >> 5;
        at += 2;
    }
    return PACKET_OTHER;
}

static enum packet_kind read_ip(struct roce_packet *p, const uint8_t *at)
{
    if (p->end == at)
        return PACKET_OTHER;
    return at[0] >> 4 == 6 ? read_ipv6(p, at) : read_ipv4(p, at);
}

enum packet_kind packet_read(const struct capture_record *record, struct packet *packet)
{
    struct roce_packet *p = &packet->roce;
    const uint8_t *frame = record->bytes;
    p->time_ns = packet->pause.time_ns = record->time_ns;
    p->wire_length = record->wire_length;
    p->end = frame + record->length;
    p->priority = ROCE_NO_PRIORITY;
    p->link_direction = 0;
    p->syndrome = 0;
    switch (record->link) {
    case LINK_ETHERNET:
        return record->length < MAC_ADDRESSES + 2 ? PACKET_OTHER : read_type(packet, frame, frame + MAC_ADDRESSES);
    case LINK_COOKED:
        if (record->length < 16)
            return PACKET_OTHER;
        p->link_direction = (uint8_t)(frame[1] + 1);
        return read_type(packet, NULL, frame + 14);
    case LINK_COOKED_2:
        if (record->length < 20)
            return PACKET_OTHER;
        p->link_direction = (uint8_t)(frame[10] + 1);
        if (get16(frame) == TYPE_IPV4)
            return read_ipv4(p, frame + 20);
        if (get16(frame) == TYPE_IPV6)
            return read_ipv6(p, frame + 20);
        if (record->length >= 24 && (get16(frame) == TYPE_VLAN || get16(frame) == TYPE_QINQ)) {
            p->priority = frame[20] >> 5;
            return read_type(packet, NULL, frame + 22);
        }
        return PACKET_OTHER;
    case LINK_RAW:
    case LINK_IPV4:
    case LINK_IPV6:
        return read_ip(p, frame);
    default:
        return PACKET_LINK_UNKNOWN;
    }
}

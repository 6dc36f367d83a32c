/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>

enum {
    PCAP_HEADER = 24,
    PCAP_RECORD = 16,
    BLOCK_HEADER = 8,
    BLOCK_SECTION = 0x0A0D0D0A,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET_OLD = 2,
    BLOCK_PACKET_SIMPLE = 3,
    BLOCK_PACKET = 6,
    OPTION_RESOLUTION = 9,
    OPTION_OFFSET = 14,
    MICROSECONDS = 6,
    NANOSECONDS = 9,
};
#define MAGIC_US 0xA1B2C3D4u
#define MAGIC_NS 0xA1B23C4Du
#define MAGIC_ORDER 0x1A2B3C4Du
#define LINK_MASK 0x0FFFFFFFu /* above it: whether and how long frame check sequences are */

static uint32_t load32(const struct capture *capture, const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return capture->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t load16(const struct capture *capture, const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return capture->swapped ? __builtin_bswap16(value) : value;
}

static enum capture_result wrong(struct capture *capture, const char *what, uint64_t value, const char *rule)
{
    failure_set(&capture->failure, EBADMSG, "offset %llu: %s %llu, %s", (unsigned long long)(capture->offset + capture->at),
                what, (unsigned long long)value, rule);
    return CAPTURE_WRONG;
}

void capture_start(struct capture *capture)
{
    memset(capture, 0, sizeof *capture);
}

void capture_window(struct capture *capture, const uint8_t *bytes, uint64_t size)
{
    capture->offset += capture->at;
    capture->bytes = bytes;
    capture->size = size;
    capture->at = 0;
}

uint64_t capture_time_ns(const struct capture_interface *interface, uint64_t ticks)
{
    unsigned exponent = interface->resolution & 0x7F;
    uint64_t ns;
    if ((interface->resolution & 0x80) != 0) {
        ns = (uint64_t)((unsigned __int128)ticks * 1000000000u >> exponent);
    } else {
        ns = ticks;
        for (; exponent < NANOSECONDS; exponent++)
            ns *= 10;
        for (; exponent > NANOSECONDS && ns != 0; exponent--)
            ns /= 10;
    }
    return ns + (uint64_t)interface->offset_s * 1000000000u;
}

/* --- pcap --- */

static enum capture_result begin_pcap(struct capture *capture, bool nanoseconds)
{
    const uint8_t *at = capture->bytes + capture->at;
    if (capture->size - capture->at < PCAP_HEADER)
        return CAPTURE_MORE;
    capture->format = CAPTURE_PCAP;
    capture->interface_count = 1;
    capture->interfaces[0] = (struct capture_interface){
        .link = (uint16_t)(load32(capture, at + 20) & LINK_MASK & 0xFFFF),
        .snap = load32(capture, at + 16),
        .resolution = nanoseconds ? NANOSECONDS : MICROSECONDS,
    };
    capture->at += PCAP_HEADER;
    return CAPTURE_RECORD;
}

static enum capture_result next_pcap(struct capture *capture, struct capture_record *record)
{
    const uint8_t *at = capture->bytes + capture->at;
    uint64_t left = capture->size - capture->at;
    if (left < PCAP_RECORD)
        return CAPTURE_MORE;
    uint32_t length = load32(capture, at + 8);
    if (UNLIKELY(length > CAPTURE_RECORD_MAX))
        return wrong(capture, "a packet of", length, "at most 262144 bytes are possible: the file is damaged from here on");
    if (left - PCAP_RECORD < length)
        return CAPTURE_MORE;
    uint64_t unit = capture->interfaces[0].resolution == NANOSECONDS ? 1 : 1000;
    *record = (struct capture_record){
        .time_ns = load32(capture, at) * 1000000000ull + load32(capture, at + 4) * unit,
        .bytes = at + PCAP_RECORD,
        .length = length,
        .wire_length = load32(capture, at + 12),
        .link = capture->interfaces[0].link,
    };
    capture->at += PCAP_RECORD + length;
    return CAPTURE_RECORD;
}

/* --- pcapng --- */

static void add_interface(struct capture *capture, const uint8_t *body, uint32_t length)
{
    if (capture->interface_count++ >= CAPTURE_INTERFACES)
        return;
    struct capture_interface *interface = &capture->interfaces[capture->interface_count - 1];
    *interface = (struct capture_interface){
        .link = load16(capture, body), .snap = load32(capture, body + 4), .resolution = MICROSECONDS};
    for (uint32_t at = 8; at + 4 <= length;) {
        uint16_t code = load16(capture, body + at), size = load16(capture, body + at + 2);
        at += 4;
        if (code == 0 || size > length - at)
            return;
        if (code == OPTION_RESOLUTION && size >= 1)
            interface->resolution = body[at];
        if (code == OPTION_OFFSET && size >= 8) {
            uint64_t seconds;
            memcpy(&seconds, body + at, sizeof seconds);
            interface->offset_s = (int64_t)(capture->swapped ? __builtin_bswap64(seconds) : seconds);
        }
        at += (size + 3u) & ~3u;
    }
}

/* A packet block's body as a record; false: its interface is not known, or it has no room for what it says. */
static bool read_packet(struct capture *capture, uint32_t type, const uint8_t *body, uint32_t length, struct capture_record *record)
{
    uint32_t head = type == BLOCK_PACKET_SIMPLE ? 4 : 20;
    if (length < head)
        return false;
    uint32_t number = 0;
    if (type == BLOCK_PACKET)
        number = load32(capture, body);
    else if (type == BLOCK_PACKET_OLD)
        number = load16(capture, body);
    if (number >= capture->interface_count || number >= CAPTURE_INTERFACES) {
        capture->beyond_interfaces++;
        return false;
    }
    const struct capture_interface *interface = &capture->interfaces[number];
    *record = (struct capture_record){.bytes = body + head, .link = interface->link};
    if (type == BLOCK_PACKET_SIMPLE) { /* it has no time */
        record->time_ns = capture->last_ns;
        record->wire_length = load32(capture, body);
        record->length = record->wire_length;
        if (interface->snap != 0 && record->length > interface->snap)
            record->length = interface->snap;
        if (record->length > length - head)
            record->length = length - head;
        return true;
    }
    uint64_t ticks = (uint64_t)load32(capture, body + 4) << 32 | load32(capture, body + 8);
    record->time_ns = capture_time_ns(interface, ticks);
    record->length = load32(capture, body + 12);
    record->wire_length = load32(capture, body + 16);
    return record->length <= length - head;
}

static enum capture_result begin_section(struct capture *capture)
{
    const uint8_t *at = capture->bytes + capture->at;
    if (capture->size - capture->at < BLOCK_HEADER + 4)
        return CAPTURE_MORE;
    uint32_t order;
    memcpy(&order, at + 8, sizeof order);
    if (order != MAGIC_ORDER && order != __builtin_bswap32(MAGIC_ORDER))
        return wrong(capture, "a pcapng section with byte order mark", order, "which is none: the file is damaged from here on");
    capture->swapped = order != MAGIC_ORDER;
    capture->format = CAPTURE_PCAPNG;
    capture->interface_count = 0;
    return CAPTURE_RECORD;
}

/* Step over what nobody wants; false when the window ends in it. */
static bool skip(struct capture *capture)
{
    uint64_t left = capture->size - capture->at, step = capture->skip < left ? capture->skip : left;
    capture->at += step;
    capture->skip -= step;
    return capture->skip == 0;
}

static bool is_wanted(uint32_t type)
{
    return type == BLOCK_INTERFACE || type == BLOCK_PACKET || type == BLOCK_PACKET_OLD || type == BLOCK_PACKET_SIMPLE;
}

static enum capture_result next_pcapng(struct capture *capture, struct capture_record *record)
{
    while (skip(capture)) {
        const uint8_t *at = capture->bytes + capture->at;
        uint64_t left = capture->size - capture->at;
        if (left < BLOCK_HEADER)
            return CAPTURE_MORE;
        uint32_t type = load32(capture, at);
        if (type == BLOCK_SECTION) { /* the same in both byte orders */
            enum capture_result section = begin_section(capture);
            if (section != CAPTURE_RECORD)
                return section;
        }
        uint32_t length = load32(capture, at + 4);
        if (length < BLOCK_HEADER + 4 || length % 4 != 0)
            return wrong(capture, "a pcapng block of", length, "at least 12 and in fours: the file is damaged from here on");
        if (!is_wanted(type)) {
            capture->skip = length;
            continue;
        }
        if (length > CAPTURE_BLOCK_MAX)
            return wrong(capture, "a pcapng block of", length, "at most 524288 bytes are read: the file is damaged from here on");
        if (left < length)
            return CAPTURE_MORE;
        uint32_t again = load32(capture, at + length - 4), body = length - BLOCK_HEADER - 4;
        if (again != length)
            return wrong(capture, "a pcapng block ends with length", again, "not its own: the file is damaged from here on");
        if (type == BLOCK_INTERFACE && body < 8)
            return wrong(capture, "an interface description of", body, "at least 8 bytes: the file is damaged from here on");
        capture->at += length;
        if (type == BLOCK_INTERFACE) {
            add_interface(capture, at + BLOCK_HEADER, body);
            continue;
        }
        uint64_t beyond = capture->beyond_interfaces;
        if (read_packet(capture, type, at + BLOCK_HEADER, body, record))
            return CAPTURE_RECORD;
        if (capture->beyond_interfaces == beyond) {
            capture->at -= length;
            return wrong(capture, "a pcapng packet block of", length, "shorter than its packet: the file is damaged from here on");
        }
    }
    return CAPTURE_MORE;
}

/* --- both --- */

static enum capture_result begin(struct capture *capture)
{
    if (capture->size - capture->at < 4)
        return CAPTURE_MORE;
    uint32_t magic;
    memcpy(&magic, capture->bytes + capture->at, sizeof magic);
    if (magic == BLOCK_SECTION)
        return begin_section(capture);
    uint32_t other = __builtin_bswap32(magic);
    capture->swapped = other == MAGIC_US || other == MAGIC_NS;
    uint32_t read = capture->swapped ? other : magic;
    if (read == MAGIC_US || read == MAGIC_NS)
        return begin_pcap(capture, read == MAGIC_NS);
    failure_set(&capture->failure, EBADMSG, "begins with 0x%08x, which neither pcap nor pcapng does", __builtin_bswap32(magic));
    return CAPTURE_WRONG;
}

enum capture_result capture_next(struct capture *capture, struct capture_record *record)
{
    if (capture->failure.code != 0)
        return CAPTURE_WRONG;
    enum capture_result result = CAPTURE_RECORD;
    if (UNLIKELY(capture->format == CAPTURE_UNKNOWN))
        result = begin(capture);
    if (result == CAPTURE_RECORD)
        result = capture->format == CAPTURE_PCAP ? next_pcap(capture, record) : next_pcapng(capture, record);
    if (result == CAPTURE_RECORD) {
        capture->records++;
        capture->last_ns = record->time_ns;
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture (pcap, nanoseconds) of RoCEv2 traffic on standard output, the same for the same seed:
 *
 *     roce megabytes=1000 pairs=64 seed=1 > roce.pcap
 *
 * Connections in both directions between eight hosts, their PSNs and queue pairs drawn at random. Of the messages 60 % are sends of 32
 * to 512 bytes in one packet, 25 % writes of up to 16 KiB in packets of 1,024 bytes, 10 % reads of up to 8 KiB, 5 % atomics. Every
 * acknowledgement covers what is outstanding; one in a thousand messages is lost, answered with a NAK and sent again; one packet in
 * two hundred carries a congestion mark, which a CNP answers; now and then a switch pauses priority 3. Data is zero and the invariant
 * CRC is not made, which nothing here looks at. */
#include "bench.h"

enum {
    MTU = 1024,
    HEADERS = 14 + 20 + 8 + 12,
    ICRC = 4,
    OUTSTANDING = 64,
    HOSTS = 8,
    RECORD = 16,
    SEND_FIRST = 0,
    SEND_ONLY = 4,
    WRITE_FIRST = 6,
    WRITE_MIDDLE = 7,
    WRITE_LAST = 8,
    WRITE_ONLY = 10,
    READ_REQUEST = 12,
    READ_FIRST = 13,
    READ_MIDDLE = 14,
    READ_LAST = 15,
    READ_ONLY = 16,
    ACK = 17,
    ATOMIC_ACK = 18,
    FETCH_ADD = 20,
    CNP = 0x81,
    NAK_SEQUENCE = 0x60,
};

struct side {
    uint8_t host;
    uint32_t qp, psn, acknowledged; /* of what it asks */
    uint32_t messages;
};

struct pair {
    struct side sides[2];
    uint16_t port;
};

static uint64_t state, now_ns, written;
static uint16_t identification;

static uint64_t chance(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Dull;
}

static uint32_t below(uint32_t bound)
{
    return (uint32_t)((chance() >> 32) * bound >> 32);
}

static void put_record(const uint8_t *frame, uint32_t length)
{
    uint32_t head[4] = {(uint32_t)(now_ns / 1000000000), (uint32_t)(now_ns % 1000000000), length, length};
    fwrite(head, sizeof head, 1, stdout);
    fwrite(frame, length, 1, stdout);
    written += sizeof head + length;
    now_ns += 40 + length / 12 + below(200);
}

/* A packet from one side of a pair: `extra` bytes of further headers, then zeroes. */
static void put_packet(const struct pair *pair, int from, uint8_t opcode, uint32_t psn, const uint8_t *extra, uint32_t extra_length,
                       uint32_t data, bool mark)
{
    static uint8_t frame[HEADERS + 64 + MTU + ICRC];
    const struct side *source = &pair->sides[from], *target = &pair->sides[1 - from];
    uint32_t pad = -data & 3, udp = 8 + 12 + extra_length + data + pad + ICRC;
    memset(frame, 0, HEADERS + extra_length);
    memset(frame + HEADERS + extra_length, 0, ICRC);
    memcpy(frame, "\2\0\0\0\0\0\2\0\0\0\0\0\x08", 13);
    frame[5] = target->host;
    frame[11] = source->host;
    uint8_t *ip = frame + 14;
    ip[0] = 0x45;
    ip[1] = (uint8_t)(26 << 2 | (mark ? 3 : 2));
    put16(ip + 2, (uint16_t)(20 + udp));
    put16(ip + 4, identification++);
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, (uint8_t[]){10, 110, 0, source->host, 10, 110, 0, target->host}, 8);
    put16(ip + 20, pair->port);
    put16(ip + 22, 4791);
    put16(ip + 24, (uint16_t)udp);
    uint8_t *bth = ip + 28;
    bth[0] = opcode;
    bth[1] = (uint8_t)(pad << 4);
    put16(bth + 2, 0xFFFF);
    put32(bth + 4, target->qp);
    put32(bth + 8, psn & 0xFFFFFF);
    if (opcode == SEND_ONLY || opcode == WRITE_LAST || opcode == WRITE_ONLY)
        bth[8] = 0x80;
    memcpy(bth + 12, extra, extra_length);
    put_record(frame, 14 + 20 + udp);
}

static void put_pause(void)
{
    uint8_t frame[60] = {1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 99, 0x88, 0x08, 1, 1, 0, 8};
    put16(frame + 18 + 6, below(4) == 0 ? 0 : 0xFFFF);
    put_record(frame, sizeof frame);
}

static void put_ack(struct pair *pair, int asker, uint32_t psn, uint8_t syndrome)
{
    uint8_t aeth[4];
    put32(aeth, (uint32_t)syndrome << 24 | (pair->sides[asker].messages & 0xFFFFFF));
    put_packet(pair, 1 - asker, ACK, psn, aeth, sizeof aeth, 0, false);
}

static void put_write(struct pair *pair, int asker, uint32_t length, bool lost)
{
    struct side *side = &pair->sides[asker];
    uint32_t packets = length <= MTU ? 1 : (length + MTU - 1) / MTU, first = side->psn;
    for (int attempt = 0; attempt <= lost; attempt++) {
        for (uint32_t i = 0; i < packets; i++) {
            uint8_t reth[16] = {0};
            bool last = i == packets - 1, begins = i == 0;
            uint8_t opcode = packets == 1 ? WRITE_ONLY : begins ? WRITE_FIRST : last ? WRITE_LAST : WRITE_MIDDLE;
            put32(reth + 12, length);
            bool mark = below(200) == 0;
            put_packet(pair, asker, opcode, first + i, reth, begins ? 16 : 0, last ? length - i * MTU : MTU, mark);
            if (mark)
                put_packet(pair, 1 - asker, CNP, 0, (const uint8_t[16]){0}, 16, 0, false);
        }
        if (lost && attempt == 0)
            put_ack(pair, asker, first, NAK_SEQUENCE);
    }
    side->psn = first + packets;
}

static void put_read(struct pair *pair, int asker, uint32_t length)
{
    struct side *side = &pair->sides[asker];
    uint32_t packets = (length + MTU - 1) / MTU;
    uint8_t reth[16] = {0}, aeth[4] = {0x1F};
    put32(reth + 12, length);
    put_packet(pair, asker, READ_REQUEST, side->psn, reth, sizeof reth, 0, false);
    for (uint32_t i = 0; i < packets; i++) {
        bool last = i == packets - 1;
        uint8_t opcode = packets == 1 ? READ_ONLY : i == 0 ? READ_FIRST : last ? READ_LAST : READ_MIDDLE;
        put_packet(pair, 1 - asker, opcode, side->psn + i, aeth, opcode == READ_MIDDLE ? 0 : 4, last ? length - i * MTU : MTU, false);
    }
    side->psn += packets;
}

static void put_message(struct pair *pair, int asker)
{
    struct side *side = &pair->sides[asker];
    uint32_t kind = below(100);
    bool lost = below(1000) == 0;
    side->messages++;
    if (kind < 60) {
        uint32_t length = 32 + below(480);
        for (int attempt = 0; attempt <= lost; attempt++) {
            put_packet(pair, asker, SEND_ONLY, side->psn, NULL, 0, length, false);
            if (lost && attempt == 0)
                put_ack(pair, asker, side->psn, NAK_SEQUENCE);
        }
        side->psn++;
    } else if (kind < 85) {
        put_write(pair, asker, 1 + below(16384), lost);
    } else if (kind < 95) {
        put_read(pair, asker, 1 + below(8192));
        side->acknowledged = side->psn;
    } else {
        uint8_t atomic[28] = {0}, answer[12] = {0x1F};
        put_packet(pair, asker, FETCH_ADD, side->psn, atomic, sizeof atomic, 0, false);
        put_packet(pair, 1 - asker, ATOMIC_ACK, side->psn, answer, sizeof answer, 0, false);
        side->acknowledged = ++side->psn;
    }
}

static void make_pairs(struct pair *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t host = (uint8_t)(1 + below(HOSTS)), other = (uint8_t)(1 + (host + below(HOSTS - 1)) % HOSTS);
        pairs[i].port = (uint16_t)(0xC000 + below(0x4000));
        for (int s = 0; s < 2; s++) {
            uint32_t psn = below(1 << 24);
            pairs[i].sides[s] = (struct side){.host = s ? other : host, .qp = 0x100 + 2 * i + (uint32_t)s, .psn = psn, .acknowledged = psn};
        }
    }
}

int main(int count, char **arguments)
{
    uint64_t megabytes = bench_number(count, arguments, "megabytes", 1000);
    uint32_t wanted = (uint32_t)bench_number(count, arguments, "pairs", 64);
    state = bench_number(count, arguments, "seed", 1) * 0x9E3779B97F4A7C15ull | 1;
    struct pair *pairs = calloc(wanted, sizeof *pairs);
    if (pairs == NULL || wanted == 0)
        bench_fail("roce: pairs must be 1 or more, and there must be memory for them");
    make_pairs(pairs, wanted);
    now_ns = 1700000000000000000ull;
    const uint32_t header[6] = {0xA1B23C4D, 2 | 4 << 16, 0, 0, 262144, 1};
    fwrite(header, sizeof header, 1, stdout);
    while (written < megabytes * 1000000) {
        struct pair *pair = &pairs[below(wanted)];
        int asker = (int)below(2);
        struct side *side = &pair->sides[asker];
        if (side->psn - side->acknowledged >= OUTSTANDING || (side->psn != side->acknowledged && below(3) == 0)) {
            side->acknowledged = side->psn;
            put_ack(pair, asker, side->psn - 1, 0x1F);
        } else {
            put_message(pair, asker);
        }
        if (below(5000) == 0)
            put_pause();
    }
    free(pairs);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        bench_fail("roce: %s", strerror(errno));
    return 0;
}

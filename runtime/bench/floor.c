/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor: the least a program on kernel sockets can do between a market-data datagram and an order. It receives a datagram, looks
 * at one byte of it, and sends a fixed payload on a TCP connection; no book, no strategy, no risk. Socket options and time stamps are
 * those of the engine, so what the engine takes longer is the engine's own work.
 *
 *   floor FEED_ADDRESS FEED_PORT HOST PORT TOS LOGIN_HEX ORDER_HEX OFFSET BYTE CPU
 *
 * LOGIN_HEX is sent once after connecting. A datagram whose byte at OFFSET is BYTE (a character) makes an order. It ends with the
 * MoldUDP64 end of session and prints one JSON line: transmit stamp minus receive stamp of every order, in ns, as statistics. */
#include <time.h> /* before linux/errqueue.h, which needs it */

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "wire.h"

#define SAMPLES_MAX (1u << 20)
#define HEADER 20 /* of MoldUDP64; the count is its last two bytes */
#define QUIET_POLLS 16 /* empty polls between looks at the order connection, as the engine does */
#define SILENCE_S 30   /* without any datagram for that long it gives up */

struct sample {
    uint64_t receive_ns, transmit_ns;
    uint32_t last_byte;
};

static struct sample samples[SAMPLES_MAX];
static uint64_t latencies[SAMPLES_MAX];

static void set_int(int fd, int level, int option, int value, const char *name)
{
    if (setsockopt(fd, level, option, &value, sizeof value) != 0)
        wire_stop(name, strerror(errno));
}

static uint64_t stamp_of(const struct cmsghdr *control)
{
    struct scm_timestamping stamps;
    memcpy(&stamps, CMSG_DATA(control), sizeof stamps);
    return (uint64_t)stamps.ts[0].tv_sec * 1000000000u + (uint64_t)stamps.ts[0].tv_nsec;
}

/* Transmit stamps that have come back, matched to their orders by the stream offset of the last byte. */
static void collect(int fd, uint32_t *stamped, uint32_t sent)
{
    for (;;) {
        _Alignas(struct cmsghdr) uint8_t control[256];
        struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
        struct sock_extended_err what = {0};
        uint64_t transmit_ns = 0;
        if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
                transmit_ns = stamp_of(c);
            else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR)
                memcpy(&what, CMSG_DATA(c), sizeof what);
        }
        while (*stamped < sent && (int32_t)(what.ee_data - samples[*stamped].last_byte) > 0)
            ++*stamped;
        if (*stamped < sent && samples[*stamped].last_byte == what.ee_data)
            samples[(*stamped)++].transmit_ns = transmit_ns;
    }
}

static void report(uint32_t sent)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sent; i++)
        if (samples[i].receive_ns != 0 && samples[i].transmit_ns > samples[i].receive_ns)
            latencies[count++] = samples[i].transmit_ns - samples[i].receive_ns;
    if (count == 0) {
        fprintf(stderr, "floor: %u orders, none with both stamps\n", sent);
        exit(1);
    }
    wire_sort(latencies, count);
    printf("{\"name\": \"floor\", \"unstamped\": %u, ", sent - count);
    wire_print(latencies, count);
    printf("}\n");
}

int main(int argc, char **argv)
{
    uint8_t login[128], order[128], packet[65536], answers[65536];
    if (argc != 11) {
        fprintf(stderr, "usage: floor FEED_ADDRESS FEED_PORT HOST PORT TOS LOGIN_HEX ORDER_HEX OFFSET BYTE CPU\n");
        return 2;
    }
    size_t login_bytes = wire_bytes("LOGIN_HEX", argv[6], login, sizeof login);
    size_t order_bytes = wire_bytes("ORDER_HEX", argv[7], order, sizeof order);
    size_t offset = (size_t)atoi(argv[8]);
    uint8_t trigger = (uint8_t)argv[9][0];
    wire_pin(argv[10]);

    struct sockaddr_in at = wire_address(argv[1], argv[2]), exchange = wire_address(argv[3], argv[4]);
    int feed = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), orders = socket(AF_INET, SOCK_STREAM, 0);
    if (feed < 0 || orders < 0)
        wire_stop("socket", strerror(errno));
    set_int(feed, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    set_int(feed, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, "stamping");
    set_int(orders, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    set_int(orders, IPPROTO_IP, IP_TOS, atoi(argv[5]), "IP_TOS");
    if (bind(feed, (struct sockaddr *)&at, sizeof at) != 0)
        wire_stop("bind", strerror(errno));
    if (connect(orders, (struct sockaddr *)&exchange, sizeof exchange) != 0)
        wire_stop("connect", strerror(errno));
    set_int(orders, SOL_SOCKET, SO_TIMESTAMPING,
            SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY,
            "stamping");
    if (send(orders, login, login_bytes, MSG_NOSIGNAL) != (ssize_t)login_bytes)
        wire_stop("login", strerror(errno));
    fprintf(stderr, "floor: ready\n");

    uint32_t sent = 0, stamped = 0, sent_bytes = (uint32_t)login_bytes;
    uint64_t quiet = 0;
    struct timespec now, heard;
    clock_gettime(CLOCK_MONOTONIC, &heard);
    for (;;) {
        _Alignas(struct cmsghdr) uint8_t control[256];
        struct iovec io = {packet, sizeof packet};
        struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(feed, &message, MSG_DONTWAIT);
        if (got < 0) {
            if (++quiet % QUIET_POLLS != 0)
                continue;
            collect(orders, &stamped, sent);
            if (recv(orders, answers, sizeof answers, MSG_DONTWAIT) == 0)
                wire_stop("the exchange", "closed the connection");
            clock_gettime(CLOCK_MONOTONIC, &now);
            if (now.tv_sec - heard.tv_sec > SILENCE_S)
                break;
            continue;
        }
        if ((size_t)got > offset && packet[offset] == trigger && sent < SAMPLES_MAX) {
            if (send(orders, order, order_bytes, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR) != (ssize_t)order_bytes)
                wire_stop("send", strerror(errno));
            sent_bytes += (uint32_t)order_bytes;
            struct sample *sample = &samples[sent++];
            sample->last_byte = sent_bytes - 1;
            sample->receive_ns = sample->transmit_ns = 0;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
                    sample->receive_ns = stamp_of(c);
        }
        if (sent > 0 && got == HEADER && packet[HEADER - 2] == 0xFF && packet[HEADER - 1] == 0xFF)
            break;
        clock_gettime(CLOCK_MONOTONIC, &heard);
    }
    struct pollfd wait = {.fd = -1};
    for (int i = 0; i < 50 && stamped < sent; i++) {
        poll(&wait, 0, 2);
        collect(orders, &stamped, sent);
    }
    report(sent);
    return 0;
}

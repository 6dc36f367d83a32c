/* SPDX-License-Identifier: Apache-2.0
 *
 * The AF_XDP feed on lo of a network namespace of its own, in generic mode: lines told apart, frames that come round, bursts, the
 * request socket, waiting; what is refused, also with errors of drivers that lo has not; and checksums. The XDP program lies beside
 * this one. */
#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "transport/checksum.h"
#include "transport/xdp.h"

#define PATIENCE_MS 10000
#define PORT 26400

static uint8_t buffer[MOLD_PACKET_MAX];
static char program[400];

/* Errors of a driver in zero-copy, and of the kernel for want of memory; 0: none. libxdp calls these. */
static int zerocopy_error, frames_error;
static unsigned binds, registrations;

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_xdp *queue = (const void *)address;
    bool ring = address->sa_family == AF_XDP;
    binds += ring;
    if (ring && zerocopy_error != 0 && (queue->sxdp_flags & XDP_ZEROCOPY) != 0) {
        errno = zerocopy_error;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, address, length);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    bool frames = level == SOL_XDP && option == XDP_UMEM_REG;
    registrations += frames;
    if (frames && frames_error != 0) {
        errno = frames_error;
        return -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, option, value, length);
}

static void own_network(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    CHECK(unshare(CLONE_NEWNET) == 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
    close(fd);
}

static int sender(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

static void say(int fd, const char *to, uint16_t port, const void *bytes, size_t length)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    CHECK(inet_pton(AF_INET, to, &at.sin_addr) == 1);
    CHECK(sendto(fd, bytes, length, 0, (struct sockaddr *)&at, sizeof at) == (ssize_t)length);
}

static bool hear(struct xdp *xdp, struct transport_packet *packet)
{
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        for (unsigned i = 0; i < 2 * XDP_KERNEL; i++)
            if (xdp_receive(xdp, packet) == TRANSPORT_PACKET)
                return true;
        poll(NULL, 0, 1);
    }
    return false;
}

static struct feed_settings lines_on_lo(void)
{
    struct feed_settings feed = {.transport = TRANSPORT_XDP,
                                 .xdp_mode = XDP_MODE_GENERIC,
                                 .group = "127.0.0.1",
                                 .interface = "127.0.0.1",
                                 .port = PORT,
                                 .group_b = "127.0.0.2",
                                 .port_b = PORT,
                                 .request_host = "127.0.0.1",
                                 .request_port = PORT + 9};
    memcpy(feed.xdp_program, program, sizeof program);
    return feed;
}

static bool opens(struct xdp *xdp, const struct feed_settings *feed)
{
    struct failure failure = {0};
    bool opened = xdp_open(xdp, feed, -1, false, buffer, &failure);
    if (!opened)
        fprintf(stderr, "%s\n", failure.text);
    return opened;
}

static void everything(void)
{
    static struct xdp xdp;
    struct feed_settings feed = lines_on_lo();
    struct transport_packet packet;
    int fd = sender();
    xdp_init(&xdp);
    CHECK(opens(&xdp, &feed) && xdp.queues == 1);

    /* What waits in the kernel's sockets from before is taken first; too long for a frame, these two get there. */
    static uint8_t large[4000];
    say(fd, "127.0.0.1", PORT, large, sizeof large);
    say(fd, "127.0.0.2", PORT, large, sizeof large);
    say(fd, "127.0.0.1", PORT, large, 10);
    for (uint32_t n = 0; n < 3; n++)
        CHECK(xdp_receive(&xdp, &packet) == TRANSPORT_PACKET && (packet.length == 10) == (n == 2));
    CHECK(xdp_receive(&xdp, &packet) == TRANSPORT_NOTHING && xdp.by_kernel == 2 && xdp.by_ring == 1);

    /* More than the frames of a queue, in bursts, lines in turn. */
    for (uint32_t n = 0; n < 3 * XDP_FRAMES;) {
        uint32_t first = n;
        for (; n < first + 500; n++)
            say(fd, n % 2 == 0 ? "127.0.0.1" : "127.0.0.2", PORT, &n, sizeof n);
        for (uint32_t expected = first; expected < n; expected++) {
            CHECK(hear(&xdp, &packet) && packet.length == sizeof expected);
            CHECK(memcmp(packet.bytes, &expected, sizeof expected) == 0);
            CHECK(packet.line == (expected % 2 == 0 ? TRANSPORT_LINE_A : TRANSPORT_LINE_B) && packet.receive_ns != 0);
        }
    }
    CHECK(xdp.by_kernel == 2 && xdp.damaged == 0 && xdp_port_dropped(&xdp.ports[0]) == 0);

    /* More than there are frames, and nobody reads: the fill ring is empty, what finds no frame is lost and counted, and the next
     * packet after those that were kept comes. The kernel asks for no wake-up meanwhile: in copy and generic mode it takes frames
     * from the ring for each packet, and only drivers in zero-copy ask (xsk_set_rx_need_wakeup). */
    struct xdp_queue *queue = xdp.polled[0];
    for (uint32_t n = 0; n < XDP_FRAMES + 500; n++)
        say(fd, "127.0.0.1", PORT, &n, sizeof n);
    CHECK(__atomic_load_n(queue->fill.consumer, __ATOMIC_ACQUIRE) == *queue->fill.producer && !xdp_queue_needs_wakeup(queue));
    uint64_t lost = xdp_port_dropped(&xdp.ports[0]);
    CHECK(lost >= 500);
    for (uint32_t n = 0; n < XDP_FRAMES + 500 - lost; n++)
        CHECK(hear(&xdp, &packet) && memcmp(packet.bytes, &n, sizeof n) == 0);
    CHECK(xdp_receive(&xdp, &packet) == TRANSPORT_NOTHING && !xdp_queue_needs_wakeup(queue));
    for (uint32_t n = 0; n < 2 * XDP_FRAMES; n++) {
        say(fd, "127.0.0.2", PORT, &n, sizeof n);
        CHECK(hear(&xdp, &packet) && packet.line == TRANSPORT_LINE_B && memcmp(packet.bytes, &n, sizeof n) == 0);
    }

    /* Too long for a frame: by the kernel's socket. Another port: nobody's here. */
    say(fd, "127.0.0.1", PORT, large, sizeof large);
    CHECK(hear(&xdp, &packet) && packet.length == sizeof large && packet.line == TRANSPORT_LINE_A && xdp.by_kernel == 3);
    say(fd, "127.0.0.1", PORT + 1, large, 10);
    for (unsigned i = 0; i < 4 * XDP_KERNEL; i++)
        CHECK(xdp_receive(&xdp, &packet) == TRANSPORT_NOTHING);

    /* The re-request server answers by the kernel. */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT + 9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
    socklen_t size = sizeof from;
    int server = sender();
    char request[8];
    CHECK(bind(server, (struct sockaddr *)&at, sizeof at) == 0);
    struct feed_transport interface = xdp_interface(&xdp);
    CHECK(interface.request != NULL && interface.request(interface.self, (const uint8_t *)"please", 6) == 0);
    CHECK(recvfrom(server, request, sizeof request, 0, (struct sockaddr *)&from, &size) == 6);
    CHECK(sendto(server, "answer", 6, 0, (struct sockaddr *)&from, size) == 6);
    CHECK(hear(&xdp, &packet) && packet.length == 6 && packet.line == TRANSPORT_LINE_REQUESTED);

    /* A wait ends with a packet of the ring. */
    int fds[TRANSPORT_FDS];
    uint32_t count = interface.fds(interface.self, fds);
    struct pollfd ring = {.fd = fds[count - 1], .events = POLLIN};
    while (xdp_receive(&xdp, &packet) == TRANSPORT_PACKET)
        continue;
    CHECK(count <= TRANSPORT_FDS && poll(&ring, 1, 0) == 0);
    say(fd, "127.0.0.2", PORT, "x", 1);
    CHECK(poll(&ring, 1, PATIENCE_MS) == 1 && hear(&xdp, &packet) && packet.line == TRANSPORT_LINE_B);

    xdp_close(&xdp);
    char dropped[40];
    snprintf(dropped, sizeof dropped, ", %llu dropped", (unsigned long long)lost);
    CHECK(strstr(xdp.text, dropped) != NULL);
    CHECK(opens(&xdp, &feed)); /* at once: the queues come free in a moment */
    xdp_close(&xdp);
    xdp_close(&xdp);
    close(server);
    close(fd);
}

static void refusals(void)
{
    static struct xdp xdp;
    struct failure failure;
    struct feed_settings feed = lines_on_lo();
    strcpy(feed.xdp_program, "/nowhere/steer.bpf.o");
    xdp_init(&xdp);
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && strstr(failure.text, "built without clang") != NULL);
    feed = lines_on_lo();
    feed.xdp_mode = XDP_MODE_COPY; /* lo has no XDP in its driver */
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && strstr(failure.text, "set feed.xdp_mode = \"auto\"") != NULL);
    feed.xdp_mode = XDP_MODE_AUTO;
    CHECK(opens(&xdp, &feed) && strstr(xdp.text, "lo: generic, 1 queue (refused: zerocopy: ") != NULL);
    xdp_close(&xdp);
    feed.xdp_queues = 2;
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && strstr(failure.text, "no receive queue 1, only 0 to 0") != NULL);
    strcpy(feed.group, "nowhere");
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && strstr(failure.text, "must be IPv4 addresses") != NULL);
    CHECK(xdp.queues == 0 && xdp.wait < 0 && xdp.lines.fds[0] < 0);
}

/* What a driver cannot do in zero-copy, for want of memory too, another mode may; what the frames cannot be had for, none. */
static void refusals_of_drivers(void)
{
    static struct xdp xdp;
    struct failure failure;
    struct feed_settings feed = lines_on_lo();
    xdp_init(&xdp);
    feed.xdp_mode = XDP_MODE_AUTO;
    zerocopy_error = ENOMEM;
    CHECK(opens(&xdp, &feed) && strstr(xdp.text, "lo: generic, 1 queue (refused: zerocopy: queue 0: Cannot allocate memory; ") != NULL);
    xdp_close(&xdp);
    feed.xdp_mode = XDP_MODE_ZEROCOPY;
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && failure.code == ENOMEM);
    CHECK(strstr(failure.text, "AF_XDP on lo (MTU ") == failure.text && strstr(failure.text, "set feed.xdp_mode = \"auto\"") != NULL);
    feed.xdp_mode = XDP_MODE_AUTO;
    zerocopy_error = ENETDOWN;
    CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && failure.code == ENETDOWN);
    CHECK(strcmp(failure.text, "AF_XDP on lo: queue 0: Network is down: bring it up (`ip link set lo up`) and start again") == 0);
    zerocopy_error = 0;
    static const int errors[] = {ENOMEM, ENOBUFS, EINVAL, EPERM};
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        unsigned before = registrations, before_binds = binds;
        frames_error = errors[i];
        CHECK(!xdp_open(&xdp, &feed, -1, false, buffer, &failure) && failure.code == errors[i]);
        CHECK(registrations == before + 1 && binds == before_binds && strstr(failure.text, "AF_XDP on lo") == failure.text);
        CHECK(strstr(failure.text, errors[i] == EPERM ? "CAP_NET_RAW" : "feed.xdp_queues") != NULL);
    }
    frames_error = 0;
}

/* Against sums taken two bytes at a time. */
static uint16_t plain_sum(const uint8_t *at, uint32_t bytes)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < bytes; i += 2)
        sum += (uint32_t)at[i] << 8 | (i + 1 < bytes ? at[i + 1] : 0);
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)sum;
}

static void checksums(void)
{
    uint8_t packet[20 + 8 + 100], pseudo[12 + 8 + 100];
    for (uint32_t length = 0; length <= 100; length++) {
        memset(packet, 0, sizeof packet);
        for (uint32_t i = 0; i < sizeof packet; i++)
            packet[i] = (uint8_t)(i * 37 + length * 11);
        uint32_t udp_bytes = 8 + length;
        packet[24] = 0;
        packet[25] = (uint8_t)udp_bytes;
        memset(packet + 10, 0, 2);
        memset(packet + 26, 0, 2);
        uint16_t header = (uint16_t)~plain_sum(packet, 20);
        packet[10] = (uint8_t)(header >> 8);
        packet[11] = (uint8_t)header;
        CHECK(checksum_good(packet, udp_bytes)); /* none was made */
        memcpy(pseudo, packet + 12, 8);
        memcpy(pseudo + 8, (uint8_t[]){0, 17, 0, (uint8_t)udp_bytes}, 4);
        uint16_t partial = plain_sum(pseudo, 12);
        memcpy(pseudo + 12, packet + 20, udp_bytes);
        uint16_t sum = (uint16_t)~plain_sum(pseudo, 12 + udp_bytes);
        packet[26] = (uint8_t)(sum >> 8);
        packet[27] = (uint8_t)sum;
        CHECK(checksum_good(packet, udp_bytes));
        for (uint32_t at = 0; at < 20 + udp_bytes; at++) {
            packet[at] ^= 0x10; /* also makes other lengths and addresses of what it is */
            CHECK(!checksum_good(packet, udp_bytes));
            packet[at] ^= 0x10;
        }
        packet[26] = (uint8_t)(partial >> 8);
        packet[27] = (uint8_t)partial;
        CHECK(checksum_good(packet, udp_bytes)); /* for a NIC to complete */
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(program, sizeof program, "%s/steer.bpf.o", dirname(argv[0]));
    own_network();
    checksums();
    everything();
    refusals();
    refusals_of_drivers();
    return DONE();
}

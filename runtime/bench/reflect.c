/* SPDX-License-Identifier: Apache-2.0
 *
 * Ping-pong of a UDP datagram over a wire, each end by kernel sockets or by AF_XDP (transport/xdp_port.h with a ring to send by):
 * half a round trip is what one way costs, both programs included.
 *
 *   reflect serve socket|xdp ADDRESS PORT CPU PROGRAM              sends back what comes, until SIGTERM
 *   reflect ask   socket|xdp ADDRESS PORT CPU PROGRAM PEER COUNT   prints one JSON line: half round trips in ns, and what the
 *                                                                  call that sends takes
 *
 * ADDRESS is its own, PEER the other end's; both have the same PORT. An end by AF_XDP changes addresses and ports in the frame it got
 * and sends that; to have one to begin with, `ask` begins through the kernel. Spinning on both ends, no time stamps. */
#include <signal.h>

#include "clock.h"
#include "transport/xdp_port.h"
#include "wire.h"

#define ENTRIES 64u
#define BYTES 64u
#define WARM 2000u
#define PATIENCE_NS (1 * NS_PER_S)
#define COUNT_MAX (1u << 22)

static struct end {
    bool xdp, met; /* its socket is connected to the peer */
    int fd;
    struct sockaddr_in peer;
    struct xdp_port port;
    struct xdp_desc frame; /* the last that came */
} end;

static uint64_t halves[COUNT_MAX], sends[COUNT_MAX];
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* What one side got back from the other is known by its completion; the frame is free again. */
static void reap(struct xdp_queue *queue)
{
    struct xdp_ring *ring = &queue->completion;
    uint32_t done = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
    while (ring->cached_cons != done)
        xdp_queue_give_back(queue, ((const uint64_t *)ring->ring)[ring->cached_cons++ & ring->mask]);
    __atomic_store_n(ring->consumer, ring->cached_cons, __ATOMIC_RELEASE);
}

/* A connected socket looks up no route for each datagram: the best that sockets can do. */
static void meet(void)
{
    if (connect(end.fd, (struct sockaddr *)&end.peer, sizeof end.peer) != 0)
        wire_stop("connect", strerror(errno));
    end.met = true;
}

static bool receive(void)
{
    uint8_t bytes[2048];
    if (end.xdp)
        return xdp_queue_take(&end.port.queues[0], &end.frame);
    if (end.met)
        return recv(end.fd, bytes, sizeof bytes, MSG_DONTWAIT) == BYTES;
    socklen_t size = sizeof end.peer;
    if (recvfrom(end.fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&end.peer, &size) != BYTES)
        return false;
    meet();
    return true;
}

static void send_by_kernel(void)
{
    static const uint8_t bytes[BYTES];
    if (send(end.fd, bytes, sizeof bytes, 0) != sizeof bytes)
        wire_stop("send", strerror(errno));
}

static void swap(uint8_t *a, uint8_t *b, size_t bytes)
{
    uint8_t kept[8];
    memcpy(kept, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, kept, bytes);
}

/* Back to where the last one came from. */
static void answer(void)
{
    if (!end.xdp) {
        send_by_kernel();
        return;
    }
    struct xdp_queue *queue = &end.port.queues[0];
    uint8_t *frame = queue->frames + end.frame.addr;
    swap(frame, frame + 6, 6);
    swap(frame + 26, frame + 30, 4);
    swap(frame + 34, frame + 36, 2);
    memset(frame + 40, 0, 2); /* no checksum: it may have been one for a NIC to complete */
    struct xdp_ring *ring = &queue->send;
    ((struct xdp_desc *)ring->ring)[ring->cached_prod++ & ring->mask] = end.frame;
    __atomic_store_n(ring->producer, ring->cached_prod, __ATOMIC_RELEASE);
    if (sendto(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY)
        wire_stop("send", strerror(errno));
    reap(queue);
}

static void open_end(const char *mode, const char *address, const char *port, const char *program)
{
    struct sockaddr_in at = wire_address(address, port);
    end.xdp = strcmp(mode, "xdp") == 0;
    end.fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (end.fd < 0 || bind(end.fd, (struct sockaddr *)&at, sizeof at) != 0)
        wire_stop("bind", strerror(errno));
    if (!end.xdp)
        return;
    struct failure failure;
    const struct xdp_port_settings settings = {
        .mode = XDP_MODE_GENERIC, .queues = 1, .send_entries = ENTRIES, .cpu = -1, .program_path = program};
    xdp_port_init(&end.port);
    end.port.lines[0] = (struct steer_line){.group = at.sin_addr.s_addr, .port = at.sin_port};
    if (!netdev_of(&end.port.netdev, at.sin_addr, "ADDRESS", &failure) || !xdp_port_open(&end.port, &settings, &failure))
        wire_stop("AF_XDP", failure.text);
}

static bool receive_in_time(uint64_t start)
{
    for (uint32_t spins = 0; !receive(); spins++)
        if (spins % 1024 == 1023 && clock_now() - start > PATIENCE_NS)
            return false;
    return true;
}

static void ask(uint32_t count)
{
    uint32_t lost = 0, kept = 0;
    bool begun = false;
    for (uint32_t n = 0; n < WARM + count && lost < 10; n++) {
        uint64_t start = clock_now();
        if (begun)
            answer();
        else
            send_by_kernel();
        uint64_t sent = clock_now();
        begun = receive_in_time(start);
        lost += !begun;
        if (begun && n >= WARM) {
            sends[kept] = sent - start;
            halves[kept++] = (clock_now() - start) / 2;
        }
    }
    if (kept == 0)
        wire_stop("PEER", "does not answer");
    wire_sort(halves, kept);
    wire_sort(sends, kept);
    printf("{\"lost\": %u, ", lost);
    wire_print(halves, kept);
    printf(", \"send_ns\": %llu}\n", (unsigned long long)wire_percentile(sends, kept, 50));
}

int main(int argc, char **argv)
{
    bool serves = argc == 7 && strcmp(argv[1], "serve") == 0, asks = argc == 9 && strcmp(argv[1], "ask") == 0;
    if (!serves && !asks) {
        fprintf(stderr, "usage: reflect serve socket|xdp ADDRESS PORT CPU PROGRAM\n"
                        "       reflect ask socket|xdp ADDRESS PORT CPU PROGRAM PEER COUNT\n");
        return 2;
    }
    wire_pin(argv[5]);
    signal(SIGTERM, on_signal);
    open_end(argv[2], argv[3], argv[4], argv[6]);
    fprintf(stderr, "reflect: ready\n");
    if (asks) {
        uint32_t count = (uint32_t)atoi(argv[8]);
        end.peer = wire_address(argv[7], argv[4]);
        meet();
        ask(count < COUNT_MAX ? count : COUNT_MAX);
        return 0;
    }
    while (!stopped)
        if (receive())
            answer();
    return 0;
}

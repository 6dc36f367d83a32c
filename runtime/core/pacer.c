/* SPDX-License-Identifier: Apache-2.0 */
#include "pacer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define STOP_LATENCY_NS (100 * NS_PER_MS) /* longest sleep between looks at `stop` */

bool pacer_open(struct pacer *pacer, const char *group, uint16_t port, const char *interface, int ttl, int tos,
                struct failure *failure)
{
    const char *step = "socket";
    struct ip_mreqn from = {0};
    struct sockaddr_in local = {.sin_family = AF_INET};
    pacer->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    pacer->next_sequence = 1;
    pacer->fd = -1;
    if (inet_pton(AF_INET, group, &pacer->to.sin_addr) != 1 || inet_pton(AF_INET, interface, &from.imr_address) != 1)
        return failure_set(failure, EINVAL, "group \"%s\" and interface \"%s\" must be IPv4 addresses", group, interface);
    local.sin_addr = from.imr_address;
    pacer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (pacer->fd < 0)
        goto failed;
    step = "bind (is the interface an address of this machine?)";
    if (bind(pacer->fd, (struct sockaddr *)&local, sizeof local) != 0)
        goto failed;
    step = "multicast interface, ttl and type of service";
    if (setsockopt(pacer->fd, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) != 0 ||
        setsockopt(pacer->fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) != 0 ||
        setsockopt(pacer->fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos) != 0)
        goto failed;
    return true;
failed:
    failure_set(failure, errno, "feed %s:%u from %s: %s: %s", group, port, interface, step, strerror(errno));
    pacer_close(pacer);
    return false;
}

void pacer_close(struct pacer *pacer)
{
    if (pacer->fd >= 0)
        close(pacer->fd);
    pacer->fd = -1;
}

static bool send_packet(struct pacer *pacer, const uint8_t *packet, uint32_t length, struct failure *failure)
{
    char group[INET_ADDRSTRLEN];
    ssize_t sent;
    do
        sent = sendto(pacer->fd, packet, length, 0, (struct sockaddr *)&pacer->to, sizeof pacer->to);
    while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED)); /* refused: nobody listens yet, on this machine */
    if (sent >= 0)
        return true;
    int code = errno;
    inet_ntop(AF_INET, &pacer->to.sin_addr, group, sizeof group);
    return failure_set(failure, code, "feed %s:%u: send of %u bytes: %s", group, ntohs(pacer->to.sin_port), length,
                       strerror(code));
}

bool pacer_send_empty(struct pacer *pacer, uint16_t count, struct failure *failure)
{
    uint8_t packet[MOLD_HEADER];
    return send_packet(pacer, packet, mold_header(packet, pacer->session, pacer->next_sequence, count), failure);
}

/* Messages from `at` into a packet; returns its length and how many it took. */
static uint32_t fill_packet(const struct pacer *pacer, uint8_t *packet, uint64_t at, uint64_t end, uint16_t *count)
{
    uint32_t length = MOLD_HEADER;
    *count = 0;
    while (at < end && *count < pacer->messages_per_packet) {
        uint16_t bytes = (uint16_t)pacer->index[at];
        if (length + 2 + bytes > PACER_PACKET_MAX)
            break;
        put16(packet + length, bytes);
        memcpy(packet + length + 2, pacer->data + (pacer->index[at] >> 16), bytes);
        length += 2u + bytes;
        ++*count;
        ++at;
    }
    mold_header(packet, pacer->session, at - *count + 1, *count);
    return length;
}

/* False when told to stop meanwhile. */
static bool wait_until(struct pacer *pacer, uint64_t due_ns)
{
    for (;;) {
        if (atomic_load_explicit(&pacer->stop, memory_order_relaxed))
            return false;
        uint64_t now = clock_now();
        if (now >= due_ns)
            return true;
        clock_sleep_until(due_ns - now > STOP_LATENCY_NS ? now + STOP_LATENCY_NS : due_ns);
    }
}

bool pacer_run(struct pacer *pacer, double rate, uint64_t first, uint64_t count, struct pacer_result *result,
               struct failure *failure)
{
    uint8_t packet[PACER_PACKET_MAX];
    uint64_t at = first < pacer->count ? first : pacer->count;
    uint64_t end = count < pacer->count - at ? at + count : pacer->count;
    uint64_t start = clock_now();
    bool sent = true;
    memset(result, 0, sizeof *result);
    while (sent && at < end) {
        uint64_t due = rate > 0 ? start + (uint64_t)((double)result->messages * 1e9 / rate) : start;
        if (!wait_until(pacer, due))
            break;
        uint16_t took;
        uint32_t length = fill_packet(pacer, packet, at, end, &took);
        if (took == 0) {
            sent = failure_set(failure, EMSGSIZE, "message %llu of the feed: longer than a packet of %d bytes",
                               (unsigned long long)at, PACER_PACKET_MAX);
            break;
        }
        if (rate > 0) {
            uint64_t late = clock_now() - due;
            if (late > result->late_max_ns)
                result->late_max_ns = late;
        }
        sent = send_packet(pacer, packet, length, failure);
        at += took;
        result->messages += took;
        result->packets++;
    }
    pacer->next_sequence = at + 1;
    result->elapsed_ns = clock_now() - start;
    return sent;
}

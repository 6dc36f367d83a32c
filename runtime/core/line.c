/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "transport/options.h"

bool line_open(struct line *line, const char *group, uint16_t port, const char *interface, int ttl, int tos,
               struct failure *failure)
{
    const char *step = "socket";
    struct ip_mreqn from = {0};
    struct sockaddr_in local = {.sin_family = AF_INET};
    line->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    line->fd = -1;
    if (inet_pton(AF_INET, group, &line->to.sin_addr) != 1 || inet_pton(AF_INET, interface, &from.imr_address) != 1)
        return failure_set(failure, EINVAL, "group \"%s\" and interface \"%s\" must be IPv4 addresses", group, interface);
    local.sin_addr = from.imr_address;
    line->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (line->fd < 0)
        goto failed;
    step = "bind (is the interface an address of this machine?)";
    if (bind(line->fd, (struct sockaddr *)&local, sizeof local) != 0)
        goto failed;
    step = "multicast interface, ttl and type of service";
    if (setsockopt(line->fd, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) != 0 ||
        setsockopt(line->fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) != 0 ||
        setsockopt(line->fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos) != 0)
        goto failed;
    return true;
failed:
    failure_set(failure, errno, "feed %s:%u from %s: %s: %s", group, port, interface, step, strerror(errno));
    line_close(line);
    return false;
}

bool line_stamp(struct line *line, bool card, struct failure *failure)
{
    /* Without it first the numbers would go on where an earlier call left them. */
    return (set_stamping(line->fd, 0) && set_stamping(line->fd, send_stamping(card))) ||
           failure_set(failure, errno, "feed: time stamps of what is sent (SO_TIMESTAMPING): %s", strerror(errno));
}

void line_close(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
}

void line_impair(struct line *line, const struct line_faults *faults)
{
    line->faults = *faults;
    line->random = faults->seed;
    line->counts = (struct line_counts){0};
    line->queued = line->held_length = 0;
    line->held_queued = false;
}

/* The next draw of splitmix64: true with this probability. */
static bool drawn(struct line *line, double probability)
{
    uint64_t z = line->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53 < probability;
}

static void queue(struct line *line, uint8_t *packet, uint32_t length, uint32_t copies)
{
    while (copies-- > 0) {
        line->parts[line->queued] = (struct iovec){.iov_base = packet, .iov_len = length};
        line->batch[line->queued].msg_hdr = (struct msghdr){.msg_name = &line->to,
                                                            .msg_namelen = sizeof line->to,
                                                            .msg_iov = &line->parts[line->queued],
                                                            .msg_iovlen = 1};
        line->queued++;
    }
}

static void release_held(struct line *line)
{
    queue(line, line->held, line->held_length, line->held_copies);
    line->held_length = 0;
    line->held_queued = true;
}

bool line_offer(struct line *line, uint8_t *packet, uint32_t length, struct failure *failure)
{
    bool lost = drawn(line, line->faults.loss);
    bool twice = drawn(line, line->faults.duplicate);
    bool late = drawn(line, line->faults.reorder);
    uint32_t copies = lost ? 0 : twice ? 2 : 1;
    line->counts.lost += lost;
    line->counts.duplicated += !lost && twice;
    if (line->held_length != 0 || lost || !late) {
        queue(line, packet, length, copies);
        if (line->held_length != 0)
            release_held(line);
        return true;
    }
    if (line->held_queued && !line_flush(line, failure))
        return false;
    memcpy(line->held, packet, length);
    line->held_length = length;
    line->held_copies = copies;
    line->counts.reordered++;
    return true;
}

bool line_flush(struct line *line, struct failure *failure)
{
    char group[INET_ADDRSTRLEN];
    uint32_t done = 0;
    while (done < line->queued) {
        int sent = sendmmsg(line->fd, line->batch + done, line->queued - done, 0);
        if (sent > 0) {
            done += (uint32_t)sent;
        } else if (errno != EINTR && errno != ECONNREFUSED) { /* refused: nobody listens yet, on this machine */
            int code = errno;
            inet_ntop(AF_INET, &line->to.sin_addr, group, sizeof group);
            line->queued = 0;
            return failure_set(failure, code, "feed %s:%u: send of %u bytes: %s", group, ntohs(line->to.sin_port),
                               (unsigned)line->parts[done].iov_len, strerror(code));
        }
    }
    line->queued = 0;
    line->held_queued = false;
    return true;
}

bool line_finish(struct line *line, struct failure *failure)
{
    if (line->held_length != 0)
        release_held(line);
    return line_flush(line, failure);
}

bool line_send(struct line *line, uint8_t *packet, uint32_t length, struct failure *failure)
{
    queue(line, packet, length, 1);
    return line_flush(line, failure);
}

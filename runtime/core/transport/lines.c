/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "options.h"

#define FEED_BUFFER_BYTES (8 << 20) /* bursts wait here while the engine is busy or not yet running */

/* One line as the configuration has it; `suffix` is "" or "_b". */
struct line {
    const char *suffix, *group, *interface, *source;
    uint16_t port;
};

/* --- opening --- */

static bool is_multicast(struct in_addr address)
{
    return (ntohl(address.s_addr) & 0xF0000000u) == 0xE0000000u;
}

static int open_socket(uint32_t busy_poll_us)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, FEED_BUFFER_BYTES)) /* needs CAP_NET_ADMIN; else up to rmem_max */
        set_int(fd, SOL_SOCKET, SO_RCVBUF, FEED_BUFFER_BYTES);
    if (busy_poll_us > 0) /* a hint: refused without CAP_NET_ADMIN above the system's value, ignored by lo and veth */
        set_int(fd, SOL_SOCKET, SO_BUSY_POLL, (int)busy_poll_us);
    return fd;
}

static bool join(int fd, struct in_addr group, struct in_addr interface, struct in_addr source)
{
    if (!set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0))
        return false;
    if (source.s_addr != INADDR_ANY) {
        struct ip_mreq_source from = {.imr_multiaddr = group, .imr_interface = interface, .imr_sourceaddr = source};
        return setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &from, sizeof from) == 0;
    }
    struct ip_mreqn any = {.imr_multiaddr = group, .imr_address = interface};
    return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &any, sizeof any) == 0;
}

static bool open_line(int *fd, const struct line *line, uint32_t busy_poll_us, struct failure *failure)
{
    const char *step = "socket";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(line->port)};
    struct in_addr interface, source = {INADDR_ANY};
    bool filtered = line->source[0] != '\0';
    if (inet_pton(AF_INET, line->group, &at.sin_addr) != 1 || inet_pton(AF_INET, line->interface, &interface) != 1 ||
        (filtered && inet_pton(AF_INET, line->source, &source) != 1))
        return failure_set(failure, EINVAL,
                           "feed.group%s \"%s\", feed.interface%s \"%s\" and feed.source%s \"%s\" must be IPv4 addresses",
                           line->suffix, line->group, line->suffix, line->interface, line->suffix, line->source);
    if (filtered && !is_multicast(at.sin_addr))
        return failure_set(failure, EINVAL,
                           "feed.source%s %s: only a multicast group is joined for one source, feed.group%s %s is none; leave "
                           "feed.source%s out",
                           line->suffix, line->source, line->suffix, line->group, line->suffix);
    *fd = open_socket(busy_poll_us);
    if (*fd < 0)
        goto failed;
    step = "reuse address";
    if (!set_int(*fd, SOL_SOCKET, SO_REUSEADDR, 1))
        goto failed;
    step = "bind";
    if (bind(*fd, (struct sockaddr *)&at, sizeof at) != 0)
        goto failed;
    if (is_multicast(at.sin_addr) && !join(*fd, at.sin_addr, interface, source))
        return failure_set(failure, errno, "feed %s:%u on %s: join the group (is feed.interface%s an address of this machine?): %s",
                           line->group, line->port, line->interface, line->suffix, strerror(errno));
    return true;
failed:
    return failure_set(failure, errno, "feed %s:%u on %s: %s: %s", line->group, line->port, line->interface, step,
                       strerror(errno));
}

bool lines_open_request(int *fd, const struct feed_settings *feed, struct failure *failure)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(feed->request_port)};
    if (inet_pton(AF_INET, feed->request_host, &to.sin_addr) != 1)
        return failure_set(failure, EINVAL, "feed.request_host \"%s\" must be an IPv4 address", feed->request_host);
    *fd = open_socket(feed->busy_poll_us);
    /* Connected: only the server's answers come in, and from the address the routes choose. */
    if (*fd >= 0 && connect(*fd, (struct sockaddr *)&to, sizeof to) == 0)
        return true;
    return failure_set(failure, errno, "feed.request_host %s, feed.request_port %u: %s", feed->request_host, feed->request_port,
                       strerror(errno));
}

void lines_init(struct lines *lines)
{
    memset(lines, 0, sizeof *lines);
    for (unsigned i = 0; i < LINES; i++)
        lines->fds[i] = -1;
}

bool lines_open(struct lines *lines, const struct feed_settings *feed, uint8_t *buffer, struct failure *failure)
{
    const struct line a = {"", feed->group, feed->interface, feed->source, feed->port};
    const struct line b = {"_b", feed->group_b, feed->interface_b[0] != '\0' ? feed->interface_b : feed->interface, feed->source_b,
                           feed->port_b};
    lines_close(lines);
    lines->io = (struct iovec){.iov_base = buffer, .iov_len = MOLD_PACKET_MAX};
    lines->message = (struct msghdr){.msg_iov = &lines->io, .msg_iovlen = 1, .msg_control = lines->control};
    lines->busy = lines->stamped = lines->unstamped = false;
    lines->clock = STAMP_NONE;
    lines->turn = LINES - 1; /* so that A is next */
    lines->rounds = lines->await = 0;
    if (!open_line(&lines->fds[TRANSPORT_LINE_A], &a, feed->busy_poll_us, failure))
        return false;
    if (strcmp(a.group, b.group) == 0 && strcmp(a.interface, b.interface) == 0 && strcmp(a.source, b.source) == 0 &&
        a.port == b.port) /* the kernel would give each packet to one of them only, or the same to both */
        return failure_set(failure, EINVAL,
                           "feed.group_b %s, feed.port_b %u: the same as line A's; the lines must differ in group, port, interface "
                           "or source",
                           b.group, b.port);
    if (b.group[0] != '\0' && !open_line(&lines->fds[TRANSPORT_LINE_B], &b, feed->busy_poll_us, failure))
        return false;
    if (feed->request_host[0] != '\0' && !lines_open_request(&lines->fds[TRANSPORT_LINE_REQUESTED], feed, failure))
        return false;
    lines->open = lines->fds[TRANSPORT_LINE_B] >= 0 ? 2 : 1;
    return true;
}

bool lines_stamp(struct lines *lines, enum stamp_clock clock)
{
    int flags = receive_stamping(clock == STAMP_HARDWARE);
    for (unsigned i = 0; i < LINES; i++)
        if (lines->fds[i] >= 0 && !set_stamping(lines->fds[i], flags))
            return false;
    lines->clock = (uint8_t)clock;
    return true;
}

void lines_close(struct lines *lines)
{
    for (unsigned i = 0; i < LINES; i++) {
        if (lines->fds[i] >= 0)
            close(lines->fds[i]);
        lines->fds[i] = -1;
    }
}

/* --- running --- */

static inline void put_stamps(struct transport_packet *packet, struct packet_stamps stamps)
{
    bool hardware = stamps.hardware_ns != 0;
    packet->receive_ns = hardware ? stamps.hardware_ns : stamps.software_ns;
    packet->receive_software_ns = hardware ? stamps.software_ns : 0;
    packet->receive_clock = hardware ? STAMP_HARDWARE : stamps.software_ns != 0 ? STAMP_SOFTWARE : STAMP_NONE;
}

static int receive_on(struct lines *lines, uint8_t line, struct transport_packet *packet)
{
    lines->message.msg_controllen = sizeof lines->control;
    ssize_t got = recvmsg(lines->fds[line], &lines->message, MSG_DONTWAIT);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR || line == TRANSPORT_LINE_REQUESTED)
            return TRANSPORT_NOTHING; /* a re-request server that is away (ECONNREFUSED) is a gap that times out */
        return -errno;
    }
    packet->bytes = lines->io.iov_base;
    packet->length = (uint32_t)got;
    packet->line = line;
    put_stamps(packet, (struct packet_stamps){0, 0});
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&lines->message); c != NULL; c = CMSG_NXTHDR(&lines->message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
            put_stamps(packet, stamps_of(c));
    lines->stamped |= packet->receive_clock == lines->clock;
    lines->unstamped |= packet->receive_clock != lines->clock;
    return TRANSPORT_PACKET;
}

/* Move the turn on, past what is not there and, mostly, past a request socket nothing is expected from. */
static uint8_t next_line(struct lines *lines)
{
    do
        lines->turn = lines->turn + 1u < LINES ? lines->turn + 1 : 0;
    while (lines->fds[lines->turn] < 0 ||
           (lines->turn == TRANSPORT_LINE_REQUESTED && lines->await == 0 && ++lines->rounds % LINES_LATE != 0));
    return lines->turn;
}

int lines_receive(struct lines *lines, struct transport_packet *packet)
{
    unsigned left = lines->open;
    int got;
    lines->await -= lines->await > 0;
    do {
        uint8_t line = next_line(lines);
        got = receive_on(lines, line, packet);
        left -= line != TRANSPORT_LINE_REQUESTED;
    } while (got == TRANSPORT_NOTHING && lines->busy && left > 0);
    lines->busy = got == TRANSPORT_PACKET;
    return got;
}

int lines_request(struct lines *lines, const uint8_t *bytes, uint32_t length)
{
    if (send(lines->fds[TRANSPORT_LINE_REQUESTED], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    lines->await = LINES_AWAIT;
    return 0;
}

static int receive(void *opaque, struct transport_packet *packet)
{
    return lines_receive(opaque, packet);
}

static int request(void *opaque, const uint8_t *bytes, uint32_t length)
{
    return lines_request(opaque, bytes, length);
}

static uint32_t line_fds(void *opaque, int fds[])
{
    memcpy(fds, ((struct lines *)opaque)->fds, LINES * sizeof *fds);
    return LINES;
}

struct feed_transport lines_interface(struct lines *lines)
{
    return (struct feed_transport){.self = lines,
                                   .receive = receive,
                                   .request = lines->fds[TRANSPORT_LINE_REQUESTED] >= 0 ? request : NULL,
                                   .fds = line_fds};
}

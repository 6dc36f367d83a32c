/* SPDX-License-Identifier: Apache-2.0 */
#include "arrival.h"

#include <errno.h>
#include <linux/tcp.h>

/* What has come so far, read or not. */
static bool ask(int fd, uint64_t *bytes, uint32_t *segments)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    *bytes = info.tcpi_bytes_received;
    *segments = info.tcpi_data_segs_in;
    return true;
}

void arrivals_init(struct arrivals *self, int fd)
{
    *self = (struct arrivals){.fd = fd, .known = true};
}

int arrivals_read(struct arrivals *self, uint8_t *bytes, uint32_t capacity, struct arrival *arrival)
{
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct iovec io = {bytes, capacity};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    uint64_t come;
    uint32_t segments;
    bool asked = ask(self->fd, &come, &segments);
    ssize_t got = recvmsg(self->fd, &message, MSG_DONTWAIT);
    *arrival = (struct arrival){.whole = false};
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (got == 0)
        return 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
            arrival->at = stamps_of(c);
    self->bytes += (uint64_t)got;
    if (asked && come == self->bytes) {
        arrival->whole = self->known && segments - self->segments == 1;
        self->segments = segments;
        self->known = true;
    } else { /* more has come meanwhile, or more waits than was read */
        self->known = ask(self->fd, &come, &self->segments) && come == self->bytes;
    }
    return (int)got;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "twin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "options.h"

#define TWIN_TIMEOUT_MS 100

void twin_init(struct twin *twin)
{
    *twin = (struct twin){.out = -1, .in = -1};
}

void twin_close(struct twin *twin)
{
    if (twin->out >= 0)
        close(twin->out);
    if (twin->in >= 0)
        close(twin->in);
    twin_init(twin);
}

/* Anybody on this machine may connect while the door is open: is it us who did? */
static bool are_ends(int out, int in)
{
    struct sockaddr_in ours, theirs;
    socklen_t our_size = sizeof ours, their_size = sizeof theirs;
    return getsockname(out, (struct sockaddr *)&ours, &our_size) == 0 &&
           getpeername(in, (struct sockaddr *)&theirs, &their_size) == 0 && ours.sin_port == theirs.sin_port &&
           ours.sin_addr.s_addr == theirs.sin_addr.s_addr;
}

/* Loopback connects at once, unless a filter drops what it carries. */
static bool connect_soon(int fd, const struct sockaddr_in *to)
{
    struct pollfd until = {.fd = fd, .events = POLLOUT};
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
        return true;
    return errno == EINPROGRESS && poll(&until, 1, TWIN_TIMEOUT_MS) == 1 && (until.revents & (POLLERR | POLLHUP)) == 0;
}

bool twin_open(struct twin *twin, int tos)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    twin_close(twin);
    twin->out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool listens = door >= 0 && twin->out >= 0 && bind(door, (struct sockaddr *)&at, sizeof at) == 0 && listen(door, 1) == 0 &&
                   getsockname(door, (struct sockaddr *)&at, &size) == 0;
    if (listens && connect_soon(twin->out, &at))
        twin->in = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    if (door >= 0)
        close(door);
    if (twin->in >= 0 && are_ends(twin->out, twin->in) && set_int(twin->out, IPPROTO_TCP, TCP_NODELAY, 1) &&
        set_int(twin->out, IPPROTO_IP, IP_TOS, tos))
        return true;
    twin_close(twin);
    return false;
}

void twin_send(struct twin *twin, const uint8_t *bytes, uint32_t length)
{
    if (twin->out < 0)
        return;
    bool sent = send(twin->out, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR) > 0;
    if (sent && ++twin->unread < TWIN_READ_EVERY)
        return;
    bool broken = !sent && errno != EAGAIN && errno != EINTR; /* somebody has reset it */
    twin->unread = 0;
    if (broken || recv(twin->in, NULL, TWIN_READ_BYTES, MSG_DONTWAIT | MSG_TRUNC) == 0) /* thrown away in the kernel */
        twin_close(twin);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "wire.h"

/* --- datagrams --- */

static int send_datagram(void *opaque, const uint8_t *message)
{
    struct bench_socket *self = opaque;
    if (LIKELY(send(self->fd, message, self->size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0))
        return 0;
    /* Refused was an earlier datagram, whose loss is counted; this one has not left. */
    return errno == ENOBUFS || errno == ECONNREFUSED || errno == EINTR ? -EAGAIN : -errno;
}

static int receive_datagram(void *opaque, const uint8_t **message)
{
    struct bench_socket *self = opaque;
    ssize_t length = recv(self->fd, self->in, self->size, MSG_DONTWAIT | MSG_TRUNC);
    if (LIKELY(length == (ssize_t)self->size)) {
        *message = self->in;
        return 1;
    }
    if (length >= 0) {
        self->end->wrong_size++;
        return 0;
    }
    return errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED ? 0 : -errno;
}

/* --- a stream --- */

/* What is left of a message, as far as the kernel takes it now. */
static int push(struct bench_socket *self)
{
    while (self->taken < self->pending) {
        ssize_t sent = send(self->fd, self->out + self->taken, self->pending - self->taken, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EINTR ? -EAGAIN : -errno;
        self->taken += (uint32_t)sent;
    }
    self->pending = self->taken = 0;
    return 0;
}

static int send_stream(void *opaque, const uint8_t *message)
{
    struct bench_socket *self = opaque;
    if (UNLIKELY(self->pending > 0)) {
        int result = push(self);
        if (result != 0)
            return result;
    }
    ssize_t sent = send(self->fd, message, self->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (LIKELY(sent == (ssize_t)self->size))
        return 0;
    if (sent < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    memcpy(self->out, message, self->size);
    self->pending = self->size;
    self->taken = (uint32_t)sent;
    return 0;
}

static int receive_stream(void *opaque, const uint8_t **message)
{
    struct bench_socket *self = opaque;
    if (UNLIKELY(self->pending > 0)) {
        int result = push(self);
        if (result != 0 && result != -EAGAIN)
            return result;
    }
    if (self->have < self->size) {
        if (self->begin > 0) {
            memmove(self->in, self->in + self->begin, self->have);
            self->begin = 0;
        }
        ssize_t length = recv(self->fd, self->in + self->have, sizeof self->in - self->have, MSG_DONTWAIT);
        if (length == 0)
            return -ECONNRESET;
        if (length < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        self->have += (uint32_t)length;
        if (self->have < self->size)
            return 0;
    }
    *message = self->in + self->begin;
    self->begin += self->size;
    self->have -= self->size;
    return 1;
}

void bench_socket_init(struct bench_socket *self, struct bench_end *end, int fd, bool stream, uint32_t size)
{
    memset(self, 0, sizeof *self);
    self->end = end;
    self->fd = fd;
    self->size = size;
    *end = (struct bench_end){.self = self,
                              .send = stream ? send_stream : send_datagram,
                              .receive = stream ? receive_stream : receive_datagram,
                              .size = size};
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A benchmark's end (bench_end.h) over a connected socket, UDP or TCP.
 *
 * Over TCP a message is the next `size` bytes of the stream; what the kernel takes of one only in part is held here and goes before
 * anything else. Nagle's delay is for whoever made the socket to switch off. */
#ifndef TICKWIRE_BENCH_SOCKET_H
#define TICKWIRE_BENCH_SOCKET_H

#include "bench_end.h"

#define BENCH_STREAM_ROOM (2 * BENCH_SIZE_MAX)

struct bench_socket {
    struct bench_end *end; /* counts messages of a wrong size */
    int fd;
    uint32_t size;
    uint32_t begin, have;    /* bytes received and not yet given out */
    uint32_t pending, taken; /* bytes of the message the kernel took in part, and how many it took */
    uint8_t in[BENCH_STREAM_ROOM];
    uint8_t out[BENCH_SIZE_MAX];
};

/* `fd` is connected and stays the caller's. */
void bench_socket_init(struct bench_socket *self, struct bench_end *end, int fd, bool stream, uint32_t size);

#endif

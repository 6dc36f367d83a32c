/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets market data comes on: line A, line B if there is one, and the socket of the re-request server if there is one.
 *
 * Order of polling. The sockets have their turns: A, B, the request socket, and again; one that is not there has none. The request
 * socket has its turn in the LINES_AWAIT calls after a request, and otherwise, for answers that come late, in every LINES_LATE-th
 * round. While nothing comes a call gives one turn, so it costs one system call. After a packet the next call looks at each
 * line before it says `nothing`: the packet's twin on the other line comes next, and `nothing` means that no burst is under way. */
#ifndef TICKWIRE_TRANSPORT_LINES_H
#define TICKWIRE_TRANSPORT_LINES_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "../engine.h"
#include "../failure.h"

#define LINES 3 /* by enum transport_line */
#define LINES_AWAIT 65536u
#define LINES_LATE 256u

struct lines {
    int fds[LINES];   /* -1: none */
    bool stamped;     /* all of them */
    bool busy;        /* the last call had a packet */
    uint8_t turn;     /* the line looked at last */
    uint8_t open;     /* how many of A and B there are */
    uint32_t rounds;  /* in which the request socket had no turn */
    uint32_t await;   /* calls left in which an answer is expected */
    struct iovec io;
    struct msghdr message;
    _Alignas(struct cmsghdr) uint8_t control[256];
};

void lines_init(struct lines *lines);

/* Open what the settings name; `buffer` holds MOLD_PACKET_MAX bytes. On failure the caller closes. */
bool lines_open(struct lines *lines, const struct feed_settings *feed, uint8_t *buffer, struct failure *failure);
void lines_close(struct lines *lines);

/* The socket of the re-request server alone, for a feed that comes another way. */
bool lines_open_request(int *fd, const struct feed_settings *feed, struct failure *failure);

/* As struct feed_transport says. */
int lines_receive(struct lines *lines, struct transport_packet *packet);
int lines_request(struct lines *lines, const uint8_t *bytes, uint32_t length);
struct feed_transport lines_interface(struct lines *lines);

#endif

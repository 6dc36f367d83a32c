/* SPDX-License-Identifier: Apache-2.0
 *
 * The order connection against a peer that reads late: what was taken arrives whole and in order, what was refused not at all.
 * Over a pair of stream sockets with small buffers, which, unlike TCP with orders of this size, often take half a packet. And over
 * TCP: what becomes of that which the other end has not acknowledged when the connection is closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "transport/connection.h"

#define PACKET 3000u
#define PACKETS 400u

static uint8_t expected[PACKETS * PACKET], arrived[PACKETS * PACKET];
static uint32_t taken, got, halves, refusals;

static void read_some(int peer, uint32_t most)
{
    while (most > 0) {
        ssize_t more = recv(peer, arrived + got, most < sizeof arrived - got ? most : sizeof arrived - got, MSG_DONTWAIT);
        if (more <= 0)
            return;
        got += (uint32_t)more;
        most -= (uint32_t)more;
    }
}

static void offer(struct connection *self, uint8_t value)
{
    uint8_t packet[PACKET];
    uint32_t last_byte = 0;
    for (uint32_t i = 0; i < PACKET; i++)
        packet[i] = (uint8_t)(value + i);
    int result = connection_send(self, packet, PACKET, &last_byte);
    CHECK(result == 0 || result == -EAGAIN);
    refusals += result != 0;
    if (result != 0)
        return;
    memcpy(expected + taken, packet, PACKET);
    taken += PACKET;
    halves += self->pending > 0;
    CHECK(last_byte == taken - 1); /* the kernel's key of its stamp counts what is still to be sent */
}

static void test_a_late_reader(void)
{
    int pair[2], small = 1;
    uint64_t state = 7;
    uint8_t answer[16];
    struct connection self = {0};
    connection_init(&self);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    self.fd = pair[0];
    for (uint32_t i = 0; i < PACKETS; i++) {
        offer(&self, (uint8_t)chance(&state));
        if (chance(&state) % 2 == 0)
            read_some(pair[1], (uint32_t)(chance(&state) % (2 * PACKET)));
        if (chance(&state) % 4 == 0)
            CHECK(connection_receive(&self, answer, sizeof answer) == 0); /* sends the rest too */
    }
    CHECK(halves > 10 && refusals > 10 && taken > 10 * PACKET);
    for (uint32_t i = 0; i < 2 * PACKETS && got < taken; i++) {
        read_some(pair[1], PACKET);
        CHECK(connection_receive(&self, answer, sizeof answer) == 0);
    }
    CHECK(self.pending == 0 && got == taken && memcmp(arrived, expected, taken) == 0);
    close(pair[1]);
    connection_close(&self);
}

/* The rest of a packet dies with its connection: on the next one it would be the beginning of nonsense. */
static void test_a_half_packet_ends_with_its_connection(void)
{
    int pair[2], next[2], small = 1;
    uint32_t last_byte;
    uint8_t byte, some[2 * PACKET];
    uint64_t state = 7;
    static const uint8_t packet[PACKET];
    struct connection self = {0};
    connection_init(&self);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, next) == 0);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    self.fd = pair[0];
    for (uint32_t i = 0; i < PACKETS && self.pending == 0; i++)
        if (connection_send(&self, packet, PACKET, &last_byte) != 0) /* full to the brim: not yet a half */
            CHECK(recv(pair[1], some, 1 + chance(&state) % sizeof some, MSG_DONTWAIT) > 0);
    CHECK(self.pending > 0);
    close(pair[1]);
    CHECK(connection_send(&self, packet, PACKET, &last_byte) == -EPIPE);
    atomic_store(&self.next, next[0]);
    CHECK(connection_take(&self) && self.pending == 0);
    CHECK(connection_send(&self, (const uint8_t *)"x", 1, &last_byte) == 0 && last_byte == 0);
    CHECK(recv(next[1], &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x' && recv(next[1], &byte, 1, MSG_DONTWAIT) == -1);
    close(next[1]);
    connection_close(&self);
}

/* A connection of TCP, more waiting in it than the peer has room for; returns the peer's end. */
static int fill(struct connection *self)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int small = 4096, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static const uint8_t packet[PACKET];
    uint32_t last_byte;
    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    connection_init(self);
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    self->sent_bytes = self->pending = 0;
    CHECK(listen(listener, 1) == 0 && connect(self->fd, (struct sockaddr *)&at, size) == 0);
    int peer = accept(listener, NULL, NULL);
    CHECK(peer >= 0 && fcntl(self->fd, F_SETFL, O_NONBLOCK) == 0);
    for (uint32_t i = 0; i < 20; i++)
        CHECK(connection_send(self, packet, PACKET, &last_byte) == 0);
    close(listener);
    return peer;
}

/* How much the peer gets in all; the last errno, 0 for an end in order. */
static uint32_t drain(int peer, int *error)
{
    uint8_t some[PACKET];
    uint32_t all = 0;
    ssize_t more = -1;
    struct pollfd until = {.fd = peer, .events = POLLIN};
    while (poll(&until, 1, 20000) == 1 && (more = recv(peer, some, sizeof some, 0)) > 0)
        all += (uint32_t)more;
    *error = more < 0 ? errno : 0;
    close(peer);
    return all;
}

/* Given up as lost: an order that waited never arrives, however long the peer lives. After a logout everything does. */
static void test_what_was_not_acknowledged(void)
{
    struct connection self = {0};
    int error, peer = fill(&self);
    connection_abandon(&self);
    CHECK(self.fd == -1 && drain(peer, &error) < 20 * PACKET && error == ECONNRESET);
    connection_abandon(&self); /* none is there */
    peer = fill(&self);
    connection_drop(&self);
    CHECK(self.fd == -1 && drain(peer, &error) == 20 * PACKET && error == 0);
}

int main(void)
{
    test_what_was_not_acknowledged();
    test_a_late_reader();
    test_a_half_packet_ends_with_its_connection();
    return DONE();
}

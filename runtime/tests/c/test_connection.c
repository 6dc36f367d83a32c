/* SPDX-License-Identifier: Apache-2.0
 *
 * The order connection against a peer that reads late: what was taken arrives whole and in order, what was refused not at all.
 * Over a pair of stream sockets with small buffers, which, unlike TCP with orders of this size, often take half a packet. */
#include <errno.h>
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

int main(void)
{
    test_a_late_reader();
    test_a_half_packet_ends_with_its_connection();
    return DONE();
}

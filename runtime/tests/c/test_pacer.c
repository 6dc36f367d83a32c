/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "pacer.h"

#define COUNT 200 /* twice as many packets fit the receive buffer of any machine */
#define BODY 19 /* an Order Delete */

static uint8_t data[COUNT * BODY];
static uint64_t index_[COUNT];
static struct pacer pacer;

static int receiver(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 1 << 22;
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &length) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Messages in the packets that wait, and how many packets there are. */
static uint64_t drain(int fd, uint64_t *packets)
{
    uint8_t packet[2048];
    uint64_t messages = 0;
    ssize_t length;
    for (*packets = 0; (length = recv(fd, packet, sizeof packet, 0)) >= MOLD_HEADER; ++*packets)
        messages += get16(packet + MOLD_SESSION + 8);
    return messages;
}

static void open_pacer(uint32_t per_packet, const uint16_t ports[PACER_LINES])
{
    struct failure failure;
    memset(&pacer, 0, sizeof pacer);
    for (uint64_t i = 0; i < COUNT; i++) {
        data[i * BODY] = 'D';
        put16(data + i * BODY + 1, (uint16_t)(i % 5));
        index_[i] = i * BODY << 16 | BODY;
    }
    pacer.data = data;
    pacer.index = index_;
    pacer.count = COUNT;
    pacer.messages_per_packet = per_packet;
    pacer.next_sequence = 1;
    for (int i = 0; i < PACER_LINES; i++)
        CHECK(line_open(&pacer.lines[i], "127.0.0.1", ports[i], "127.0.0.1", 1, 0, &failure));
}

static void every_fault_at_any_odds_stays_inside_its_memory(void)
{
    static const double odds[] = {0, 0.3, 1};
    uint16_t ports[PACER_LINES];
    int fds[PACER_LINES] = {receiver(&ports[0]), receiver(&ports[1])};
    for (unsigned n = 0; n < 27; n++) {
        struct line_faults faults = {odds[n % 3], odds[n / 3 % 3], odds[n / 9], .seed = n};
        struct pacer_result result;
        struct failure failure;
        open_pacer(1 + n % 4, ports);
        line_impair(&pacer.lines[1], &faults);
        CHECK(pacer_run(&pacer, (struct pacer_pace){0}, 0, COUNT, &result, &failure));
        CHECK(result.messages == COUNT && pacer.next_sequence == COUNT + 1);
        uint64_t packets;
        CHECK(drain(fds[0], &packets) == COUNT && packets == result.packets);
        struct line_counts counts = pacer.lines[1].counts;
        drain(fds[1], &packets);
        CHECK(packets == result.packets - counts.lost + counts.duplicated);
        CHECK(faults.loss > 0 || counts.lost == 0);
        CHECK(faults.loss < 1 || counts.lost == result.packets);
        CHECK(pacer.lines[1].held_length == 0);
        for (int i = 0; i < PACER_LINES; i++)
            line_close(&pacer.lines[i]);
    }
    close(fds[0]);
    close(fds[1]);
}

static void a_message_that_fits_no_packet_is_refused(void)
{
    static const uint8_t longer[2000] = {'D'};
    static const uint64_t entry[] = {sizeof longer};
    uint16_t ports[PACER_LINES];
    struct pacer_result result;
    struct failure failure;
    int fds[PACER_LINES] = {receiver(&ports[0]), receiver(&ports[1])};
    open_pacer(1, ports);
    pacer.data = longer;
    pacer.index = entry;
    pacer.count = 1;
    CHECK(!pacer_run(&pacer, (struct pacer_pace){.speed = 1}, 0, 1, &result, &failure));
    for (int i = 0; i < PACER_LINES; i++) {
        line_close(&pacer.lines[i]);
        close(fds[i]);
    }
}

static void a_follower_is_sent_to_its_instruments(void)
{
    static uint8_t locates[8192];
    uint16_t ports[PACER_LINES] = {9, 9};
    open_pacer(1, ports);
    CHECK(pacer_find(&pacer, 0, COUNT, locates) == COUNT);
    locates[0] = 1 << 3;
    CHECK(pacer_find(&pacer, 0, COUNT, locates) == 3);
    CHECK(pacer_find(&pacer, 4, COUNT, locates) == 8);
    CHECK(pacer_find(&pacer, 4, 8, locates) == 8);
    for (int i = 0; i < PACER_LINES; i++)
        line_close(&pacer.lines[i]);
}

int main(void)
{
    every_fault_at_any_odds_stays_inside_its_memory();
    a_message_that_fits_no_packet_is_refused();
    a_follower_is_sent_to_its_instruments();
    return DONE();
}

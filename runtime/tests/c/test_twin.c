/* SPDX-License-Identifier: Apache-2.0
 *
 * The twin: it takes whatever is sent without ever waiting, keeps little of it, and is gone, not in the way, when its other end is. */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "transport/twin.h"

#define ORDER 60u
#define SENDS 20000u

static void test_it_takes_everything(void)
{
    struct twin twin;
    uint8_t order[ORDER] = {0};
    int waiting, most = 0;
    twin_init(&twin);
    CHECK(twin_open(&twin, 104) && twin.out >= 0 && twin.in >= 0);
    for (uint32_t i = 0; i < SENDS; i++) {
        twin_send(&twin, order, ORDER);
        CHECK(ioctl(twin.in, FIONREAD, &waiting) == 0);
        most = waiting > most ? waiting : most;
    }
    CHECK(twin.out >= 0 && most >= (int)ORDER && most < TWIN_READ_BYTES);
    twin_close(&twin);
    CHECK(twin.out == -1 && twin.in == -1);
}

static void test_it_closes_when_its_other_end_is_gone(void)
{
    struct twin twin;
    uint8_t order[ORDER] = {0};
    twin_init(&twin);
    CHECK(twin_open(&twin, 0));
    CHECK(shutdown(twin.out, SHUT_RDWR) == 0);
    for (uint32_t i = 0; i <= TWIN_READ_EVERY; i++)
        twin_send(&twin, order, ORDER);
    CHECK(twin.out == -1 && twin.in == -1);
    twin_send(&twin, order, ORDER);
    CHECK(twin_open(&twin, 0)); /* and may be opened again */
    twin_close(&twin);
}

static void test_without_one_nothing_is_sent(void)
{
    struct twin twin;
    twin_init(&twin);
    twin_send(&twin, (const uint8_t *)"x", 1);
    CHECK(twin.out == -1 && twin.unread == 0);
    twin_close(&twin);
}

int main(void)
{
    test_it_takes_everything();
    test_it_closes_when_its_other_end_is_gone();
    test_without_one_nothing_is_sent();
    return DONE();
}

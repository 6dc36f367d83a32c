/* SPDX-License-Identifier: Apache-2.0
 *
 * Switching a card's stamps on and putting them back, against drivers that answer as real ones do (fake_card.h). */
#include <arpa/inet.h>
#include <stdarg.h>

#include "check.h"
#include "fake_card.h"
#include "transport/connection.h"
#include "transport/transports.h"

static struct fake_card cards[3];
static struct failure failure;

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    return fake_card_ioctl(cards, 3, fd, request, data);
}

static bool no_kernel_stamps;

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    if (no_kernel_stamps && option == SO_TIMESTAMPING)
        return fake_refuse(ENOPROTOOPT);
    return (int)syscall(SYS_setsockopt, fd, level, option, value, length);
}

static const struct fake_card mlx5 = {.name = "ens4",
                                      .so_timestamping = FAKE_HARDWARE,
                                      .clock = 0,
                                      .tx_types = FAKE_OFF_ON,
                                      .rx_filters = FAKE_NONE_ALL,
                                      .grants = -1};
static const struct fake_card igb_i210 = {.name = "ens4",
                                          .so_timestamping = FAKE_SOFTWARE | FAKE_HARDWARE,
                                          .clock = 0,
                                          .tx_types = FAKE_OFF_ON,
                                          .rx_filters = FAKE_NONE_ALL,
                                          .grants = -1};
static const struct fake_card igb_82576 = {
    .name = "ens4",
    .so_timestamping = FAKE_SOFTWARE | FAKE_HARDWARE,
    .clock = 0,
    .tx_types = FAKE_OFF_ON,
    .rx_filters = FAKE_ONE(HWTSTAMP_FILTER_NONE) | FAKE_ONE(HWTSTAMP_FILTER_PTP_V1_L4_SYNC) |
                  FAKE_ONE(HWTSTAMP_FILTER_PTP_V1_L4_DELAY_REQ) | FAKE_ONE(HWTSTAMP_FILTER_PTP_V2_EVENT),
    .grants = -1};
static const struct fake_card ena = {.name = "ens4", .so_timestamping = FAKE_SOFTWARE, .clock = 0, .grants = -1};

static struct card with(const struct fake_card *driver, unsigned needs)
{
    struct card card = {.name = "ens4", .needs = needs};
    cards[0] = *driver;
    return card;
}

static bool set_to(int tx_type, int rx_filter)
{
    return cards[0].tx_type == tx_type && cards[0].rx_filter == rx_filter;
}

static void switched_on_and_put_back(void)
{
    struct card card = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT);
    cards[0].clock = 3;
    CHECK(card_can(&card, &failure) && card.clock == 3);
    CHECK(card_switch_on(&card, &failure) && card.changed && set_to(HWTSTAMP_TX_ON, HWTSTAMP_FILTER_ALL));
    CHECK(card_put_back(&card, &failure) && set_to(HWTSTAMP_TX_OFF, HWTSTAMP_FILTER_NONE) && cards[0].sets == 2);
    CHECK(card_put_back(&card, &failure) && cards[0].sets == 2); /* once */
}

static void only_what_is_needed(void)
{
    struct card card = with(&igb_i210, CARD_TRANSMIT);
    CHECK(card_switch_on(&card, &failure) && set_to(HWTSTAMP_TX_ON, HWTSTAMP_FILTER_NONE));
    CHECK(card_put_back(&card, &failure));
    card = with(&igb_i210, CARD_RECEIVE);
    CHECK(card_switch_on(&card, &failure) && set_to(HWTSTAMP_TX_OFF, HWTSTAMP_FILTER_ALL));
}

/* ptp4l has been here. */
static void another_user_is_never_narrowed(void)
{
    struct card card = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT);
    cards[0].tx_type = HWTSTAMP_TX_ON;
    cards[0].rx_filter = HWTSTAMP_FILTER_ALL;
    CHECK(card_switch_on(&card, &failure) && !card.changed && cards[0].sets == 0); /* it covers our need */
    CHECK(card_put_back(&card, &failure) && cards[0].sets == 0);

    card = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT);
    cards[0].tx_types |= FAKE_ONE(HWTSTAMP_TX_ONESTEP_SYNC);
    cards[0].rx_filters |= FAKE_ONE(HWTSTAMP_FILTER_PTP_V2_EVENT);
    cards[0].tx_type = HWTSTAMP_TX_ONESTEP_SYNC;
    cards[0].rx_filter = HWTSTAMP_FILTER_PTP_V2_EVENT;
    cards[0].flags = HWTSTAMP_FLAG_BONDED_PHC_INDEX;
    CHECK(card_switch_on(&card, &failure) && set_to(HWTSTAMP_TX_ONESTEP_SYNC, HWTSTAMP_FILTER_ALL));
    CHECK(cards[0].flags == HWTSTAMP_FLAG_BONDED_PHC_INDEX);
    CHECK(card_put_back(&card, &failure) && set_to(HWTSTAMP_TX_ONESTEP_SYNC, HWTSTAMP_FILTER_PTP_V2_EVENT));

    card = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT); /* ptp4l comes while we run: the setting is its own now */
    cards[0].rx_filters |= FAKE_ONE(HWTSTAMP_FILTER_PTP_V2_EVENT);
    CHECK(card_switch_on(&card, &failure));
    cards[0].rx_filter = HWTSTAMP_FILTER_PTP_V2_EVENT;
    CHECK(card_put_back(&card, &failure) && set_to(HWTSTAMP_TX_ON, HWTSTAMP_FILTER_PTP_V2_EVENT));
}

/* Killed, so that nothing was put back: the next one takes it for what was there. */
static void after_a_kill(void)
{
    struct card killed = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT), next = killed;
    CHECK(card_switch_on(&killed, &failure) && card_switch_on(&next, &failure) && !next.changed);
    CHECK(card_put_back(&next, &failure) && set_to(HWTSTAMP_TX_ON, HWTSTAMP_FILTER_ALL));
}

static void cannot(const struct fake_card *driver, unsigned needs, const char *text)
{
    struct card card = with(driver, needs);
    bool can = card_can(&card, &failure);
    if (can || strstr(failure.text, text) == NULL)
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, can ? "it can" : failure.text);
    CHECK(!can && strstr(failure.text, text) != NULL && strstr(failure.text, "ethtool -T ens4") != NULL);
}

static void what_drivers_lack(void)
{
    struct card card = with(&igb_82576, CARD_TRANSMIT);
    struct fake_card without = mlx5;
    CHECK(card_can(&card, &failure));
    cannot(&igb_82576, CARD_RECEIVE, "ens4 does not stamp every received packet");
    cannot(&ena, CARD_TRANSMIT, "ens4 has a PTP hardware clock, and gives no stamps of it");
    without.clock = -1;
    cannot(&without, CARD_TRANSMIT, "ens4 has no PTP hardware clock");
    without = mlx5;
    without.tx_types = FAKE_ONE(HWTSTAMP_TX_OFF);
    cannot(&without, CARD_TRANSMIT, "ens4 does not stamp what it sends");
    memset(cards, 0, sizeof cards);
    snprintf(card.name, sizeof card.name, "none0");
    CHECK(!card_can(&card, &failure) && failure.code == ENODEV && strstr(failure.text, "none0: ") == failure.text);
}

static void refuses(struct fake_card driver, const char *text)
{
    struct card card = with(&driver, CARD_RECEIVE | CARD_TRANSMIT);
    CHECK(!card_switch_on(&card, &failure) && !card.changed && set_to(driver.tx_type, driver.rx_filter));
    if (strstr(failure.text, text) == NULL)
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, failure.text);
    CHECK(strstr(failure.text, text) != NULL);
}

static void what_drivers_refuse(void)
{
    struct fake_card driver = mlx5;
    driver.set_error = EPERM;
    refuses(driver, "refuses to stamp: Operation not permitted (CAP_NET_ADMIN is needed)");
    driver.set_error = EBUSY;
    refuses(driver, "refuses to stamp: Device or resource busy");
    driver = mlx5;
    driver.get_error = EOPNOTSUPP;
    refuses(driver, "could not be put back: Operation not supported");
    CHECK(cards[0].sets == 0);
    refuses(igb_82576, "Numerical result out of range");
    struct card card = with(&mlx5, CARD_RECEIVE);
    CHECK(card_switch_on(&card, &failure));
    cards[0].set_error = EIO;
    CHECK(!card_put_back(&card, &failure) && strstr(failure.text, "hwstamp_ctl -i ens4 -t 0 -r 0") != NULL);
}

/* It says that it is on, and has made something narrower of the request: back to what was there. */
static void a_driver_that_grants_less(void)
{
    struct card card = with(&mlx5, CARD_RECEIVE | CARD_TRANSMIT);
    cards[0].grants = HWTSTAMP_FILTER_SOME;
    CHECK(!card_switch_on(&card, &failure) && strstr(failure.text, "set filter 2") != NULL);
    CHECK(cards[0].sets == 2 && cards[0].tx_type == HWTSTAMP_TX_OFF);
    card = with(&mlx5, CARD_RECEIVE);
    cards[0].grants = HWTSTAMP_FILTER_SOME;
    cards[0].rx_filters = FAKE_ONE(HWTSTAMP_FILTER_ALL); /* nor does it go back */
    CHECK(!card_switch_on(&card, &failure) && strstr(failure.text, "set filter 2; ens4: its stamping cannot be put back") != NULL);
}

/* --- both sides --- */

static struct engine_settings settings;

static struct fake_card card_at(const struct fake_card *driver, const char *name, const char *address, int clock)
{
    struct fake_card card = *driver;
    snprintf(card.name, sizeof card.name, "%s", name);
    CHECK(address[0] == '\0' || inet_pton(AF_INET, address, &card.address) == 1);
    card.clock = clock;
    return card;
}

/* Line A on ens4, line B on ens5, orders by the loopback interface, whose address the machine itself has. */
static void three_cards(int a, int b, int orders)
{
    cards[0] = card_at(&mlx5, "ens4", "192.0.2.4", a);
    cards[1] = card_at(&mlx5, "ens5", "192.0.2.5", b);
    cards[2] = card_at(&igb_i210, "lo", "", orders);
    memset(&settings, 0, sizeof settings);
    strcpy(settings.feed.interface, "192.0.2.4");
    strcpy(settings.feed.interface_b, "192.0.2.5");
    strcpy(settings.feed.group_b, "239.192.110.2");
    strcpy(settings.orders.host, "127.0.0.1");
    settings.orders.port = 9;
}

static bool untouched(void)
{
    for (unsigned i = 0; i < 3; i++)
        if (cards[i].tx_type != HWTSTAMP_TX_OFF || cards[i].rx_filter != HWTSTAMP_FILTER_NONE)
            return false;
    return true;
}

static void one_clock_on_both_sides(void)
{
    struct stamping stamping;
    stamping_init(&stamping);
    three_cards(1, 1, 1);
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping.clock == STAMP_HARDWARE && stamping.count == 3);
    CHECK(strcmp(stamping.why, "by /dev/ptp1 of ens4 (switched on) and ens5 (switched on) and lo (switched on)") == 0);
    CHECK(cards[0].rx_filter == HWTSTAMP_FILTER_ALL && cards[0].tx_type == HWTSTAMP_TX_OFF);
    CHECK(cards[2].rx_filter == HWTSTAMP_FILTER_NONE && cards[2].tx_type == HWTSTAMP_TX_ON);
    stamping_close(&stamping);
    CHECK(untouched());

    three_cards(1, 1, 1);
    strcpy(settings.feed.interface, "127.0.0.1"); /* feed and orders by one card, which is asked once for both */
    settings.feed.group_b[0] = '\0';
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping.count == 1);
    CHECK(cards[2].rx_filter == HWTSTAMP_FILTER_ALL && cards[2].tx_type == HWTSTAMP_TX_ON && cards[2].sets == 1);
    stamping_close(&stamping);
    CHECK(untouched());
}

static void falls_back(const char *text)
{
    struct stamping stamping;
    stamping_init(&stamping);
    settings.timestamps = STAMPING_AUTO;
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping.clock == STAMP_SOFTWARE && stamping.count == 0);
    if (strstr(stamping.why, text) == NULL)
        fprintf(stderr, "wanted: %s\ngot: %s\n", text, stamping.why);
    CHECK(strstr(stamping.why, text) != NULL && untouched());
    settings.timestamps = STAMPING_HARDWARE;
    CHECK(!stamping_open(&stamping, &settings, &failure) && untouched());
    CHECK(strstr(failure.text, "engine.timestamps \"hardware\": ") == failure.text && strstr(failure.text, text) != NULL);
    settings.timestamps = STAMPING_SOFTWARE;
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping.clock == STAMP_SOFTWARE && untouched());
    settings.timestamps = STAMPING_NONE;
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping.clock == STAMP_NONE && untouched());
}

static void what_keeps_both_sides_from_the_card(void)
{
    three_cards(1, 1, 2);
    falls_back("ens4 stamps by /dev/ptp1 and lo by /dev/ptp2: two clocks cannot be subtracted");
    three_cards(1, 2, 1);
    falls_back("ens4 stamps by /dev/ptp1 and ens5 by /dev/ptp2");
    three_cards(1, 1, 1);
    cards[1].rx_filters = igb_82576.rx_filters;
    falls_back("feed.interface_b 192.0.2.5: ens5 does not stamp every received packet");
    three_cards(1, 1, 1);
    cards[2].set_error = EPERM; /* the last one: those before it are put back */
    falls_back("lo: its driver refuses to stamp");
    three_cards(1, 1, 1);
    strcpy(settings.feed.interface, "192.0.2.77");
    falls_back("feed.interface 192.0.2.77: no interface has the address");
    three_cards(1, 1, 1);
    strcpy(settings.orders.host, "255.255.255.255"); /* no route leads there without SO_BROADCAST */
    falls_back("orders.host 255.255.255.255: ");
    three_cards(1, 1, 1);
    settings.feed.transport = TRANSPORT_XDP;
    falls_back("feed.interface 192.0.2.4: ens4: what its driver gives to XDP programs: No such device");
    strcpy(settings.feed.interface, "127.0.0.1");
    settings.feed.group_b[0] = '\0';
    falls_back("feed.interface 127.0.0.1: lo: its driver does not give XDP programs the card's stamps"); /* the kernel says so */
}

/* The XDP program that asks for the card's stamps is refused when the card has been switched on already. */
static void what_the_feed_lacks_after_all(void)
{
    struct stamping stamping;
    stamping_init(&stamping);
    three_cards(1, 1, 1);
    CHECK(stamping_open(&stamping, &settings, &failure) && stamping_confirm(&stamping, "", &failure));
    CHECK(stamping.clock == STAMP_HARDWARE && stamping.count == 3 && !untouched());
    CHECK(stamping_confirm(&stamping, "ens4: generic", &failure) && stamping.clock == STAMP_SOFTWARE && stamping.count == 0);
    CHECK(strcmp(stamping.why, "ens4: generic") == 0 && untouched());
    CHECK(stamping_confirm(&stamping, "ens4: generic", &failure)); /* the kernel's have no need of it */
    settings.timestamps = STAMPING_HARDWARE;
    CHECK(stamping_open(&stamping, &settings, &failure) && !stamping_confirm(&stamping, "ens4: generic", &failure) && untouched());
    CHECK(strcmp(failure.text, "engine.timestamps \"hardware\": ens4: generic; use another card, or \"auto\" or \"software\"") == 0);
    settings.timestamps = STAMPING_AUTO;
    three_cards(1, 1, 1);
    CHECK(stamping_open(&stamping, &settings, &failure));
    cards[0].set_error = EIO; /* it stays on: that is told too */
    CHECK(stamping_confirm(&stamping, "ens4: generic", &failure) && strstr(stamping.why, "ens4: generic; ens4: its stamping") != NULL);
    CHECK(strstr(stamping.why, "hwstamp_ctl -i ens4") != NULL);
}

/* Line A's card takes the new setting and not the old one again, and the start fails or goes on without the cards: whichever way, it
 * is said that the card stays on. */
static void a_card_that_stays_on(void)
{
    static struct transports transports;
    static uint8_t buffer[MOLD_PACKET_MAX];
    static const char stays[] = "; ens4: its stamping cannot be put back (hwstamp_ctl -i ens4 -t 0 -r 0): ";
    struct stamping stamping;
    stamping_init(&stamping);
    for (settings.timestamps = STAMPING_AUTO; settings.timestamps <= STAMPING_HARDWARE; settings.timestamps++) {
        enum stamping_wish wish = settings.timestamps;
        three_cards(1, 1, 1);
        settings.timestamps = wish;
        cards[0].rx_filters = FAKE_ONE(HWTSTAMP_FILTER_ALL);
        cards[2].set_error = EPERM;
        bool good = stamping_open(&stamping, &settings, &failure);
        const char *said = wish == STAMPING_AUTO ? stamping.why : failure.text;
        CHECK(good == (wish == STAMPING_AUTO) && strstr(said, "lo: its driver refuses to stamp") != NULL && strstr(said, stays) != NULL);
    }

    three_cards(1, 1, 1);
    cards[0].rx_filters = FAKE_ONE(HWTSTAMP_FILTER_ALL);
    transports_init(&transports);
    strcpy(settings.feed.group, "192.0.2.99"); /* no address of this machine, and no group */
    CHECK(!transports_open(&transports, &settings, buffer, &failure));
    CHECK(strstr(failure.text, "192.0.2.99") != NULL && strstr(failure.text, stays) != NULL);

    three_cards(1, 1, 1);
    cards[2].rx_filters = FAKE_ONE(HWTSTAMP_FILTER_ALL);
    strcpy(settings.feed.group, "127.0.0.1");
    strcpy(settings.feed.interface, "127.0.0.1");
    settings.feed.group_b[0] = '\0';
    no_kernel_stamps = true;
    CHECK(transports_open(&transports, &settings, buffer, &failure) && transports.stamping.clock == STAMP_NONE);
    CHECK(strstr(transports.stamping.why, "the kernel does not stamp (SO_TIMESTAMPING): ") == transports.stamping.why);
    CHECK(strstr(transports.stamping.why, "; lo: its stamping cannot be put back") != NULL);
    no_kernel_stamps = false;
    transports_release(&transports);
}

/* Over verbs the card is left alone whatever is wished: the transport has the device's completions, or reads the clock itself. */
static void over_verbs(void)
{
    struct stamping stamping;
    stamping_init(&stamping);
    three_cards(1, 1, 1);
    settings.feed.transport = TRANSPORT_VERBS;
    for (enum stamping_wish wish = STAMPING_AUTO; wish <= STAMPING_NONE; wish++) {
        settings.timestamps = wish;
        settings.orders.transport = TRANSPORT_VERBS;
        CHECK(stamping_open(&stamping, &settings, &failure) && untouched());
        CHECK(stamping.clock == (wish == STAMPING_NONE ? STAMP_NONE : STAMP_APPLICATION));
        settings.orders.transport = TRANSPORT_SOCKET;
        if (wish == STAMPING_AUTO || wish == STAMPING_NONE) {
            CHECK(stamping_open(&stamping, &settings, &failure) && stamping.clock == STAMP_NONE && untouched());
        } else {
            CHECK(!stamping_open(&stamping, &settings, &failure) && failure.code == EOPNOTSUPP && untouched());
            CHECK(strstr(failure.text, "they have no clock in common; use verbs for both") != NULL);
        }
    }
}

/* The engine's thread stays an ordinary one until a device's completions have been seen on both sides. */
static void real_time_waits_for_completions(void)
{
    static struct transports transports;
    static uint8_t buffer[MOLD_PACKET_MAX];
    transports_init(&transports);
    three_cards(1, 1, 1);
    strcpy(settings.feed.interface, "192.0.2.77"); /* no RDMA device has it */
    settings.feed.transport = settings.orders.transport = TRANSPORT_VERBS;
    CHECK(!transports_open(&transports, &settings, buffer, &failure));
    bool (*stamped)(void *) = transports.chosen.stamped;
    transports.stamping.clock = STAMP_APPLICATION;
    CHECK(stamped(&transports));
    transports.stamping.clock = transports.verbs.stamps = STAMP_COMPLETION;
    transports.verbs.orders.current = -1;
    CHECK(!stamped(&transports));
    transports.verbs.orders.current = 0;
    transports.verbs.feed.ticks[0] = 1;
    CHECK(!stamped(&transports));
    transports.verbs.orders.links[0].link.ticks[0] = 1;
    CHECK(stamped(&transports));
    transports.verbs.feed.ticks[0] = 0;
    CHECK(!stamped(&transports));
    transports_release(&transports);
}

/* A connection whose address is not on the card that was switched on has the kernel's stamps. */
static void a_connection_by_another_card(void)
{
    struct stamping stamping;
    struct connection connection = {0};
    struct orders_settings orders = {.host = "127.0.0.1", .tos = 104};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(door >= 0 && bind(door, (struct sockaddr *)&at, size) == 0 && listen(door, 4) == 0);
    CHECK(getsockname(door, (struct sockaddr *)&at, &size) == 0);
    orders.port = ntohs(at.sin_port);
    stamping_init(&stamping);
    connection_init(&connection);
    three_cards(1, 1, 1);
    CHECK(stamping_open(&stamping, &settings, &failure));
    CHECK(connection_open(&connection, &orders, &stamping, -1, &failure) && connection_take(&connection));
    CHECK(connection.clock == STAMP_HARDWARE && fake_asked(connection.fd, SOF_TIMESTAMPING_OPT_TX_SWHW));
    strcpy(stamping.cards[2].name, "ens6");
    CHECK(connection_open(&connection, &orders, &stamping, -1, &failure) && connection_take(&connection));
    CHECK(connection.clock == STAMP_SOFTWARE && !fake_asked(connection.fd, SOF_TIMESTAMPING_TX_HARDWARE));
    stamping.clock = STAMP_NONE;
    CHECK(connection_open(&connection, &orders, &stamping, -1, &failure) && connection_take(&connection));
    CHECK(connection.clock == STAMP_NONE && !fake_asked(connection.fd, -1));
    connection_close(&connection);
    close(door);
}

int main(void)
{
    switched_on_and_put_back();
    only_what_is_needed();
    another_user_is_never_narrowed();
    after_a_kill();
    what_drivers_lack();
    what_drivers_refuse();
    a_driver_that_grants_less();
    one_clock_on_both_sides();
    what_keeps_both_sides_from_the_card();
    over_verbs();
    what_the_feed_lacks_after_all();
    a_connection_by_another_card();
    a_card_that_stays_on();
    real_time_waits_for_completions();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stamping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include "metadata.h"
#include "options.h"

#define ATTEMPTS 50
#define WAIT_MS 2

void stamping_init(struct stamping *self)
{
    memset(self, 0, sizeof *self);
}

/* --- the cards --- */

/* The address the routes choose for packets to the exchange; nothing is sent. */
static bool local_address(const struct orders_settings *orders, struct in_addr *out, struct failure *failure)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    snprintf(service, sizeof service, "%u", orders->port);
    int unresolved = getaddrinfo(orders->host, service, &hints, &found);
    if (unresolved != 0)
        return failure_set(failure, EHOSTUNREACH, "%s", gai_strerror(unresolved));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                getsockname(fd, (struct sockaddr *)&here, &size) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (fd >= 0)
        close(fd);
    *out = here.sin_addr;
    return good || failure_set(failure, error, "%s", strerror(error));
}

/* Add what an address needs of its card. */
static bool need(struct stamping *self, const struct stamping_need *what, struct failure *failure)
{
    char name[IF_NAMESIZE] = "", text[INET_ADDRSTRLEN];
    struct failure why;
    inet_ntop(AF_INET, &what->address, text, sizeof text);
    if (!card_find(what->address, name, &why))
        return failure_set(failure, why.code, "%s %s: %s", what->key, text, why.text);
    uint32_t at = 0;
    while (at < self->count && strcmp(self->cards[at].name, name) != 0)
        at++;
    struct card *card = &self->cards[at];
    if (at == self->count)
        snprintf(self->cards[self->count++].name, sizeof card->name, "%s", name);
    card->needs |= what->needs;
    if (card_can(card, &why) && (!(what->needs & CARD_RECEIVE) || !self->by_xdp || metadata_has_stamps(name, &why)))
        return true;
    return failure_set(failure, why.code, "%s %s: %s", what->key, text, why.text);
}

static bool find_cards(struct stamping *self, const struct stamping_need needs[], uint32_t count, struct failure *failure)
{
    for (uint32_t i = 0; i < count; i++)
        if (!need(self, &needs[i], failure))
            return false;
    for (uint32_t i = 1; i < self->count; i++)
        if (self->cards[i].clock != self->cards[0].clock)
            return failure_set(failure, EOPNOTSUPP, "%s stamps by /dev/ptp%d and %s by /dev/ptp%d: two clocks cannot be subtracted",
                               self->cards[0].name, self->cards[0].clock, self->cards[i].name, self->cards[i].clock);
    return true;
}

static bool take_cards(struct stamping *self, const struct stamping_need needs[], uint32_t count, struct failure *failure)
{
    bool good = find_cards(self, needs, count, failure);
    for (uint32_t i = 0; good && i < self->count; i++)
        good = card_switch_on(&self->cards[i], failure);
    if (!good) {
        stamping_give_back(self, failure->text, sizeof failure->text);
        self->count = 0;
    }
    return good;
}

/* The cards of the engine's lines and of its order connection. */
static bool take_cards_of_engine(struct stamping *self, const struct engine_settings *settings, struct failure *failure)
{
    const struct feed_settings *feed = &settings->feed;
    const char *interface_b = feed->interface_b[0] != '\0' ? feed->interface_b : feed->interface;
    struct stamping_need needs[STAMPING_CARDS] = {{.key = "feed.interface", .needs = CARD_RECEIVE}};
    struct in_addr b;
    struct failure why;
    uint32_t count = 1;
    self->by_xdp = feed->transport == TRANSPORT_XDP;
    if (inet_pton(AF_INET, feed->interface, &needs[0].address) != 1 || inet_pton(AF_INET, interface_b, &b) != 1)
        return failure_set(failure, EINVAL, "feed.interface \"%s\" and feed.interface_b \"%s\" must be IPv4 addresses",
                           feed->interface, interface_b);
    if (feed->group_b[0] != '\0')
        needs[count++] = (struct stamping_need){"feed.interface_b", b, CARD_RECEIVE};
    needs[count] = (struct stamping_need){.key = "orders.host by", .needs = CARD_TRANSMIT};
    if (!local_address(&settings->orders, &needs[count].address, &why))
        return failure_set(failure, why.code, "orders.host %s: %s", settings->orders.host, why.text);
    return take_cards(self, needs, count + 1, failure);
}

static void tell_cards(struct stamping *self)
{
    int length = snprintf(self->why, sizeof self->why, "by /dev/ptp%d of", self->cards[0].clock);
    for (uint32_t i = 0; i < self->count; i++)
        length += snprintf(self->why + length, sizeof self->why - (size_t)length, "%s %s (%s)", i > 0 ? " and" : "",
                           self->cards[i].name, self->cards[i].changed ? "switched on" : "was on");
}

/* --- both clocks --- */

static const char engine_key[] = "engine.timestamps";

static bool refuse(const char *key, const char *why, int code, struct failure *failure)
{
    return failure_set(failure, code, "%s \"hardware\": %s; use another card, or \"auto\" or \"software\"", key, why);
}

static void begin(struct stamping *self, enum stamping_wish wish)
{
    stamping_close(self);
    stamping_init(self);
    self->or_kernel = wish == STAMPING_AUTO;
}

/* Whether `wish` leaves the cards alone; the clock is chosen then. */
static bool without_cards(struct stamping *self, const char *key, enum stamping_wish wish)
{
    if (wish != STAMPING_NONE && wish != STAMPING_SOFTWARE)
        return false;
    self->clock = wish == STAMPING_NONE ? STAMP_NONE : STAMP_SOFTWARE;
    snprintf(self->why, sizeof self->why, "as %s says", key);
    return true;
}

/* The clock, with the cards taken or, as `why` tells, not. */
static bool with_cards(struct stamping *self, const char *key, enum stamping_wish wish, bool taken, const struct failure *why,
                       struct failure *failure)
{
    if (!taken && wish == STAMPING_HARDWARE)
        return refuse(key, why->text, why->code, failure);
    self->clock = taken ? STAMP_HARDWARE : STAMP_SOFTWARE;
    if (taken)
        tell_cards(self);
    else
        snprintf(self->why, sizeof self->why, "%s", why->text);
    return true;
}

bool stamping_open(struct stamping *self, const struct engine_settings *settings, struct failure *failure)
{
    const char *key = engine_key;
    enum stamping_wish wish = settings->timestamps;
    struct failure why;
    begin(self, wish);
    bool feed = settings->feed.transport == TRANSPORT_VERBS, orders = settings->orders.transport == TRANSPORT_VERBS;
    if (feed != orders && (wish == STAMPING_HARDWARE || wish == STAMPING_SOFTWARE))
        return failure_set(failure, EOPNOTSUPP,
                           "%s: one of feed.transport and orders.transport is \"verbs\" and the other is not: they have no clock in "
                           "common; use verbs for both, or \"auto\" or \"none\"",
                           key);
    if (feed && orders && wish != STAMPING_NONE) {
        self->clock = STAMP_APPLICATION; /* or what the device has: verbs_open */
        return true;
    }
    if (without_cards(self, key, wish))
        return true;
    if (feed != orders) {
        self->clock = STAMP_NONE;
        snprintf(self->why, sizeof self->why,
                 "one of feed.transport and orders.transport is \"verbs\" and the other is not: they have no clock in common");
        return true;
    }
    return with_cards(self, key, wish, take_cards_of_engine(self, settings, &why), &why, failure);
}

bool stamping_open_for(struct stamping *self, const char *key, enum stamping_wish wish, const struct stamping_need needs[],
                       uint32_t count, struct failure *failure)
{
    struct failure why;
    begin(self, wish);
    return without_cards(self, key, wish) || with_cards(self, key, wish, take_cards(self, needs, count, &why), &why, failure);
}

bool stamping_confirm(struct stamping *self, const char *lacks, struct failure *failure)
{
    char why[sizeof self->why];
    if (self->clock != STAMP_HARDWARE || lacks[0] == '\0')
        return true;
    snprintf(why, sizeof why, "%.160s", lacks);
    stamping_give_back(self, why, sizeof why);
    self->count = 0;
    if (!self->or_kernel)
        return refuse(engine_key, why, EOPNOTSUPP, failure);
    self->clock = STAMP_SOFTWARE;
    memcpy(self->why, why, sizeof why);
    return true;
}

static bool comes_back_stamped(int fd)
{
    uint8_t byte = 0;
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd until = {.fd = fd, .events = POLLIN};
    return send(fd, &byte, 1, 0) == 1 && poll(&until, 1, WAIT_MS) > 0 && recvmsg(fd, &message, MSG_DONTWAIT) > 0 &&
           CMSG_FIRSTHDR(&message) != NULL;
}

void stamping_wait(struct stamping *self)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ready = fd >= 0 && bind(fd, (struct sockaddr *)&here, size) == 0 &&
                 getsockname(fd, (struct sockaddr *)&here, &size) == 0 && connect(fd, (struct sockaddr *)&here, size) == 0 &&
                 set_stamping(fd, receive_stamping(false));
    self->works = false;
    for (unsigned attempt = 0; ready && !self->works && attempt < ATTEMPTS; attempt++) {
        self->works = comes_back_stamped(fd);
        if (!self->works)
            poll(NULL, 0, WAIT_MS);
    }
    if (fd >= 0)
        close(fd);
}

bool stamping_transmits(const struct stamping *self, int fd)
{
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    struct failure why;
    char name[IF_NAMESIZE];
    if (getsockname(fd, (struct sockaddr *)&here, &size) != 0 || !card_find(here.sin_addr, name, &why))
        return false;
    for (uint32_t i = 0; i < self->count; i++)
        if (strcmp(self->cards[i].name, name) == 0)
            return (self->cards[i].needs & CARD_TRANSMIT) != 0;
    return false;
}

void stamping_give_back(struct stamping *self, char *text, size_t capacity)
{
    struct failure failure;
    for (uint32_t i = self->count; i > 0; i--) { /* the last one first: two of them may be one card under two names */
        size_t used = strlen(text);
        if (!card_put_back(&self->cards[i - 1], &failure))
            snprintf(text + used, capacity - used, "%s%s", used > 0 ? "; " : "", failure.text);
    }
}

void stamping_close(struct stamping *self)
{
    char left[sizeof self->why] = "";
    stamping_give_back(self, left, sizeof left);
    if (left[0] != '\0')
        memcpy(self->why, left, sizeof left);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "card.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ADDRESSES 256u /* looked at, of this host */

/* Ask or tell the driver of an interface. 0 or -errno. */
static int ask(const char *name, unsigned long request, void *data)
{
    struct ifreq about = {.ifr_data = data};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    memcpy(about.ifr_name, name, IF_NAMESIZE);
    int result = ioctl(fd, request, &about) < 0 ? -errno : 0;
    close(fd);
    return result;
}

/* By SIOCGIFCONF, which knows IPv4 alone, as we do, and needs no netlink socket: the service may have none. */
bool card_find(struct in_addr address, char name[IF_NAMESIZE], struct failure *failure)
{
    struct ifreq all[ADDRESSES];
    struct ifconf list = {.ifc_len = sizeof all, .ifc_req = all};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 || ioctl(fd, SIOCGIFCONF, &list) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (result < 0)
        return failure_set(failure, -result, "the addresses of this host: %s", strerror(-result));
    for (uint32_t i = 0; i < (uint32_t)list.ifc_len / sizeof *all; i++) {
        struct sockaddr_in has;
        memcpy(&has, &all[i].ifr_addr, sizeof has);
        if (has.sin_addr.s_addr != address.s_addr)
            continue;
        snprintf(name, IF_NAMESIZE, "%.*s", (int)strcspn(all[i].ifr_name, ":"), all[i].ifr_name); /* without a label */
        return true;
    }
    return failure_set(failure, EADDRNOTAVAIL, "no interface has the address");
}

bool card_can(struct card *card, struct failure *failure)
{
    struct ethtool_ts_info can = {.cmd = ETHTOOL_GET_TS_INFO, .phc_index = -1};
    int result = ask(card->name, SIOCETHTOOL, &can);
    const char *lacks = NULL;
    if (result < 0)
        return failure_set(failure, -result, "%s: its driver does not say what it can stamp: %s", card->name, strerror(-result));
    if (can.phc_index < 0)
        lacks = "has no PTP hardware clock";
    else if ((can.so_timestamping & SOF_TIMESTAMPING_RAW_HARDWARE) == 0)
        lacks = "has a PTP hardware clock, and gives no stamps of it";
    else if ((card->needs & CARD_RECEIVE) && ((can.so_timestamping & SOF_TIMESTAMPING_RX_HARDWARE) == 0 ||
                                              (can.rx_filters & 1u << HWTSTAMP_FILTER_ALL) == 0))
        lacks = "does not stamp every received packet (receive filter \"all\")";
    else if ((card->needs & CARD_TRANSMIT) &&
             ((can.so_timestamping & SOF_TIMESTAMPING_TX_HARDWARE) == 0 || (can.tx_types & 1u << HWTSTAMP_TX_ON) == 0))
        lacks = "does not stamp what it sends";
    card->clock = can.phc_index;
    return lacks == NULL || failure_set(failure, EOPNOTSUPP, "%s %s, says its driver (ethtool -T %s)", card->name, lacks, card->name);
}

static bool covers(const struct card *card, const struct hwtstamp_config *config)
{
    return (!(card->needs & CARD_RECEIVE) || config->rx_filter == HWTSTAMP_FILTER_ALL) &&
           (!(card->needs & CARD_TRANSMIT) || config->tx_type != HWTSTAMP_TX_OFF);
}

static bool same(const struct hwtstamp_config *a, const struct hwtstamp_config *b)
{
    return a->flags == b->flags && a->tx_type == b->tx_type && a->rx_filter == b->rx_filter;
}

bool card_switch_on(struct card *card, struct failure *failure)
{
    int result = ask(card->name, SIOCGHWTSTAMP, &card->before);
    if (result < 0)
        return failure_set(failure, -result, "%s: its driver does not tell what is set now, so that it could not be put back: %s",
                           card->name, strerror(-result));
    if (covers(card, &card->before))
        return true;
    struct hwtstamp_config wanted = card->before;
    if (card->needs & CARD_RECEIVE)
        wanted.rx_filter = HWTSTAMP_FILTER_ALL;
    if ((card->needs & CARD_TRANSMIT) && wanted.tx_type == HWTSTAMP_TX_OFF)
        wanted.tx_type = HWTSTAMP_TX_ON;
    card->ours = wanted;
    result = ask(card->name, SIOCSHWTSTAMP, &card->ours);
    if (result < 0)
        return failure_set(failure, -result, "%s: its driver refuses to stamp: %s%s", card->name, strerror(-result),
                           result == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
    card->changed = true;
    if (covers(card, &card->ours)) /* the driver says what it has made of the request */
        return true;
    struct failure left;
    int filter = card->ours.rx_filter;
    bool back = card_put_back(card, &left);
    return failure_set(failure, EOPNOTSUPP, "%s: its driver was asked to stamp every received packet, and set filter %d%s%s",
                       card->name, filter, back ? "" : "; ", back ? "" : left.text);
}

bool card_put_back(struct card *card, struct failure *failure)
{
    struct hwtstamp_config now, old = card->before;
    if (!card->changed)
        return true;
    card->changed = false;
    int result = ask(card->name, SIOCGHWTSTAMP, &now);
    if (result == 0 && !same(&now, &card->ours))
        return true;
    if (result == 0)
        result = ask(card->name, SIOCSHWTSTAMP, &old);
    return result == 0 || failure_set(failure, -result, "%s: its stamping cannot be put back (hwstamp_ctl -i %s -t %d -r %d): %s",
                                      card->name, card->name, card->before.tx_type, card->before.rx_filter, strerror(-result));
}

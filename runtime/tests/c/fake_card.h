/* SPDX-License-Identifier: Apache-2.0
 *
 * A network card with time stamps, for tests on machines that have none: the answers of a driver to what card.c asks, and the
 * card's stamps beside those the kernel really took. The kernel itself runs as it is; `fake_card_recvmsg` adds to what it says.
 *
 * Capabilities as the drivers state them (get_ts_info of Linux 6.x): mlx5e_ethtool_get_ts_info, igb_get_ts_info by controller,
 * ena_get_ts_info. What igb does with a filter that it does not have, -ERANGE, is of igb_ptp_set_timestamp_mode. */
#ifndef TICKWIRE_FAKE_CARD_H
#define TICKWIRE_FAKE_CARD_H

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAKE_AHEAD_NS 37000000000LL /* its clock has TAI, the kernel's UTC */
#define FAKE_RECEIVE_NS 300LL       /* a packet is at the card so long before the kernel stamps it */
#define FAKE_TRANSMIT_NS 500LL      /* and an order so long after */
#define FAKE_HELD 64u

struct fake_card {
    char name[IF_NAMESIZE]; /* "": not there */
    uint32_t address;       /* network byte order */
    uint32_t so_timestamping;
    int32_t clock; /* -1: none */
    uint32_t tx_types, rx_filters;
    int32_t get_error, set_error; /* errno, 0: none */
    int32_t grants;    /* what it makes of the filter asked for; -1: that */
    int32_t flags, tx_type, rx_filter; /* its setting */
    uint32_t sets;     /* how often it was set */
    uint32_t mute;     /* it stamps nothing, whatever is set */
    uint32_t late;     /* so many transmit stamps of the kernel come before the card's of the first */
};

#define FAKE_SOFTWARE (SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)
#define FAKE_HARDWARE (SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE)
#define FAKE_ONE(bit) (1u << (bit))
#define FAKE_OFF_ON (FAKE_ONE(HWTSTAMP_TX_OFF) | FAKE_ONE(HWTSTAMP_TX_ON))
#define FAKE_NONE_ALL (FAKE_ONE(HWTSTAMP_FILTER_NONE) | FAKE_ONE(HWTSTAMP_FILTER_ALL))

static inline int fake_refuse(int error)
{
    errno = error;
    return -1;
}

static inline struct fake_card *fake_named(struct fake_card *cards, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (cards[i].name[0] != '\0' && strncmp(cards[i].name, name, IF_NAMESIZE) == 0)
            return &cards[i];
    return NULL;
}

static inline int fake_set(struct fake_card *card, struct hwtstamp_config *config)
{
    if (card->set_error != 0)
        return fake_refuse(card->set_error);
    if ((card->rx_filters & FAKE_ONE(config->rx_filter)) == 0 || (card->tx_types & FAKE_ONE(config->tx_type)) == 0)
        return fake_refuse(ERANGE);
    if (card->grants >= 0)
        config->rx_filter = card->grants;
    card->flags = config->flags;
    card->tx_type = config->tx_type;
    card->rx_filter = config->rx_filter;
    card->sets++;
    return 0;
}

static inline int fake_answer(struct fake_card *card, unsigned long request, struct ifreq *about)
{
    if (request == SIOCETHTOOL) {
        struct ethtool_ts_info *info = (struct ethtool_ts_info *)about->ifr_data;
        info->so_timestamping = card->so_timestamping;
        info->phc_index = card->clock;
        info->tx_types = card->tx_types;
        info->rx_filters = card->rx_filters;
        return 0;
    }
    struct hwtstamp_config *config = (struct hwtstamp_config *)about->ifr_data;
    if (request == SIOCSHWTSTAMP)
        return fake_set(card, config);
    if (card->get_error != 0)
        return fake_refuse(card->get_error);
    *config = (struct hwtstamp_config){card->flags, card->tx_type, card->rx_filter};
    return 0;
}

/* Add the cards whose address is not 0 to what the machine has. */
static inline int fake_addresses(struct fake_card *cards, unsigned count, int fd, struct ifconf *list)
{
    int room = list->ifc_len, result = (int)syscall(SYS_ioctl, fd, SIOCGIFCONF, list);
    for (unsigned i = 0; result == 0 && i < count; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = cards[i].address};
        struct ifreq *next = list->ifc_req + (unsigned)list->ifc_len / sizeof *next;
        if (cards[i].address == 0 || list->ifc_len + (int)sizeof *next > room)
            continue;
        memset(next, 0, sizeof *next);
        memcpy(next->ifr_name, cards[i].name, IF_NAMESIZE);
        memcpy(&next->ifr_addr, &at, sizeof at);
        list->ifc_len += (int)sizeof *next;
    }
    return result;
}

/* In place of ioctl. */
static inline int fake_card_ioctl(struct fake_card *cards, unsigned count, int fd, unsigned long request, void *data)
{
    if (request == SIOCGIFCONF)
        return fake_addresses(cards, count, fd, data);
    if (request == SIOCETHTOOL || request == SIOCGHWTSTAMP || request == SIOCSHWTSTAMP) {
        struct ifreq *about = data;
        struct fake_card *card = fake_named(cards, count, about->ifr_name);
        uint32_t command = request == SIOCETHTOOL ? *(const uint32_t *)about->ifr_data : ETHTOOL_GET_TS_INFO;
        if (card != NULL && command == ETHTOOL_GET_TS_INFO) /* its queues are the interface's */
            return fake_answer(card, request, about);
    }
    return (int)syscall(SYS_ioctl, fd, request, data);
}

/* --- stamps --- */

struct fake_queue { /* stamps of the card that are still to come, on one socket */
    struct {
        struct sock_extended_err what;
        struct timespec at;
    } held[FAKE_HELD];
    unsigned first, count;
};

static inline struct timespec fake_time(struct timespec kernel, int64_t more_ns)
{
    int64_t ns = (int64_t)kernel.tv_sec * 1000000000LL + kernel.tv_nsec + FAKE_AHEAD_NS + more_ns;
    return (struct timespec){ns / 1000000000LL, ns % 1000000000LL};
}

static inline bool fake_asked(int fd, int flag)
{
    int flags = 0;
    socklen_t size = sizeof flags;
    return getsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, &size) == 0 && (flags & flag) != 0;
}

static inline void fake_put(struct msghdr *message, struct cmsghdr **at, int level, int type, const void *data, size_t size)
{
    *at = *at == NULL ? CMSG_FIRSTHDR(message) : (struct cmsghdr *)((uint8_t *)*at + CMSG_ALIGN((*at)->cmsg_len));
    (*at)->cmsg_level = level;
    (*at)->cmsg_type = type;
    (*at)->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(*at), data, size);
}

/* The message the kernel would have made of the card's stamp. */
static inline ssize_t fake_deliver(struct fake_queue *queue, struct msghdr *message)
{
    struct scm_timestamping stamps = {.ts = {{0}, {0}, queue->held[queue->first % FAKE_HELD].at}};
    struct sock_extended_err what = queue->held[queue->first % FAKE_HELD].what;
    struct cmsghdr *at = NULL;
    queue->first++;
    queue->count--;
    memset(message->msg_control, 0, message->msg_controllen);
    fake_put(message, &at, SOL_SOCKET, SCM_TIMESTAMPING, &stamps, sizeof stamps);
    fake_put(message, &at, SOL_IP, IP_RECVERR, &what, sizeof what);
    message->msg_controllen = (size_t)((uint8_t *)at - (uint8_t *)message->msg_control) + CMSG_SPACE(sizeof what);
    message->msg_flags = MSG_ERRQUEUE;
    return 0;
}

/* Look at what the kernel gave, and add the card's part: in the same message to a received packet, in one of its own to a sent one. */
static inline void fake_add(const struct fake_card *card, struct fake_queue *queue, struct msghdr *message, int flags)
{
    struct sock_extended_err what = {0};
    struct timespec kernel = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct scm_timestamping stamps;
        if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR)
            memcpy(&what, CMSG_DATA(c), sizeof what);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING)
            continue;
        memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
        kernel = stamps.ts[0];
        if (!(flags & MSG_ERRQUEUE) && card->rx_filter == HWTSTAMP_FILTER_ALL)
            stamps.ts[2] = fake_time(kernel, -FAKE_RECEIVE_NS);
        memcpy(CMSG_DATA(c), &stamps, sizeof stamps);
    }
    if ((flags & MSG_ERRQUEUE) && kernel.tv_sec != 0 && card->tx_type != HWTSTAMP_TX_OFF && queue->count < FAKE_HELD) {
        unsigned slot = (queue->first + queue->count++) % FAKE_HELD;
        queue->held[slot].what = what;
        queue->held[slot].at = fake_time(kernel, FAKE_TRANSMIT_NS);
    }
}

/* In place of recvmsg, for the one socket that orders leave by and those of the feed. */
static inline ssize_t fake_card_recvmsg(const struct fake_card *card, struct fake_queue *queue, int fd, struct msghdr *message,
                                        int flags)
{
    bool sent = (flags & MSG_ERRQUEUE) != 0;
    bool stamps = !card->mute && fake_asked(fd, sent ? SOF_TIMESTAMPING_TX_HARDWARE : SOF_TIMESTAMPING_RX_HARDWARE);
    if (stamps && sent && queue->count > card->late)
        return fake_deliver(queue, message);
    ssize_t got = syscall(SYS_recvmsg, fd, message, flags);
    if (stamps && got >= 0)
        fake_add(card, queue, message, flags);
    else if (stamps && sent && queue->count > 0)
        return fake_deliver(queue, message);
    return got;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What every socket of the transport is told and tells: options and kernel time stamps. */
#ifndef TICKWIRE_TRANSPORT_OPTIONS_H
#define TICKWIRE_TRANSPORT_OPTIONS_H

#include <time.h> /* which the next one needs and does not include */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "../clock.h"

static inline bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static inline bool set_stamping(int fd, int flags)
{
    return set_int(fd, SOL_SOCKET, SO_TIMESTAMPING, flags);
}

/* What is asked for, so that what a socket sends is stamped: by the kernel, or (`card`) by the card and the kernel beside it. The stamps
 * come back one by one, each with the id of its send, without the packet. */
static inline int send_stamping(bool card)
{
    int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
    if (card) /* without the last one a driver that stamps keeps the kernel from stamping too */
        flags |= SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE | SOF_TIMESTAMPING_OPT_TX_SWHW;
    return flags;
}

/* The same for what it receives, whose stamps come with the bytes. */
static inline int receive_stamping(bool card)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    return card ? flags | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE : flags;
}

/* The stamps of one packet, since the epochs of their clocks; 0: none. */
struct packet_stamps {
    uint64_t software_ns; /* the kernel's */
    uint64_t hardware_ns; /* the card's */
};

static inline uint64_t stamp_ns(const struct timespec *stamp)
{
    return (uint64_t)stamp->tv_sec * NS_PER_S + (uint64_t)stamp->tv_nsec;
}

/* Of a control message of type SCM_TIMESTAMPING: its places are for the kernel's stamp, nothing, and the card's. */
static inline struct packet_stamps stamps_of(const struct cmsghdr *control)
{
    struct scm_timestamping stamps;
    memcpy(&stamps, CMSG_DATA(control), sizeof stamps);
    return (struct packet_stamps){stamp_ns(&stamps.ts[0]), stamp_ns(&stamps.ts[2])};
}

/* Take the next message off the error queue. False when there is none. `stamped` when it has the stamp of a send, that of `id`: for TCP
 * the offset of its last byte, for UDP its number, from when stamping was asked for. Of the two stamps that a card's send has, the
 * kernel's comes first. */
static inline bool take_send_stamp(int fd, bool *stamped, uint32_t *id, struct packet_stamps *at)
{
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    struct sock_extended_err what = {0};
    *at = (struct packet_stamps){0, 0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
            *at = stamps_of(c);
        else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR)
            memcpy(&what, CMSG_DATA(c), sizeof what);
    }
    *stamped = what.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && what.ee_info == SCM_TSTAMP_SND;
    *id = what.ee_data;
    return true;
}

#endif

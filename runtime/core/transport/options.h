/* SPDX-License-Identifier: Apache-2.0
 *
 * What every socket of the transport is told and tells: options and kernel time stamps. */
#ifndef TICKWIRE_TRANSPORT_OPTIONS_H
#define TICKWIRE_TRANSPORT_OPTIONS_H

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
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

#endif

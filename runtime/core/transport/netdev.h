/* SPDX-License-Identifier: Apache-2.0
 *
 * The network interface that has an address, and how many receive queues it has. */
#ifndef TICKWIRE_TRANSPORT_NETDEV_H
#define TICKWIRE_TRANSPORT_NETDEV_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "../failure.h"

struct netdev {
    char name[IF_NAMESIZE];
    int index;
    uint32_t receive_queues;
    uint32_t mtu;
};

/* `key`: the configuration's name of what the address is, for the failure. */
bool netdev_of(struct netdev *netdev, struct in_addr address, const char *key, struct failure *failure);

#endif

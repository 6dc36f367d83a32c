/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a driver tells XDP programs the card's receive stamps. The kernel itself says so since Linux 6.7, by generic netlink (family
 * "netdev", Documentation/netlink/specs/netdev.yaml); an older one is taken for one that has none, as the program would need 6.8. */
#ifndef TICKWIRE_TRANSPORT_METADATA_H
#define TICKWIRE_TRANSPORT_METADATA_H

#include "../failure.h"

/* False with `failure` set when the driver has none, or the kernel does not say. */
bool metadata_has_stamps(const char *interface, struct failure *failure);

#endif

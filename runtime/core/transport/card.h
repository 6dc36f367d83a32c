/* SPDX-License-Identifier: Apache-2.0
 *
 * A network card's own time stamps: whether its driver has them (what `ethtool -T` shows), and switching them on.
 *
 * The setting (SIOCSHWTSTAMP) is the card's and not ours alone: ptp4l sets it too, the last one wins, and nobody is told. So:
 *
 *   - What is there is read first. What covers our need is left as it is.
 *   - A setting is only ever widened. Market data are ordinary packets, so the narrowest filter that has them is `all`; it has
 *     PTP's as well.
 *   - On close the old setting is put back, if the card still has ours: what somebody else has set since is his.
 *   - A driver that does not tell its setting (SIOCGHWTSTAMP) is left alone, as it could not be put back.
 *
 * A process that is killed puts nothing back. The next one finds its setting, which covers its need, and leaves it there. */
#ifndef TICKWIRE_TRANSPORT_CARD_H
#define TICKWIRE_TRANSPORT_CARD_H

#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/in.h>

#include "../failure.h"

#define CARD_RECEIVE 1u
#define CARD_TRANSMIT 2u

struct card {
    char name[IF_NAMESIZE];
    unsigned needs; /* CARD_ */
    int clock;      /* number of its PTP hardware clock, /dev/ptp<clock> */
    bool changed;   /* from `before` to `ours` */
    struct hwtstamp_config before, ours;
};

/* The interface that has this address. False with `failure` set when there is none. */
bool card_find(struct in_addr address, char name[IF_NAMESIZE], struct failure *failure);

/* Whether the driver of card->name can stamp all that the card needs; card->clock is set. */
bool card_can(struct card *card, struct failure *failure);

/* Switch on what the card needs. On failure it is as it was, or `failure` says that too. */
bool card_switch_on(struct card *card, struct failure *failure);

/* Undo card_switch_on. False when the driver refuses. */
bool card_put_back(struct card *card, struct failure *failure);

#endif

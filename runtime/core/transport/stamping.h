/* SPDX-License-Identifier: Apache-2.0
 *
 * Which clock stamps the packets of kernel sockets and of AF_XDP: decided once, before they are opened. Over verbs the transport
 * decides (verbs.c), as it has to open the device to know.
 *
 * The card's, when the cards of all lines and of the order connection stamp by one and the same PTP hardware clock: stamps of two
 * clocks cannot be subtracted, however well they are disciplined. The cards are found by address: feed.interface and
 * feed.interface_b, and the address the routes choose for orders.host. Packets of the re-request server may come by any way; where
 * they have no stamp of the card, an order they trigger is counted as unstamped.
 *
 * Over AF_XDP the card's stamp of a packet comes by way of the XDP program (metadata.h), so the driver has to have that as well; the
 * kernel sockets that are open beside have it as ever.
 *
 * Otherwise the kernel's. With the card's stamps the kernel's come as well, so that a report has both. */
#ifndef TICKWIRE_TRANSPORT_STAMPING_H
#define TICKWIRE_TRANSPORT_STAMPING_H

#include "../engine.h"
#include "card.h"

#define STAMPING_CARDS 3u /* line A, line B, order connection */

struct stamping {
    enum stamp_clock clock; /* over verbs what verbs_open has chosen, else STAMP_NONE, STAMP_SOFTWARE or STAMP_HARDWARE */
    bool or_kernel;         /* where the card's stamps do not come the kernel's will do */
    bool by_xdp;            /* the feed comes by AF_XDP */
    bool works;             /* a packet stamped by the kernel has come back over loopback */
    uint32_t count;
    struct card cards[STAMPING_CARDS]; /* each once; none without STAMP_HARDWARE */
    char why[BLOCK_STAMPING]; /* `clock` is what it is, for people */
};

/* What is needed of the card that has an address, and the setting the address is of. */
struct stamping_need {
    const char *key;
    struct in_addr address;
    unsigned needs; /* CARD_ */
};

void stamping_init(struct stamping *self);

/* Choose, and switch the cards on. False with `failure` set when the settings want what cannot be had. */
bool stamping_open(struct stamping *self, const struct engine_settings *settings, struct failure *failure);

/* The feed is open. `lacks`: why one of its interfaces gives no stamps of the card after all, "" when all do; then the kernel's
 * clock is chosen, or false with `failure` set where the settings want the card's. */
bool stamping_confirm(struct stamping *self, const char *lacks, struct failure *failure);

/* The same for a program that is not the engine: `wish` as the setting `key` says, at most STAMPING_CARDS needs. */
bool stamping_open_for(struct stamping *self, const char *key, enum stamping_wish wish, const struct stamping_need needs[],
                       uint32_t count, struct failure *failure);

/* The kernel begins to stamp a moment after a socket has asked for it, and packets until then have none: wait for a packet of our
 * own over loopback that has. Without one `works` stays false. */
void stamping_wait(struct stamping *self);

/* Whether the card that this connected socket's address is on stamps what it sends. */
bool stamping_transmits(const struct stamping *self, int fd);

/* Put the cards back, and say behind `text` which could not be. */
void stamping_give_back(struct stamping *self, char *text, size_t capacity);

/* Put the cards back; what could not be is told in `why`. The rest stays as it is, for a connection that is being made meanwhile. */
void stamping_close(struct stamping *self);

#endif

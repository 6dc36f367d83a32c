/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper: the verbs transport's thread for what waits or takes time. It hears the connection manager and the devices, keeps the
 * subscriptions with the gateway, ends what the engine gave up, and reads the device's counter beside the host's clock once a second.
 *
 * What the engine must know it leaves in one word each (verbs_feed_break, a link's `lost`, the line of ticks.h); what people should
 * know, in words behind a lock of its own. */
#ifndef TICKWIRE_TRANSPORT_VERBS_KEEPER_H
#define TICKWIRE_TRANSPORT_VERBS_KEEPER_H

#include "verbs.h"

/* Runs until `closing`, a struct verbs that is open. */
void *verbs_keeper(void *verbs);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The XDP program of a port: loaded for its lines, given its sockets, and attached.
 *
 * Where stamps of the card are wanted, `steer_card` of bpf/steer.bpf.c is tried first. The kernel loads it for this interface alone
 * and lets it run in native mode only; a kernel before 6.8 does not load it, as it is to see frames in several buffers too. Then `steer`
 * takes its place, and port->no_card says why. */
#ifndef TICKWIRE_TRANSPORT_XDP_PROGRAM_H
#define TICKWIRE_TRANSPORT_XDP_PROGRAM_H

#include "xdp_port.h"

/* In port->mode, with its queues open. What was begun when it fails ends with xdp_program_stop. */
bool xdp_program_start(struct xdp_port *port, const struct xdp_port_settings *settings, struct failure *failure);
void xdp_program_stop(struct xdp_port *port);

/* The id of the program on the interface, anybody's; 0: there is none. And whether it is there in generic mode. */
uint32_t xdp_program_there(const struct xdp_port *port);
bool xdp_program_is_generic(const struct xdp_port *port);

#endif

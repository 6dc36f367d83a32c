/* SPDX-License-Identifier: Apache-2.0
 *
 * A double of libibverbs and librdmacm in memory, for tests: one device "double0", on which queue pairs of this process reach one
 * another. What a test may want to go wrong is in `verbs_double`, found by dlsym. */
#ifndef TICKWIRE_TESTS_VERBS_DOUBLE_H
#define TICKWIRE_TESTS_VERBS_DOUBLE_H

#include <infiniband/verbs.h>
#include <stdatomic.h>

struct verbs_double {
    /* set by the test */
    _Atomic int no_device;        /* binding finds none */
    _Atomic int memory_errno;     /* of reg_mr */
    _Atomic int port_down;
    _Atomic int sgid_index;       /* the connection manager's choice */
    _Atomic int traffic_class;    /* of all queue pairs; -1: what was asked for */
    _Atomic int untold;           /* queue pairs do not tell their address */
    _Atomic int mtu[2];           /* enum ibv_mtu, of the next query and those after it; [1] counts when [0] is 0 */
    _Atomic int max_inline;
    _Atomic int hold_completions; /* sends are not acknowledged */
    _Atomic int fail_status;      /* enum ibv_wc_status the next send ends in, once */
    _Atomic int mute;             /* nothing is answered to a connection request */
    /* told to the test */
    _Atomic int way;     /* of the last address handle: traffic class << 8 | service level */
    _Atomic unsigned sends, inlined, signaled, receive_posts, receives, dropped;
    _Atomic int objects; /* not destroyed yet */
    void (*remove_device)(void);
    void (*port_event)(int up);
};

#endif

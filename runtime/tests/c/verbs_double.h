/* SPDX-License-Identifier: Apache-2.0
 *
 * A double of libibverbs and librdmacm in memory, for tests: two devices, "double0" at 127.0.0.1 and "double1" at any other address,
 * and queue pairs of this process that reach one another. What a test may want to go wrong is in `verbs_double`, found by dlsym. */
#ifndef TICKWIRE_TESTS_VERBS_DOUBLE_H
#define TICKWIRE_TESTS_VERBS_DOUBLE_H

#include <infiniband/verbs.h>
#include <stdatomic.h>

#define VERBS_DOUBLE_DEVICES 2u

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
    _Atomic int fail_status;      /* enum ibv_wc_status the next send ends in, once, and its queue pair with it */
    _Atomic unsigned fail_from;   /* not 0: the next one over a reliable connection of so many bytes or more */
    _Atomic int fail_arrives;     /* and it arrives all the same: only its acknowledgement is lost */
    _Atomic int way_errno;        /* of making an address handle */
    _Atomic int mute;             /* 1: nothing is answered to a connection request; 2: the answer is lost */
    /* the devices' counter; none as it comes */
    _Atomic uint64_t clock_mask, clock_khz;
    _Atomic uint64_t clock_ticks;    /* where it is, or was when the host's clock began */
    _Atomic uint64_t clock_step;     /* and goes with each completion */
    _Atomic int clock_runs;          /* with the host's clock */
    _Atomic int clock_ppm;           /* faster than clock_khz */
    _Atomic int clock_errno;         /* of reading it */
    _Atomic int stamped_queue_errno; /* of making a queue with stamps, and a queue pair with such a queue */
    _Atomic int stamped_pair_errno;
    /* told to the test */
    _Atomic int way;     /* of the last address handle: traffic class << 8 | service level */
    _Atomic int way_from; /* its GID index */
    _Atomic unsigned sends, inlined, signaled, receive_posts, receives, dropped;
    _Atomic int objects; /* not destroyed yet */
    _Atomic unsigned registrations;
    _Atomic size_t registered; /* bytes, by all devices now */
    _Atomic int ack_timeout, rnr_timer; /* last set of an id and of a queue pair */
    _Atomic unsigned rnr_timers;        /* set */
    void (*remove_device)(unsigned device);
    void (*port_event)(unsigned device, int up);
    void (*link)(int up); /* of all; down: nothing arrives, and what is not acknowledged ends as unanswered */
};

#endif

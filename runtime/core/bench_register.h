/* SPDX-License-Identifier: Apache-2.0
 *
 * What it costs to register memory with an RDMA device and to take it back: the kernel pins every page and gives the device a table of
 * them, so that it grows with the number of pages; on hugepages there are 512 times fewer. The memory is faulted in before. */
#ifndef TICKWIRE_BENCH_REGISTER_H
#define TICKWIRE_BENCH_REGISTER_H

#include "transport/verbs_device.h"

#define BENCH_REGISTER_HUGE (2u << 20) /* bytes of a hugepage */

struct bench_register {
    struct verbs_library library;
    struct rdma_event_channel *channel;
    struct verbs_device device;
    uint8_t page[4096]; /* the device's own registered memory */
};

bool bench_register_open(struct bench_register *self, const struct verbs_places *places, const char *interface, struct failure *failure);

/* Register and deregister `bytes` of ordinary pages or reserved hugepages `rounds` times; ns of each call. */
bool bench_register_run(struct bench_register *self, size_t bytes, bool hugepages, uint32_t rounds, uint64_t *register_ns,
                        uint64_t *deregister_ns, struct failure *failure);
void bench_register_close(struct bench_register *self);

#endif

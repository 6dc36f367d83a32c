/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that is there before it is needed. Every page of a region is touched at start, so that none faults on the hot path; by
 * several threads at once, because a page costs the kernel the time to zero it and, the first time in the life of a virtual
 * machine, its host the time to find it, which is ten times as long.
 *
 * A page is taken from the NUMA node of the CPU that touches it, so only CPUs of one node help: that of the CPU the memory is
 * for. */
#ifndef TICKWIRE_POPULATE_H
#define TICKWIRE_POPULATE_H

#include <stddef.h>
#include <stdint.h>

#define POPULATE_STEP ((size_t)16 << 20) /* bytes a thread takes at a time: a slow CPU then takes fewer */
#define POPULATE_THREADS 16              /* at most; memory has no more bandwidth than some CPUs can use */

/* Fault in `bytes` from `base`, both whole pages, on the node of `cpu` (-1: of the CPU this runs on). With more than one step of
 * memory it uses all CPUs of that node that this thread may run on. 0, or an errno: then some of it may be there. */
int populate(uint8_t *base, size_t bytes, int32_t cpu);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of a fixed size that is memory for several processes: the shared block and the control block.
 *
 * It is made under another name and takes its own when its contents are there, so that nobody ever sees half of one, and who has the
 * one before mapped keeps that. All of it has room on its file system from the start: a full tmpfs is an error here, and not a bus
 * error on the hot path.
 *
 * Every function names the file as `what` and its path in `failure`. */
#ifndef TICKWIRE_MAPPED_H
#define TICKWIRE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>

#include "failure.h"

/* `bytes` of zeros, shared by whoever maps the file, and faulted in for writing; with an empty path anonymous memory. NULL with
 * `failure`. */
void *mapped_make(const char *what, const char *path, size_t bytes, struct failure *failure);

/* Give the file that mapped_make has made its name. False with `failure`: then it is gone, and unmapped. */
bool mapped_publish(const char *what, const char *path, void *base, size_t bytes, struct failure *failure);

/* Map the file that is there, of `least` to `most` bytes. With `fd` for writing, and the file stays open there; with NULL for reading
 * alone. NULL with `failure`: EBADMSG for another size or no regular file. */
void *mapped_open(const char *what, const char *path, size_t least, size_t most, size_t *bytes, int *fd, struct failure *failure);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The binding of core/rdma: what its files share. */
#ifndef TICKWIRE_PYTHON_TRACE_H
#define TICKWIRE_PYTHON_TRACE_H

#include "common.h"

#include "../rdma/trace.h"

struct named {
    const char *key;
    uint64_t value;
};

bool trace_put(PyObject *dict, const struct named *numbers, size_t count);
#define TRACE_PUT(dict, numbers) trace_put(dict, numbers, sizeof numbers / sizeof numbers[0])

PyObject *trace_address(struct address address);

/* None in place of the value that stands for nothing. */
PyObject *trace_number(uint64_t value, uint64_t none);

/* {index: count} of those that are not zero. */
PyObject *trace_counted(const uint64_t *counts, size_t length);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

const char *const stamp_clock_names[STAMP_CLOCKS] = {"none", "software", "hardware", "completion", "application"};

static PyObject *tops_of(const struct block *block)
{
    PyObject *list = PyList_New(0);
    for (uint64_t i = 0; list != NULL && i < block->top_count && i < BLOCK_TOPS; i++) {
        const struct block_top *top = &block->top[i];
        PyObject *stock = text_from_alpha(top->stock, sizeof top->stock), *row = NULL;
        if (stock != NULL)
            row = Py_BuildValue("{s:k,s:O,s:k,s:K,s:k,s:K,s:N}", "locate", (unsigned long)top->locate, "stock", stock, "bid",
                                (unsigned long)top->bid, "bid_size", (unsigned long long)top->bid_shares, "ask",
                                (unsigned long)top->ask, "ask_size", (unsigned long long)top->ask_shares, "trading_state",
                                text_from_alpha(&top->trading_state, 1));
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(stock);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *positions_of(const struct block *block)
{
    PyObject *list = PyList_New(0);
    for (uint64_t i = 0; list != NULL && i < block->position_count && i < BLOCK_POSITIONS; i++) {
        const struct block_position *position = &block->position[i];
        PyObject *stock = text_from_alpha(position->stock, sizeof position->stock), *row = NULL;
        if (stock != NULL)
            row = Py_BuildValue("{s:O,s:L,s:L,s:K,s:K}", "stock", stock, "shares", (long long)position->shares, "cash",
                                (long long)position->cash, "open_buys", (unsigned long long)position->open_buys, "open_sells",
                                (unsigned long long)position->open_sells);
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(stock);
        Py_XDECREF(row);
    }
    return list;
}

/* The last rejected orders, the latest last. */
static PyObject *rejects_of(const struct block *block)
{
    PyObject *list = PyList_New(0);
    uint64_t count = BLOCK_GET(block, orders_rejected);
    for (uint64_t i = count > BLOCK_REJECTS ? count - BLOCK_REJECTS : 0; list != NULL && i < count; i++) {
        const struct block_reject *reject = &block->reject[i % BLOCK_REJECTS];
        PyObject *stock = text_from_alpha(reject->stock, sizeof reject->stock), *row = NULL;
        if (stock != NULL)
            row = Py_BuildValue("{s:k,s:k,s:O}", "reference", (unsigned long)reject->reference, "reason",
                                (unsigned long)reject->reason, "stock", stock);
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(stock);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *rdma_devices_of(const struct block *block)
{
    PyObject *names = PyUnicode_DecodeUTF8(block->rdma, (Py_ssize_t)strnlen(block->rdma, BLOCK_RDMA), "replace");
    PyObject *list = names == NULL ? NULL : PyUnicode_Split(names, NULL, -1);
    Py_XDECREF(names);
    return list;
}

PyObject *block_as_dict(const struct block *block)
{
    static const char *const states[] = {"starting", "login", "live", "stopped"};
    PyObject *dict = PyDict_New();
    if (dict == NULL)
        return NULL;
    int bad = put_item(dict, "version", PyLong_FromUnsignedLong(block->version)) ||
              put_item(dict, "name", PyUnicode_DecodeLatin1(block->name, (Py_ssize_t)strnlen(block->name, BLOCK_NAME), NULL)) ||
              put_item(dict, "strategy",
                       PyUnicode_DecodeUTF8(block->strategy, (Py_ssize_t)strnlen(block->strategy, BLOCK_STRATEGY), "replace")) ||
              put_item(dict, "pid", PyLong_FromUnsignedLong(block->pid)) ||
              put_item(dict, "state", PyUnicode_FromString(states[BLOCK_GET(block, state) % 4])) ||
              put_item(dict, "feed_session", text_from_alpha((const uint8_t *)block->feed_session,
                                                             (Py_ssize_t)strnlen(block->feed_session, 10))) ||
              put_item(dict, "feed_ended", PyBool_FromLong(BLOCK_GET(block, feed_ended) != 0)) ||
              put_item(dict, "stale", PyBool_FromLong(BLOCK_GET(block, stale) != 0)) ||
              put_item(dict, "silent", PyBool_FromLong(BLOCK_GET(block, silent) != 0)) ||
              put_item(dict, "killed", PyBool_FromLong(BLOCK_GET(block, killed) != 0)) ||
              put_item(dict, "full", PyBool_FromLong(BLOCK_GET(block, full) != 0)) ||
              put_item(dict, "limits_version", PyLong_FromUnsignedLong(BLOCK_GET(block, limits_version))) ||
              put_item(dict, "next_sequence", PyLong_FromUnsignedLongLong(BLOCK_GET(block, next_sequence))) ||
              put_item(dict, "shown_ns", PyLong_FromUnsignedLongLong(BLOCK_GET(block, shown_ns)));
#define PUT_COUNTER(name) bad = bad || put_item(dict, #name, PyLong_FromUnsignedLongLong(BLOCK_GET(block, name)));
    BLOCK_COUNTERS(PUT_COUNTER)
#undef PUT_COUNTER
    bad = bad ||
          put_item(dict, "timestamp_source",
                   PyUnicode_FromString(stamp_clock_names[BLOCK_GET(block, timestamp_source) % STAMP_CLOCKS])) ||
          put_item(dict, "timestamp_reason",
                   PyUnicode_DecodeUTF8(block->stamping, (Py_ssize_t)strnlen(block->stamping, BLOCK_STAMPING), "replace")) ||
          put_item(dict, "rdma_devices", rdma_devices_of(block)) ||
          put_item(dict, "priority", PyLong_FromUnsignedLong(BLOCK_GET(block, priority))) ||
          put_item(dict, "memory", PyUnicode_FromString(BLOCK_GET(block, hugepages) ? "hugepages" : "pages")) ||
          put_item(dict, "top", tops_of(block)) || put_item(dict, "positions", positions_of(block)) ||
          put_item(dict, "rejects", rejects_of(block));
    if (bad)
        Py_CLEAR(dict);
    return dict;
}

static const struct block *map_path(PyObject *path)
{
    PyObject *encoded = NULL;
    struct failure failure;
    char *text;
    if (PyUnicode_FSConverter(path, &encoded) == 0)
        return NULL;
    const struct block *block = NULL;
    if (PyBytes_AsStringAndSize(encoded, &text, NULL) == 0 && (block = block_map(text, &failure)) == NULL)
        raise_failure(&failure);
    Py_DECREF(encoded);
    return block;
}

static PyObject *py_block_read(PyObject *module, PyObject *path)
{
    (void)module;
    struct block copy;
    const struct block *block = map_path(path);
    if (block == NULL)
        return NULL;
    block_snapshot(block, &copy);
    block_unmap((struct block *)block);
    return block_as_dict(&copy);
}

static PyObject *py_block_samples(PyObject *module, PyObject *path)
{
    (void)module;
    const struct block *block = map_path(path);
    if (block == NULL)
        return NULL;
    uint64_t limit = block->max_samples;
    struct block_sample *samples = PyMem_Malloc(limit * sizeof *samples);
    PyObject *result = NULL;
    if (samples == NULL) {
        PyErr_NoMemory();
    } else {
        uint64_t count = block_copy_samples(block, samples, limit);
        result = PyBytes_FromStringAndSize((const char *)samples, (Py_ssize_t)(count * sizeof *samples));
    }
    PyMem_Free(samples);
    block_unmap((struct block *)block);
    return result;
}

static PyObject *py_block_legs(PyObject *module, PyObject *path)
{
    (void)module;
    const struct block *block = map_path(path);
    if (block == NULL)
        return NULL;
    uint64_t *spreads = PyMem_Malloc(BLOCK_LEGS * sizeof *spreads);
    PyObject *result = NULL;
    if (spreads == NULL)
        PyErr_NoMemory();
    else
        result = PyBytes_FromStringAndSize((const char *)spreads,
                                           (Py_ssize_t)(block_copy_legs(block, spreads, BLOCK_LEGS) * sizeof *spreads));
    PyMem_Free(spreads);
    block_unmap((struct block *)block);
    return result;
}

static PyObject *py_stamp_clocks(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *names = PyTuple_New(STAMP_CLOCKS);
    for (Py_ssize_t i = 0; names != NULL && i < STAMP_CLOCKS; i++) {
        PyObject *name = PyUnicode_FromString(stamp_clock_names[i]);
        if (name == NULL || PyTuple_SetItem(names, i, name) != 0)
            Py_CLEAR(names);
    }
    return names;
}

PyMethodDef block_methods[] = {
    {"stamp_clocks", py_stamp_clocks, METH_NOARGS, NULL},
    {"block_read", py_block_read, METH_O, NULL},
    {"block_samples", py_block_samples, METH_O, NULL},
    {"block_legs", py_block_legs, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

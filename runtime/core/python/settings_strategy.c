/* SPDX-License-Identifier: Apache-2.0
 *
 * [strategy] of the configuration: numbers, symbols, legs, and the addresses tickwire.strategy puts there for a user's file. */
#include "common.h"

#define BUILT_IN "imbalance, market_maker, spread"

/* A new reference, or NULL without an error when left out. */
static PyObject *lookup(PyObject *table, const char *key)
{
    PyObject *value = table != NULL ? PyMapping_GetItemString(table, key) : NULL;
    PyErr_Clear();
    return value;
}

static bool get_number(PyObject *table, const char *key, double missing, double least, double most, double *out)
{
    PyObject *value = lookup(table, key);
    *out = missing;
    if (value == NULL)
        return true;
    *out = PyBool_Check(value) ? -1.0 : PyFloat_AsDouble(value);
    bool good = PyErr_Occurred() == NULL && *out >= least && *out <= most;
    PyErr_Clear();
    if (!good) { /* PyErr_Format knows no %g */
        char range[64];
        snprintf(range, sizeof range, "%.0f to %.0f", least, most);
        PyErr_Format(PyExc_ValueError, "strategy.%s: %R must be a number from %s", key, value, range);
    }
    Py_DECREF(value);
    return good;
}

static bool is_integer(PyObject *value, int64_t least, int64_t most, int64_t *out)
{
    if (!PyLong_Check(value) || PyBool_Check(value))
        return false;
    *out = PyLong_AsLongLong(value);
    bool good = PyErr_Occurred() == NULL && *out >= least && *out <= most;
    PyErr_Clear();
    return good;
}

static bool get_count(PyObject *table, const char *key, int64_t missing, int64_t most, uint32_t *out)
{
    PyObject *value = lookup(table, key);
    int64_t number = missing;
    bool good = value == NULL || is_integer(value, 1, most, &number);
    if (!good)
        PyErr_Format(PyExc_ValueError, "strategy.%s: %R must be an integer from 1 to %lld", key, value, (long long)most);
    *out = (uint32_t)number;
    Py_XDECREF(value);
    return good;
}

static bool is_symbol(PyObject *value, uint8_t symbol[8])
{
    Py_ssize_t length = 0;
    const char *text = value != NULL && PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &length) : NULL;
    bool good = text != NULL && length >= 1 && length <= 8;
    PyErr_Clear();
    memset(symbol, ' ', 8);
    for (Py_ssize_t i = 0; good && i < length; i++) {
        good = text[i] > ' ' && text[i] <= '~';
        symbol[i] = (uint8_t)text[i];
    }
    return good;
}

/* The list under `key`, with its length; false when it is something else or too long. */
static bool get_list(PyObject *table, const char *key, Py_ssize_t most, PyObject **list, uint32_t *count)
{
    *list = lookup(table, key);
    *count = 0;
    if (*list == NULL)
        return true;
    Py_ssize_t length = PyList_Check(*list) ? PyList_Size(*list) : -1;
    *count = (uint32_t)length;
    if (length >= 0 && length <= most)
        return true;
    PyErr_Format(PyExc_ValueError, "strategy.%s: %R must be a list of at most %zd", key, *list, most);
    Py_CLEAR(*list);
    return false;
}

static bool read_symbols(PyObject *table, struct tw_strategy_settings *to)
{
    PyObject *list;
    if (!get_list(table, "symbols", TW_STRATEGY_SYMBOLS, &list, &to->symbol_count))
        return false;
    bool good = true;
    for (uint32_t i = 0; good && i < to->symbol_count; i++) {
        PyObject *item = PyList_GetItem(list, i);
        good = is_symbol(item, to->symbols[i]);
        if (!good)
            PyErr_Format(PyExc_ValueError, "strategy.symbols: %R must be a symbol of 1 to 8 ASCII characters", item);
    }
    Py_XDECREF(list);
    return good;
}

static bool read_leg(PyObject *item, uint32_t n, struct tw_leg *leg)
{
    PyObject *symbol = PyMapping_Check(item) ? lookup(item, "symbol") : NULL;
    PyObject *weight = PyMapping_Check(item) ? lookup(item, "weight") : NULL;
    int64_t number = 0;
    bool good = is_symbol(symbol, leg->stock) && weight != NULL && is_integer(weight, -999999, 999999, &number) && number != 0;
    leg->weight = (int32_t)number;
    if (!good)
        PyErr_Format(PyExc_ValueError, "strategy.legs[%u]: %R must have a symbol and a weight from -999999 to 999999, not 0", n,
                     item);
    Py_XDECREF(symbol);
    Py_XDECREF(weight);
    return good;
}

static bool read_legs(PyObject *table, struct tw_strategy_settings *to)
{
    PyObject *list;
    if (!get_list(table, "legs", TW_STRATEGY_LEGS, &list, &to->leg_count))
        return false;
    bool good = true;
    for (uint32_t i = 0; good && i < to->leg_count; i++) {
        good = read_leg(PyList_GetItem(list, i), i, &to->legs[i]);
        for (uint32_t k = 0; good && k < i; k++) {
            good = memcmp(to->legs[i].stock, to->legs[k].stock, 8) != 0;
            if (!good)
                PyErr_Format(PyExc_ValueError, "strategy.legs[%u]: its symbol is that of strategy.legs[%u]", i, k);
        }
    }
    Py_XDECREF(list);
    return good;
}

/* What each strategy cannot do without. */
static bool fits(const struct tw_strategy *strategy, const struct tw_strategy_settings *settings)
{
    if (strategy == &tw_strategy_market_maker && settings->symbol_count == 0)
        PyErr_SetString(PyExc_ValueError, "strategy.symbols: market_maker quotes what is named here; name 1 to 64 symbols");
    if (strategy == &tw_strategy_spread && settings->leg_count < 2)
        PyErr_Format(PyExc_ValueError, "strategy.legs: spread needs 2 to 4, not %u", settings->leg_count);
    return PyErr_Occurred() == NULL;
}

static bool get_address(PyObject *table, const char *key, void *function, bool required)
{
    PyObject *value = lookup(table, key);
    uint64_t address = 0;
    if (value != NULL && value != Py_None) {
        address = PyLong_Check(value) ? PyLong_AsUnsignedLongLong(value) : 0;
        required = address == 0 || PyErr_Occurred() != NULL;
        PyErr_Clear();
    }
    if (required)
        PyErr_Format(PyExc_ValueError, "strategy.addresses.%s: must be the address of a function, see tickwire.strategy.load", key);
    Py_XDECREF(value);
    memcpy(function, &address, sizeof address);
    return !required;
}

_Static_assert(sizeof(void (*)(void)) == sizeof(uint64_t), "addresses have 64 bits");

static bool read_addresses(PyObject *addresses, struct tw_user_functions *to)
{
    PyObject *state = lookup(addresses, "footprint"), *tags = lookup(addresses, "tags");
    int64_t bytes = 0, count = 0;
    bool good = state != NULL && tags != NULL && is_integer(state, 1, 1 << 30, &bytes) && is_integer(tags, 0, 1 << 20, &count);
    if (!good)
        PyErr_SetString(PyExc_ValueError, "strategy.addresses: footprint must be 1 to 2^30 bytes and tags 0 to 2^20");
    Py_XDECREF(state);
    Py_XDECREF(tags);
    to->state_bytes = (uint64_t)bytes;
    to->tags = (uint32_t)count;
    return good && get_address(addresses, "init", &to->init, false) && get_address(addresses, "reset", &to->reset, false) &&
           get_address(addresses, "on_instrument", &to->on_instrument, false) &&
           get_address(addresses, "on_top", &to->on_top, true) && get_address(addresses, "on_update", &to->on_update, false);
}

static const struct tw_strategy *find(PyObject *table)
{
    PyObject *value = lookup(table, "name");
    const char *name = value == NULL ? "imbalance" : PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, NULL) : NULL;
    const struct tw_strategy *strategy = name != NULL ? tw_strategy_find(name) : NULL;
    PyErr_Clear();
    if (strategy == NULL)
        PyErr_Format(PyExc_ValueError, "strategy.name: no strategy \"%S\"; built in: " BUILT_IN, value);
    Py_XDECREF(value);
    return strategy;
}

/* A built-in must never run in the place of the file that was asked for. */
static bool names_file(PyObject *table)
{
    PyObject *file = lookup(table, "file");
    bool named = file != NULL && PyObject_IsTrue(file) == 1;
    PyErr_Clear();
    Py_XDECREF(file);
    return named;
}

bool strategy_from_table(PyObject *table, uint32_t max_instruments, const struct tw_strategy **strategy,
                         struct tw_strategy_settings *to)
{
    memset(to, 0, sizeof *to);
    to->max_instruments = max_instruments;
    if (!get_count(table, "size", 100, 999999, &to->size) || !get_number(table, "ratio", 3.0, 1.0, 1e6, &to->ratio) ||
        !get_number(table, "edge_bps", 5.0, 0.0, 10000.0, &to->edge_bps) ||
        !get_number(table, "skew_bps", 5.0, 0.0, 10000.0, &to->skew_bps) ||
        !get_count(table, "max_position", 1000, 1000000000, &to->max_position) ||
        !get_count(table, "requote_ticks", 1, 1000000, &to->requote_ticks) || !read_symbols(table, to) || !read_legs(table, to))
        return false;
    PyObject *addresses = lookup(table, "addresses");
    if (addresses != NULL) {
        bool good = read_addresses(addresses, &to->user);
        Py_DECREF(addresses);
        *strategy = &tw_strategy_user;
        return good;
    }
    if (names_file(table)) {
        PyErr_SetString(PyExc_ValueError, "strategy.file: is not compiled; tickwire.strategy.prepare(config) does that");
        return false;
    }
    *strategy = find(table);
    return *strategy != NULL && fits(*strategy, to);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Strategies alone, without an engine: Strategy for tests, strategy_try for trials, strategy_layout for those who lay out the same
 * records in another language. */
#include "common.h"

#include "../trial.h"

struct strategy_object {
    PyObject_HEAD
    struct arena arena;
    const struct tw_strategy *strategy;
    struct tw_strategy_settings settings;
    void *state;
    PyObject *table; /* who made the functions may live here */
};

static PyObject *strategy_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"strategy", "max_instruments", NULL};
    PyObject *table;
    unsigned long max_instruments = 64;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|k:Strategy", names, &table, &max_instruments))
        return NULL;
    if (max_instruments < 1 || max_instruments > BOOK_INSTRUMENTS_LIMIT)
        return PyErr_Format(PyExc_ValueError, "Strategy: max_instruments %lu must be 1 to 65536", max_instruments);
    struct strategy_object *self = (struct strategy_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    if (!strategy_from_table(table, (uint32_t)max_instruments, &self->strategy, &self->settings)) {
        Py_DECREF(self);
        return NULL;
    }
    size_t bytes = self->strategy->footprint(&self->settings);
    if (!arena_open(&self->arena, arena_footprint(bytes))) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->table = Py_NewRef(table);
    self->state = arena_take(&self->arena, bytes);
    self->strategy->init(self->state, &self->settings);
    return (PyObject *)self;
}

static void strategy_dealloc(PyObject *object)
{
    struct strategy_object *self = (struct strategy_object *)object;
    arena_close(&self->arena);
    Py_XDECREF(self->table);
    free_instance(object);
}

/* --- dictionaries --- */

/* The integer under `key`, 0 when left out; with an error set when it is none or too large. */
static int64_t field(PyObject *dict, const char *key, int64_t least, int64_t most)
{
    PyObject *value = PyMapping_GetItemString(dict, key);
    if (value == NULL) {
        PyErr_Clear();
        return 0;
    }
    int64_t number = PyLong_AsLongLong(value);
    Py_DECREF(value);
    if (PyErr_Occurred() == NULL && (number < least || number > most))
        PyErr_Format(PyExc_ValueError, "%s: %lld is outside %lld..%lld", key, (long long)number, (long long)least, (long long)most);
    return number;
}

/* The single character under `key`, or `missing`. */
static uint8_t letter(PyObject *dict, const char *key, uint8_t missing)
{
    PyObject *value = PyMapping_GetItemString(dict, key);
    if (value == NULL) {
        PyErr_Clear();
        return missing;
    }
    Py_ssize_t length = 0;
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &length) : NULL;
    uint8_t character = text != NULL && length == 1 ? (uint8_t)text[0] : 0;
    if (character == 0 && PyErr_Occurred() == NULL)
        PyErr_Format(PyExc_ValueError, "%s: %R must be one ASCII character", key, value);
    Py_DECREF(value);
    return character;
}

static PyObject *text_of(uint8_t character)
{
    char text[2] = {(char)character, '\0'};
    return PyUnicode_FromString(text);
}

static PyObject *order_as_dict(const struct tw_order *order)
{
    PyObject *dict = PyDict_New();
    PyObject *tag = order->tag == TW_NO_TAG ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(order->tag);
    if (dict == NULL || put_item(dict, "action", text_of(order->action)) != 0 ||
        put_item(dict, "side", text_of(order->side)) != 0 ||
        put_item(dict, "price", PyLong_FromUnsignedLong(order->price)) != 0 ||
        put_item(dict, "shares", PyLong_FromUnsignedLong(order->shares)) != 0 || put_item(dict, "tag", tag) != 0 ||
        put_item(dict, "locate", PyLong_FromUnsignedLong(order->locate)) != 0 ||
        put_item(dict, "time_in_force", text_of(order->time_in_force)) != 0 ||
        put_item(dict, "flags", PyLong_FromUnsignedLong(order->flags)) != 0)
        Py_CLEAR(dict);
    return dict;
}

static PyObject *orders_as_list(const struct tw_order *orders, uint32_t count)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < count && i < TW_STRATEGY_ORDERS; i++) {
        PyObject *dict = order_as_dict(&orders[i]);
        if (dict == NULL || PyList_Append(list, dict) != 0)
            Py_CLEAR(list);
        Py_XDECREF(dict);
    }
    return list;
}

/* The levels under `key`, (price, shares, orders) with the best first. */
static uint32_t read_levels(PyObject *dict, const char *key, struct tw_level levels[TRIAL_LEVELS])
{
    PyObject *list = PyMapping_GetItemString(dict, key);
    PyErr_Clear();
    Py_ssize_t count = list == NULL ? 0 : PyList_Check(list) ? PyList_Size(list) : -1;
    if (count < 0 || count > TRIAL_LEVELS)
        PyErr_Format(PyExc_ValueError, "%s: must be a list of at most %d levels", key, TRIAL_LEVELS);
    for (Py_ssize_t i = 0; i < count && PyErr_Occurred() == NULL; i++) {
        unsigned long price, orders;
        unsigned long long shares;
        if (PyArg_ParseTuple(PyList_GetItem(list, i), "kKk;levels are (price, shares, orders)", &price, &shares, &orders))
            levels[i] = (struct tw_level){(uint32_t)price, (uint32_t)orders, shares};
    }
    Py_XDECREF(list);
    return (uint32_t)count;
}

/* --- methods --- */

static PyObject *name(PyObject *object, PyObject *arguments)
{
    struct strategy_object *self = (struct strategy_object *)object;
    unsigned long locate;
    const char *text;
    Py_ssize_t length;
    uint8_t stock[8];
    if (!PyArg_ParseTuple(arguments, "ks#:name", &locate, &text, &length))
        return NULL;
    if (locate >= self->settings.max_instruments || length > 8)
        return PyErr_Format(PyExc_ValueError, "name: locate %lu must be below max_instruments %u, \"%s\" at most 8 characters",
                            locate, self->settings.max_instruments, text);
    memset(stock, ' ', sizeof stock);
    memcpy(stock, text, (size_t)length);
    return PyBool_FromLong(self->strategy->on_instrument(self->state, (uint16_t)locate, stock) != 0);
}

static PyObject *event(PyObject *object, PyObject *dict)
{
    struct strategy_object *self = (struct strategy_object *)object;
    struct trial_levels shown;
    struct tw_order orders[TW_STRATEGY_ORDERS] = {0};
    struct tw_event now = {.time_ns = (uint64_t)field(dict, "time_ns", 0, INT64_MAX),
                           .bid_shares = (uint64_t)field(dict, "bid_shares", 0, INT64_MAX),
                           .ask_shares = (uint64_t)field(dict, "ask_shares", 0, INT64_MAX),
                           .position = field(dict, "position", INT64_MIN, INT64_MAX),
                           .bid = (uint32_t)field(dict, "bid", 0, UINT32_MAX),
                           .ask = (uint32_t)field(dict, "ask", 0, UINT32_MAX),
                           .locate = (uint16_t)field(dict, "locate", 0, self->settings.max_instruments - 1),
                           .trading_state = letter(dict, "trading_state", 'T'),
                           .books = &shown,
                           .level_at = trial_level_at,
                           .level_count = trial_level_count};
    if (PyErr_Occurred() == NULL)
        shown.count[TW_BIDS] = read_levels(dict, "bids", shown.level[TW_BIDS]);
    if (PyErr_Occurred() == NULL)
        shown.count[TW_ASKS] = read_levels(dict, "asks", shown.level[TW_ASKS]);
    if (PyErr_Occurred() != NULL)
        return NULL;
    return orders_as_list(orders, self->strategy->on_top(self->state, &now, orders));
}

static PyObject *update(PyObject *object, PyObject *dict)
{
    struct strategy_object *self = (struct strategy_object *)object;
    struct tw_order orders[TW_STRATEGY_ORDERS] = {0};
    struct tw_update now = {.time_ns = (uint64_t)field(dict, "time_ns", 0, INT64_MAX),
                            .position = field(dict, "position", INT64_MIN, INT64_MAX),
                            .reference = (uint32_t)field(dict, "reference", 0, UINT32_MAX),
                            .tag = (uint32_t)field(dict, "tag", 0, UINT32_MAX),
                            .price = (uint32_t)field(dict, "price", 0, UINT32_MAX),
                            .shares = (uint32_t)field(dict, "shares", 0, UINT32_MAX),
                            .open_shares = (uint32_t)field(dict, "open_shares", 0, UINT32_MAX),
                            .locate = (uint16_t)field(dict, "locate", 0, self->settings.max_instruments - 1),
                            .side = letter(dict, "side", 'B'),
                            .kind = letter(dict, "kind", TW_ACCEPTED)};
    if (PyErr_Occurred() != NULL)
        return NULL;
    uint32_t count = 0;
    if (self->strategy->on_update != NULL)
        count = self->strategy->on_update(self->state, &now, orders);
    return orders_as_list(orders, count);
}

static PyObject *reset(PyObject *object, PyObject *unused)
{
    struct strategy_object *self = (struct strategy_object *)object;
    (void)unused;
    self->strategy->reset(self->state);
    Py_RETURN_NONE;
}

static PyObject *tags(PyObject *object, PyObject *unused)
{
    struct strategy_object *self = (struct strategy_object *)object;
    (void)unused;
    return PyLong_FromUnsignedLong(self->strategy->tags(&self->settings));
}

static PyObject *failed(PyObject *object, PyObject *unused)
{
    struct strategy_object *self = (struct strategy_object *)object;
    (void)unused;
    return PyBool_FromLong(self->strategy == &tw_strategy_user && tw_user_failures(self->state) != 0);
}

static PyMethodDef strategy_object_methods[] = {
    {"name", name, METH_VARARGS, NULL},   {"event", event, METH_O, NULL},    {"update", update, METH_O, NULL},
    {"reset", reset, METH_NOARGS, NULL},  {"tags", tags, METH_NOARGS, NULL}, {"failed", failed, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot strategy_slots[] = {
    {Py_tp_new, strategy_new},
    {Py_tp_dealloc, strategy_dealloc},
    {Py_tp_methods, strategy_object_methods},
    {0, NULL},
};

PyType_Spec strategy_spec = {"tickwire._core.Strategy", sizeof(struct strategy_object), 0, Py_TPFLAGS_DEFAULT, strategy_slots};

/* --- trials --- */

static PyObject *counts_as_dict(const struct trial_counts *counts)
{
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsKsKsKsK}", "messages", counts->messages, "calls", counts->calls, "updates",
                         counts->updates, "enters", counts->enters, "replaces", counts->replaces, "cancels", counts->cancels,
                         "refused", counts->refused, "executed", counts->executed, "endless", counts->endless, "failed_at",
                         counts->failed_at, "elapsed_ns", counts->elapsed_ns, "overhead_ns", counts->overhead_ns);
}

static PyObject *py_try(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"strategy", "itch_buffer", "index", "measured", "max_orders", "max_instruments", NULL};
    (void)module;
    PyObject *table, *data, *index;
    int measured = 0;
    unsigned long max_orders = 1 << 20, max_instruments = 16384;
    const struct tw_strategy *strategy;
    struct tw_strategy_settings settings;
    struct trial trial;
    Py_buffer data_buffer, index_buffer;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|$pkk:strategy_try", names, &table, &data, &index, &measured,
                                     &max_orders, &max_instruments))
        return NULL;
    if (max_orders < 1 || max_orders > BOOK_ORDERS_LIMIT || max_instruments < 1 || max_instruments > BOOK_INSTRUMENTS_LIMIT)
        return PyErr_Format(PyExc_ValueError, "strategy_try: max_orders %lu or max_instruments %lu is out of range", max_orders,
                            max_instruments);
    if (!strategy_from_table(table, (uint32_t)max_instruments, &strategy, &settings) ||
        !take_messages(data, index, &data_buffer, &index_buffer))
        return NULL;
    bool good;
    const uint64_t *entries = index_buffer.buf;
    Py_BEGIN_ALLOW_THREADS
    good = trial_open(&trial, strategy, &settings, (uint32_t)max_orders);
    if (good) {
        for (Py_ssize_t i = 0; i < index_buffer.len / 8; i++)
            trial_message(&trial, (const uint8_t *)data_buffer.buf + (entries[i] >> 16), (uint16_t)entries[i], measured != 0);
        if (measured)
            trial_finish(&trial);
        trial_close(&trial);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data_buffer);
    PyBuffer_Release(&index_buffer);
    return good ? counts_as_dict(&trial.counts) : PyErr_NoMemory();
}

/* --- layout --- */

#define FIELD(record, field) {#record, #field, offsetof(struct record, field), sizeof(((struct record *)0)->field)}
#define WHOLE(record) {#record, "", 0, sizeof(struct record)}

static const struct {
    const char *record, *field;
    size_t offset, size;
} layout[] = {
    WHOLE(tw_level), FIELD(tw_level, price), FIELD(tw_level, orders), FIELD(tw_level, shares),
    WHOLE(tw_event), FIELD(tw_event, time_ns), FIELD(tw_event, bid_shares), FIELD(tw_event, ask_shares), FIELD(tw_event, books),
    FIELD(tw_event, level_at), FIELD(tw_event, level_count), FIELD(tw_event, position), FIELD(tw_event, bid), FIELD(tw_event, ask),
    FIELD(tw_event, locate), FIELD(tw_event, trading_state),
    WHOLE(tw_order), FIELD(tw_order, price), FIELD(tw_order, shares), FIELD(tw_order, tag), FIELD(tw_order, locate),
    FIELD(tw_order, side), FIELD(tw_order, action), FIELD(tw_order, time_in_force), FIELD(tw_order, flags),
    WHOLE(tw_update), FIELD(tw_update, time_ns), FIELD(tw_update, position), FIELD(tw_update, reference), FIELD(tw_update, tag),
    FIELD(tw_update, price), FIELD(tw_update, shares), FIELD(tw_update, open_shares), FIELD(tw_update, locate),
    FIELD(tw_update, side), FIELD(tw_update, kind),
    WHOLE(tw_strategy_settings), FIELD(tw_strategy_settings, max_instruments), FIELD(tw_strategy_settings, size),
    FIELD(tw_strategy_settings, ratio), FIELD(tw_strategy_settings, edge_bps), FIELD(tw_strategy_settings, skew_bps),
    FIELD(tw_strategy_settings, max_position), FIELD(tw_strategy_settings, requote_ticks),
};

/* The dictionary under `key`, made when it is not there; borrowed. */
static PyObject *inner(PyObject *dict, const char *key)
{
    PyObject *found = PyDict_GetItemString(dict, key);
    if (found != NULL || put_item(dict, key, PyDict_New()) != 0)
        return found;
    return PyDict_GetItemString(dict, key);
}

static PyObject *py_layout(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *records = PyDict_New();
    for (size_t i = 0; records != NULL && i < sizeof layout / sizeof layout[0]; i++) {
        PyObject *fields = inner(records, layout[i].record);
        PyObject *place = Py_BuildValue("(nn)", (Py_ssize_t)layout[i].offset, (Py_ssize_t)layout[i].size);
        if (fields == NULL || put_item(fields, layout[i].field, place) != 0)
            Py_CLEAR(records);
    }
    return records;
}

static PyObject *py_call(PyObject *module, PyObject *unused)
{
    static const char *const functions[TW_CALLS] = {"", "init", "reset", "on_instrument", "on_top", "on_update", "", ""};
    (void)module, (void)unused;
    uint64_t call = tw_user_call();
    return Py_BuildValue("(Ks)", (unsigned long long)(call / TW_CALLS), functions[call % TW_CALLS]);
}

PyMethodDef strategy_methods[] = {
    {"strategy_call", py_call, METH_NOARGS, NULL},
    {"strategy_try", (PyCFunction)(void (*)(void))py_try, METH_VARARGS | METH_KEYWORDS, NULL},
    {"strategy_layout", py_layout, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

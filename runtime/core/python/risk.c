/* SPDX-License-Identifier: Apache-2.0
 *
 * The risk checks for tests and tools: records of the C interface as dictionaries of their field names. */
#include "common.h"

#include <stddef.h>

struct field {
    const char *name;
    uint8_t offset, bytes;
    char kind; /* u unsigned, i signed, c one character */
};

#define FIELD(type, name, kind) {#name, offsetof(struct type, name), sizeof(((struct type *)0)->name), kind}

static const struct field limit_fields[] = {
    FIELD(risk_limits, max_size, 'u'),         FIELD(risk_limits, max_notional, 'u'),    FIELD(risk_limits, collar_bps, 'u'),
    FIELD(risk_limits, max_position, 'u'),     FIELD(risk_limits, max_open_orders, 'u'), FIELD(risk_limits, max_orders_per_s, 'u'),
    FIELD(risk_limits, duplicate_ms, 'u'),     {0},
};

static const struct field order_fields[] = {
    FIELD(tw_order, price, 'u'), FIELD(tw_order, shares, 'u'), FIELD(tw_order, tag, 'u'),
    FIELD(tw_order, locate, 'u'), FIELD(tw_order, side, 'c'), FIELD(tw_order, action, 'c'),
    FIELD(tw_order, time_in_force, 'c'), FIELD(tw_order, flags, 'u'), {0},
};

static const struct field view_fields[] = {
    {"bid", offsetof(struct risk_view, top.bid), 4, 'u'},
    {"ask", offsetof(struct risk_view, top.ask), 4, 'u'},
    FIELD(risk_view, position, 'i'),
    FIELD(risk_view, open_buys, 'u'),
    FIELD(risk_view, open_sells, 'u'),
    FIELD(risk_view, open_orders, 'u'),
    FIELD(risk_view, replaced_open, 'u'),
    FIELD(risk_view, lower_band, 'u'),
    FIELD(risk_view, upper_band, 'u'),
    FIELD(risk_view, time_ns, 'u'),
    FIELD(risk_view, trading_state, 'c'),
    FIELD(risk_view, stale, 'u'),
    {0},
};

static bool put_value(const struct field *field, PyObject *value, void *record)
{
    uint64_t bits = 0;
    bool good = true;
    if (field->kind == 'c') {
        Py_ssize_t length;
        const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &length) : NULL;
        good = text != NULL && length == 1;
        bits = good ? (uint8_t)text[0] : 0;
    } else if (!PyLong_Check(value)) {
        good = false;
    } else if (field->kind == 'i') {
        bits = (uint64_t)PyLong_AsLongLong(value);
    } else {
        bits = PyLong_AsUnsignedLongLong(value);
        good = field->bytes == 8 || bits >> 8 * field->bytes == 0;
    }
    if (!good || PyErr_Occurred() != NULL) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: %R must be %s", field->name, value,
                     field->kind == 'c' ? "one ASCII character" : "an integer that fits");
        return false;
    }
    memcpy((uint8_t *)record + field->offset, &bits, field->bytes); /* little-endian, see wire.h */
    return true;
}

static bool record_from(PyObject *dict, const struct field *fields, void *record)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "must be a dictionary, not %R", dict);
        return false;
    }
    while (PyDict_Next(dict, &at, &key, &value)) {
        const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, NULL) : NULL;
        const struct field *field = fields;
        while (name != NULL && field->name != NULL && strcmp(field->name, name) != 0)
            field++;
        if (name == NULL || field->name == NULL) {
            PyErr_Clear();
            PyErr_Format(PyExc_ValueError, "%R is no field; the first here is %s", key, fields->name);
            return false;
        }
        if (!put_value(field, value, record))
            return false;
    }
    return true;
}

bool limits_from_dict(PyObject *dict, struct risk_limits *limits)
{
    return record_from(dict, limit_fields, limits);
}

PyObject *limits_as_dict(const struct risk_limits *limits)
{
    PyObject *dict = PyDict_New();
    for (const struct field *field = limit_fields; dict != NULL && field->name != NULL; field++) {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)limits + field->offset, field->bytes);
        if (put_item(dict, field->name, PyLong_FromUnsignedLongLong(value)) != 0)
            Py_CLEAR(dict);
    }
    return dict;
}

bool symbol_from_text(PyObject *text, uint8_t symbol[8])
{
    Py_ssize_t length = 0;
    const char *bytes = PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &length) : NULL;
    bool good = bytes != NULL && length >= 1 && length <= 8;
    for (Py_ssize_t i = 0; good && i < length; i++)
        good = bytes[i] >= ' ' && bytes[i] <= '~';
    if (!good) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "symbol %R must be 1 to 8 ASCII characters", text);
        return false;
    }
    memset(symbol, ' ', 8);
    memcpy(symbol, bytes, (size_t)length);
    return true;
}

int32_t symbols_from_list(PyObject *list, uint8_t symbols[RISK_RESTRICTED_MAX][8])
{
    Py_ssize_t count = PySequence_Size(list);
    if (count > RISK_RESTRICTED_MAX)
        PyErr_Format(PyExc_ValueError, "restricted: %zd symbols are more than %d", count, RISK_RESTRICTED_MAX);
    for (Py_ssize_t i = 0; i < count && PyErr_Occurred() == NULL; i++) {
        PyObject *text = PySequence_GetItem(list, i);
        if (text != NULL)
            symbol_from_text(text, symbols[i]);
        Py_XDECREF(text);
    }
    return PyErr_Occurred() == NULL ? (int32_t)count : -1;
}

/* --- _core.Risk --- */

struct risk_object {
    PyObject_HEAD
    struct arena arena;
    struct risk *risk;
};

static struct risk *risk_of(PyObject *self)
{
    return ((struct risk_object *)self)->risk;
}

static PyObject *risk_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"limits", "max_instruments", NULL};
    PyObject *dict;
    unsigned long max_instruments = 16;
    struct risk_limits limits = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|k:Risk", names, &dict, &max_instruments) ||
        !limits_from_dict(dict, &limits))
        return NULL;
    if (max_instruments < 1 || max_instruments > BOOK_INSTRUMENTS_LIMIT)
        return PyErr_Format(PyExc_ValueError, "Risk: max_instruments %lu must be 1 to %lu", max_instruments,
                            (unsigned long)BOOK_INSTRUMENTS_LIMIT);
    struct risk_object *self = (struct risk_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    if (!arena_open(&self->arena, risk_footprint((uint32_t)max_instruments)) ||
        (self->risk = risk_init(&self->arena, &limits, (uint32_t)max_instruments)) == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void risk_dealloc(PyObject *self)
{
    arena_close(&((struct risk_object *)self)->arena);
    free_instance(self);
}

static PyObject *check(PyObject *self, PyObject *arguments)
{
    PyObject *order_dict, *view_dict;
    unsigned long nth = 0;
    struct tw_order order = {.side = 'B', .action = TW_ENTER, .time_in_force = TW_DAY, .tag = TW_NO_TAG};
    struct risk_view view = {.trading_state = 'T'};
    if (!PyArg_ParseTuple(arguments, "OO|k:check", &order_dict, &view_dict, &nth) ||
        !record_from(order_dict, order_fields, &order) || !record_from(view_dict, view_fields, &view))
        return NULL;
    if (nth > UINT32_MAX)
        return PyErr_Format(PyExc_ValueError, "nth: %lu is above %lu", nth, (unsigned long)UINT32_MAX);
    return PyUnicode_FromString(risk_name_of(risk_check_nth(risk_of(self), &order, &view, (uint32_t)nth)));
}

static PyObject *sent(PyObject *self, PyObject *arguments)
{
    PyObject *order_dict;
    unsigned long long time_ns;
    struct tw_order order = {.side = 'B', .action = TW_ENTER};
    if (!PyArg_ParseTuple(arguments, "OK:sent", &order_dict, &time_ns) || !record_from(order_dict, order_fields, &order))
        return NULL;
    risk_sent(risk_of(self), &order, time_ns);
    Py_RETURN_NONE;
}

static PyObject *tick(PyObject *self, PyObject *arguments)
{
    unsigned long long now_ns;
    if (!PyArg_ParseTuple(arguments, "K:tick", &now_ns))
        return NULL;
    risk_tick(risk_of(self), now_ns);
    Py_RETURN_NONE;
}

/* Those of before where the dictionary is silent are not known here: a limit left out is 0. */
static PyObject *set_limits(PyObject *self, PyObject *dict)
{
    struct risk_limits limits = {0};
    if (!limits_from_dict(dict, &limits))
        return NULL;
    risk_set_limits(risk_of(self), &limits);
    Py_RETURN_NONE;
}

static PyObject *set_killed(PyObject *self, PyObject *killed)
{
    int truth = PyObject_IsTrue(killed);
    if (truth < 0)
        return NULL;
    risk_set_killed(risk_of(self), truth != 0);
    Py_RETURN_NONE;
}

static PyObject *set_restricted(PyObject *self, PyObject *list)
{
    uint8_t symbols[RISK_RESTRICTED_MAX][8];
    int32_t count = symbols_from_list(list, symbols);
    if (count < 0)
        return NULL;
    risk_set_restricted(risk_of(self), (const uint8_t(*)[8])symbols, (uint32_t)count);
    Py_RETURN_NONE;
}

static PyObject *name_instrument(PyObject *self, PyObject *arguments)
{
    unsigned short locate;
    PyObject *text;
    uint8_t stock[8];
    if (!PyArg_ParseTuple(arguments, "HO:name", &locate, &text) || !symbol_from_text(text, stock))
        return NULL;
    risk_name(risk_of(self), locate, stock);
    Py_RETURN_NONE;
}

static PyObject *forget(PyObject *self, PyObject *unused)
{
    (void)unused;
    risk_forget(risk_of(self));
    Py_RETURN_NONE;
}

static PyMethodDef risk_methods[] = {
    {"check", check, METH_VARARGS, NULL},
    {"sent", sent, METH_VARARGS, NULL},
    {"tick", tick, METH_VARARGS, NULL},
    {"set_limits", set_limits, METH_O, NULL},
    {"kill", set_killed, METH_O, NULL},
    {"restrict", set_restricted, METH_O, NULL},
    {"name", name_instrument, METH_VARARGS, NULL},
    {"forget", forget, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot risk_slots[] = {
    {Py_tp_new, risk_new},
    {Py_tp_dealloc, risk_dealloc},
    {Py_tp_methods, risk_methods},
    {0, NULL},
};

PyType_Spec risk_spec = {"tickwire._core.Risk", sizeof(struct risk_object), 0, Py_TPFLAGS_DEFAULT, risk_slots};

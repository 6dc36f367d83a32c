/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include "../itch.h"

struct book_object {
    PyObject_HEAD
    struct arena arena;
    struct book book;
};

static PyObject *book_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"max_orders", "max_instruments", NULL};
    unsigned long max_orders = 65536, max_instruments = 1024;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|kk:Book", names, &max_orders, &max_instruments))
        return NULL;
    if (max_orders < 1 || max_orders > BOOK_ORDERS_LIMIT || max_instruments < 1 || max_instruments > BOOK_INSTRUMENTS_LIMIT)
        return PyErr_Format(PyExc_ValueError, "Book: max_orders %lu must be 1 to %lu and max_instruments %lu 1 to %lu", max_orders,
                            (unsigned long)BOOK_ORDERS_LIMIT, max_instruments, (unsigned long)BOOK_INSTRUMENTS_LIMIT);
    struct book_object *self = (struct book_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    if (!arena_open(&self->arena, book_footprint((uint32_t)max_orders, (uint32_t)max_instruments)) ||
        !book_init(&self->book, &self->arena, (uint32_t)max_orders, (uint32_t)max_instruments)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void book_dealloc(PyObject *self)
{
    arena_close(&((struct book_object *)self)->arena);
    free_instance(self);
}

static PyObject *apply(PyObject *self, PyObject *message)
{
    Py_buffer buffer;
    if (!take_buffer(message, &buffer))
        return NULL;
    const uint8_t *bytes = buffer.buf;
    bool good = buffer.len > 0 && itch_lengths[bytes[0]] == buffer.len;
    if (good)
        book_apply(&((struct book_object *)self)->book, bytes);
    else
        PyErr_Format(PyExc_ValueError, "Book.apply: %zd bytes are no ITCH 5.0 message", buffer.len);
    PyBuffer_Release(&buffer);
    if (!good)
        return NULL;
    Py_RETURN_NONE;
}

static bool known_locate(const struct book *book, unsigned long locate)
{
    if (locate < book->max_instruments)
        return true;
    PyErr_Format(PyExc_ValueError, "stock locate %lu must be below max_instruments %lu", locate,
                 (unsigned long)book->max_instruments);
    return false;
}

static PyObject *top(PyObject *self, PyObject *arguments)
{
    const struct book *book = &((struct book_object *)self)->book;
    unsigned long locate;
    if (!PyArg_ParseTuple(arguments, "k:top", &locate) || !known_locate(book, locate))
        return NULL;
    struct book_top now = book_top(book, (uint16_t)locate);
    return Py_BuildValue("(kKkK)", (unsigned long)now.bid, (unsigned long long)now.bid_shares, (unsigned long)now.ask,
                         (unsigned long long)now.ask_shares);
}

PyObject *book_depth(const struct book *book, uint16_t locate, enum book_side_index side, Py_ssize_t n)
{
    uint32_t price;
    struct book_level level;
    PyObject *levels = PyList_New(0);
    for (uint32_t i = 0; levels != NULL && i < n && book_level_at(book, locate, side, i, &price, &level); i++) {
        PyObject *row = Py_BuildValue("(kKk)", (unsigned long)price, (unsigned long long)level.shares, (unsigned long)level.orders);
        if (row == NULL || PyList_Append(levels, row) != 0)
            Py_CLEAR(levels);
        Py_XDECREF(row);
    }
    return levels;
}

static PyObject *depth(PyObject *self, PyObject *arguments)
{
    const struct book *book = &((struct book_object *)self)->book;
    unsigned long locate;
    const char *side;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(arguments, "ksn:depth", &locate, &side, &n) || !known_locate(book, locate))
        return NULL;
    if (strcmp(side, "B") != 0 && strcmp(side, "S") != 0)
        return PyErr_Format(PyExc_ValueError, "side \"%s\" must be \"B\" or \"S\"", side);
    return book_depth(book, (uint16_t)locate, side[0] == 'B' ? BOOK_BID : BOOK_ASK, n);
}

static PyObject *stats(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct book *book = &((struct book_object *)self)->book;
    const struct book_errors *e = &book->errors;
    return Py_BuildValue("{s:k,s:K,s:K,s:K,s:K,s:K,s:K}", "live_orders", (unsigned long)book->live_orders, "unknown_orders",
                         (unsigned long long)e->unknown_orders, "duplicate_orders", (unsigned long long)e->duplicate_orders,
                         "bad_quantities", (unsigned long long)e->bad_quantities, "overflow_orders",
                         (unsigned long long)e->overflow_orders, "overflow_levels", (unsigned long long)e->overflow_levels,
                         "overflow_instruments", (unsigned long long)e->overflow_instruments);
}

static PyMethodDef book_methods[] = {
    {"apply", apply, METH_O, NULL},
    {"top", top, METH_VARARGS, NULL},
    {"depth", depth, METH_VARARGS, NULL},
    {"stats", stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot book_slots[] = {
    {Py_tp_new, book_new},
    {Py_tp_dealloc, book_dealloc},
    {Py_tp_methods, book_methods},
    {0, NULL},
};

PyType_Spec book_spec = {"tickwire._core.Book", sizeof(struct book_object), 0, Py_TPFLAGS_DEFAULT, book_slots};

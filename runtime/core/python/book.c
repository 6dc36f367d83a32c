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

/* One entry of an index as itch_frame_index makes it: false, with an exception, when it is not inside the data. */
static bool apply_entry(struct book *book, const Py_buffer *data, uint64_t entry, Py_ssize_t *applied)
{
    uint64_t offset = entry >> 16, length = entry & 0xFFFF;
    if (length == 0 || offset > (uint64_t)data->len || length > (uint64_t)data->len - offset) {
        PyErr_Format(PyExc_ValueError, "Book.apply_range: message at offset %llu is not inside the %zd bytes of data",
                     (unsigned long long)offset, data->len);
        return false;
    }
    const uint8_t *message = (const uint8_t *)data->buf + offset;
    if (itch_lengths[message[0]] == length) { /* the engine skips the others too */
        book_apply(book, message);
        (*applied)++;
    }
    return true;
}

static PyObject *apply_range(PyObject *self, PyObject *arguments)
{
    PyObject *data_object, *index_object;
    Py_ssize_t first, count, applied = 0;
    Py_buffer data, index;
    if (!PyArg_ParseTuple(arguments, "OOnn:apply_range", &data_object, &index_object, &first, &count) ||
        !take_buffer(data_object, &data))
        return NULL;
    if (!take_buffer(index_object, &index)) {
        PyBuffer_Release(&data);
        return NULL;
    }
    Py_ssize_t entries = index.len / 8;
    bool good = first >= 0 && count >= 0 && first <= entries && count <= entries - first;
    if (!good)
        PyErr_Format(PyExc_ValueError, "Book.apply_range: messages %zd to %zd of an index of %zd", first, first + count, entries);
    for (Py_ssize_t i = first; good && i < first + count; i++) {
        uint64_t entry;
        memcpy(&entry, (const char *)index.buf + 8 * i, sizeof entry);
        good = apply_entry(&((struct book_object *)self)->book, &data, entry, &applied);
    }
    PyBuffer_Release(&index);
    PyBuffer_Release(&data);
    return good ? PyLong_FromSsize_t(applied) : NULL;
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
    const struct tw_level *level;
    PyObject *levels = PyList_New(0);
    for (uint32_t i = 0; levels != NULL && i < n && (level = book_level(book, locate, side, i)) != NULL; i++) {
        PyObject *row = Py_BuildValue("(kKk)", (unsigned long)level->price, (unsigned long long)level->shares,
                                      (unsigned long)level->orders);
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

static PyObject *order(PyObject *self, PyObject *number)
{
    unsigned long long reference = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return NULL;
    const struct order_slot *found = book_order(&((struct book_object *)self)->book, reference);
    if (found == NULL)
        Py_RETURN_NONE;
    return Py_BuildValue("(iskk)", (int)order_locate(found), order_side(found) == BOOK_BID ? "B" : "S", (unsigned long)found->price,
                         (unsigned long)found->shares);
}

static PyObject *one_character(uint8_t code)
{
    char text = (char)code;
    return PyUnicode_DecodeLatin1(&text, code != 0, NULL);
}

static PyObject *status(PyObject *self, PyObject *arguments)
{
    const struct book *book = &((struct book_object *)self)->book;
    unsigned long locate;
    if (!PyArg_ParseTuple(arguments, "k:status", &locate) || !known_locate(book, locate))
        return NULL;
    const struct book_instrument *instrument = &book->instruments[locate];
    return Py_BuildValue("{s:N,s:N,s:k,s:k,s:N}", "stock", text_from_alpha(book->stocks[locate], instrument->named ? 8 : 0),
                         "trading_state", one_character(instrument->trading_state), "lower_band",
                         (unsigned long)instrument->lower_band, "upper_band", (unsigned long)instrument->upper_band,
                         "system_event", one_character(book->system_event));
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

static PyObject *trades(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct book_trades *t = &((struct book_object *)self)->book.trades;
    return Py_BuildValue("{s:K,s:K,s:K}", "hidden", (unsigned long long)t->hidden, "crosses", (unsigned long long)t->crosses,
                         "broken", (unsigned long long)t->broken);
}

static PyMethodDef book_methods[] = {
    {"apply", apply, METH_O, NULL},
    {"apply_range", apply_range, METH_VARARGS, NULL},
    {"top", top, METH_VARARGS, NULL},
    {"depth", depth, METH_VARARGS, NULL},
    {"order", order, METH_O, NULL},
    {"status", status, METH_VARARGS, NULL},
    {"trades", trades, METH_NOARGS, NULL},
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger over its journal, for tests, and a journal read beside the engine that writes it, for `tickwire journal`. */
#include "common.h"

#include <errno.h>

#include "../ledger.h"

struct ledger_object {
    PyObject_HEAD
    struct arena arena;
    struct journal journal;
    struct ledger ledger;
};

static struct ledger *ledger_of(PyObject *self)
{
    return &((struct ledger_object *)self)->ledger;
}

static bool start_ledger(struct arena *arena, struct ledger *ledger, const struct ledger_settings *settings,
                         struct journal *journal, struct failure *failure)
{
    if (arena_open(arena, ledger_footprint(settings)) && ledger_init(ledger, arena, settings, journal))
        return ledger_recover(ledger, failure);
    return failure_set(failure, ENOMEM, "ledger: %zu bytes of memory are not free", ledger_footprint(settings));
}

static PyObject *ledger_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"path", "name", "capacity", "max_open_orders", "max_instruments", "max_tags", NULL};
    PyObject *path;
    const char *name;
    unsigned long long capacity;
    unsigned long max_open_orders = 64, max_instruments = 16, max_tags = 16;
    struct failure failure;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O&sK|$kkk:Ledger", names, PyUnicode_FSConverter, &path, &name, &capacity,
                                     &max_open_orders, &max_instruments, &max_tags))
        return NULL;
    struct ledger_object *self = (struct ledger_object *)new_instance(type);
    char *text = PyBytes_AsString(path);
    bool good = false;
    if (self != NULL && text != NULL) {
        struct ledger_settings settings = {(uint32_t)max_open_orders, (uint32_t)max_instruments, (uint32_t)max_tags, false};
        if (max_open_orders > 1u << 20 || max_instruments > 65536 || max_tags > 1u << 20)
            failure_set(&failure, EINVAL, "Ledger: max_open_orders and max_tags may be 1048576, max_instruments 65536");
        else
            good = (text[0] == '\0' || journal_open(&self->journal, text, name, capacity, &failure)) &&
                   start_ledger(&self->arena, &self->ledger, &settings, &self->journal, &failure);
        if (!good)
            raise_failure(&failure);
    }
    Py_DECREF(path);
    if (!good)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void ledger_dealloc(PyObject *self)
{
    journal_close(&((struct ledger_object *)self)->journal);
    arena_close(&((struct ledger_object *)self)->arena);
    free_instance(self);
}

static bool alpha8(PyObject *text, uint8_t symbol[8])
{
    uint8_t padded[10];
    if (!session_from_text(text, padded))
        return false;
    memcpy(symbol, padded, 8);
    return true;
}

static PyObject *py_bind(PyObject *self, PyObject *arguments)
{
    unsigned short locate;
    PyObject *stock;
    uint8_t symbol[8];
    if (!PyArg_ParseTuple(arguments, "HU:bind", &locate, &stock) || !alpha8(stock, symbol))
        return NULL;
    return PyBool_FromLong(ledger_bind(ledger_of(self), locate, symbol));
}

static PyObject *py_unbind(PyObject *self, PyObject *unused)
{
    (void)unused;
    ledger_unbind(ledger_of(self));
    Py_RETURN_NONE;
}

static PyObject *py_enter(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"locate", "side", "shares", "price", "tag", "time_in_force", NULL};
    struct tw_order order = {.action = TW_ENTER, .tag = TW_NO_TAG, .time_in_force = TW_DAY};
    int side, time_in_force = TW_DAY;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "HCII|IC:enter", names, &order.locate, &side, &order.shares, &order.price,
                                     &order.tag, &time_in_force))
        return NULL;
    order.side = (uint8_t)side;
    order.time_in_force = (uint8_t)time_in_force;
    return PyLong_FromUnsignedLong(ledger_enter(ledger_of(self), &order));
}

static PyObject *py_replace(PyObject *self, PyObject *arguments)
{
    struct tw_order order = {.action = TW_REPLACE, .time_in_force = TW_DAY};
    uint32_t original = 0, quantity = 0;
    if (!PyArg_ParseTuple(arguments, "III:replace", &order.tag, &order.shares, &order.price))
        return NULL;
    uint32_t reference = ledger_replace(ledger_of(self), &order, &original, &quantity);
    return Py_BuildValue("(III)", reference, original, quantity);
}

static PyObject *py_cancel(PyObject *self, PyObject *tag)
{
    struct tw_order order = {.action = TW_CANCEL};
    order.tag = (uint32_t)PyLong_AsUnsignedLong(tag);
    if (PyErr_Occurred() != NULL)
        return NULL;
    return PyLong_FromUnsignedLong(ledger_cancel(ledger_of(self), &order));
}

static PyObject *py_unsent(PyObject *self, PyObject *arguments)
{
    unsigned int reference;
    int action;
    if (!PyArg_ParseTuple(arguments, "IC:unsent", &reference, &action))
        return NULL;
    ledger_unsent(ledger_of(self), reference, (uint8_t)action);
    Py_RETURN_NONE;
}

static PyObject *update_as_dict(const struct tw_update *update)
{
    return Py_BuildValue("{s:C,s:K,s:L,s:I,s:I,s:I,s:I,s:I,s:H,s:C}", "kind", (int)update->kind, "time_ns",
                         (unsigned long long)update->time_ns, "position", (long long)update->position, "reference",
                         update->reference, "tag", update->tag, "price", update->price, "shares", update->shares, "open_shares",
                         update->open_shares, "locate", update->locate, "side", (int)update->side);
}

static PyObject *py_answer(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"sequence", "kind", "reference", "original", "shares", "price", "match_number", "reason", "time_ns",
                            "side", "stock", NULL};
    struct ledger_answer answer = {0};
    unsigned long long sequence, match_number = 0, time_ns = 0;
    int kind, side = 0;
    PyObject *stock = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "KCI|$IIIKHKCU:answer", names, &sequence, &kind, &answer.reference,
                                     &answer.original, &answer.shares, &answer.price, &match_number, &answer.reason, &time_ns,
                                     &side, &stock) ||
        (stock != NULL && !alpha8(stock, answer.symbol)))
        return NULL;
    struct tw_update update;
    answer.match_number = match_number;
    answer.time_ns = time_ns;
    answer.kind = (uint8_t)kind;
    answer.side = (uint8_t)side;
    if (ledger_answer(ledger_of(self), sequence, &answer, &update))
        return update_as_dict(&update);
    Py_RETURN_NONE;
}

static PyObject *py_session(PyObject *self, PyObject *arguments)
{
    const char *session;
    unsigned long long next;
    if (!PyArg_ParseTuple(arguments, "sK:session", &session, &next))
        return NULL;
    ledger_session(ledger_of(self), session, next);
    Py_RETURN_NONE;
}

static void collect(void *context, const struct tw_update *update)
{
    PyObject **list = context, *row = *list == NULL ? NULL : update_as_dict(update);
    if (*list != NULL && (row == NULL || PyList_Append(*list, row) != 0))
        Py_CLEAR(*list);
    Py_XDECREF(row);
}

static PyObject *py_settle(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *list = PyList_New(0);
    ledger_settle(ledger_of(self), collect, &list);
    return list;
}

static PyObject *orders_of(const struct ledger *ledger)
{
    static const char *const states[] = {"free", "sent", "live", "unsure"};
    PyObject *list = PyList_New(0);
    for (uint64_t i = 0; list != NULL && i <= ledger->order_mask; i++) {
        const struct ledger_order *order = &ledger->orders[i];
        if (order->reference == 0)
            continue;
        PyObject *symbol = text_from_alpha(ledger->positions[order->instrument].symbol, 8), *row = NULL;
        if (symbol != NULL)
            row = Py_BuildValue("{s:I,s:I,s:O,s:C,s:I,s:I,s:I,s:s,s:I,s:O}", "reference", order->reference, "replaces",
                                order->original, "stock", symbol, "side", (int)order->side, "price", order->price, "open_shares",
                                order->open_shares, "used_shares", order->used, "state", states[order->state % 4], "tag",
                                order->tag, "canceling", order->canceling ? Py_True : Py_False);
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(symbol);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *positions_of(const struct ledger *ledger)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < ledger->position_count; i++) {
        const struct ledger_position *position = &ledger->positions[i];
        PyObject *symbol = text_from_alpha(position->symbol, 8), *row = NULL;
        if (symbol != NULL)
            row = Py_BuildValue("{s:O,s:L,s:L,s:K,s:K}", "stock", symbol, "shares", (long long)position->shares, "cash",
                                (long long)position->cash, "open_buys", (unsigned long long)position->open_buys, "open_sells",
                                (unsigned long long)position->open_sells);
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(symbol);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *state_of(const struct ledger *ledger)
{
    const struct journal *journal = ledger->journal;
    PyObject *dict = PyDict_New();
    if (dict == NULL)
        return NULL;
    if (put_item(dict, "name", PyUnicode_DecodeLatin1(journal->name, (Py_ssize_t)strlen(journal->name), NULL)) ||
        put_item(dict, "records", PyLong_FromUnsignedLongLong(journal->count)) ||
        put_item(dict, "room", PyLong_FromUnsignedLongLong(journal_room(journal))) ||
        put_item(dict, "lost_records", PyLong_FromUnsignedLongLong(journal->lost)) ||
        put_item(dict, "session", PyUnicode_DecodeLatin1(ledger->session, (Py_ssize_t)strlen(ledger->session), NULL)) ||
        put_item(dict, "answered", PyLong_FromUnsignedLongLong(ledger->answered)) ||
        put_item(dict, "last_reference", PyLong_FromUnsignedLong(ledger->last_reference)) ||
        put_item(dict, "open_orders", PyLong_FromUnsignedLong(ledger->open_orders)) ||
        put_item(dict, "replacing_orders", PyLong_FromUnsignedLong(ledger->replacing)) ||
        put_item(dict, "unsure_orders", PyLong_FromUnsignedLong(ledger->unsure)) ||
        put_item(dict, "unknown_answers", PyLong_FromUnsignedLongLong(ledger->unknown)) ||
        put_item(dict, "exhausted", PyBool_FromLong(ledger_exhausted(ledger))) || put_item(dict, "orders", orders_of(ledger)) ||
        put_item(dict, "positions", positions_of(ledger)))
        Py_CLEAR(dict);
    return dict;
}

static PyObject *py_state(PyObject *self, PyObject *unused)
{
    (void)unused;
    return state_of(ledger_of(self));
}

static PyObject *py_sync(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct failure failure;
    if (!journal_sync(&((struct ledger_object *)self)->journal, &failure))
        return raise_failure(&failure);
    Py_RETURN_NONE;
}

/* How many orders and instruments it holds is not known before it has been read: more room until it fits. */
static PyObject *read_journal(struct journal *journal)
{
    struct failure failure = {0};
    struct ledger ledger;
    for (uint32_t room = 1024; room <= 1u << 26; room *= 8) {
        struct ledger_settings settings = {room, room < 65536 ? room : 65536, 0, false};
        struct arena arena;
        bool good = start_ledger(&arena, &ledger, &settings, journal, &failure);
        PyObject *result = good ? state_of(&ledger) : NULL;
        arena_close(&arena);
        if (good)
            return result;
        if (failure.code != E2BIG)
            break;
    }
    return raise_failure(&failure);
}

static PyObject *py_journal_read(PyObject *module, PyObject *path)
{
    (void)module;
    PyObject *encoded = NULL, *result = NULL;
    struct failure failure;
    struct journal journal;
    char *text;
    if (PyUnicode_FSConverter(path, &encoded) == 0)
        return NULL;
    if (PyBytes_AsStringAndSize(encoded, &text, NULL) == 0) {
        if (journal_open_read(&journal, text, &failure)) {
            result = read_journal(&journal);
            journal_close(&journal);
        } else {
            raise_failure(&failure);
        }
    }
    Py_DECREF(encoded);
    return result;
}

static PyMethodDef ledger_methods[] = {
    {"bind", py_bind, METH_VARARGS, NULL},
    {"unbind", py_unbind, METH_NOARGS, NULL},
    {"enter", (PyCFunction)(void (*)(void))py_enter, METH_VARARGS | METH_KEYWORDS, NULL},
    {"replace", py_replace, METH_VARARGS, NULL},
    {"cancel", py_cancel, METH_O, NULL},
    {"unsent", py_unsent, METH_VARARGS, NULL},
    {"answer", (PyCFunction)(void (*)(void))py_answer, METH_VARARGS | METH_KEYWORDS, NULL},
    {"session", py_session, METH_VARARGS, NULL},
    {"settle", py_settle, METH_NOARGS, NULL},
    {"state", py_state, METH_NOARGS, NULL},
    {"sync", py_sync, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ledger_slots[] = {
    {Py_tp_new, ledger_new},
    {Py_tp_dealloc, ledger_dealloc},
    {Py_tp_methods, ledger_methods},
    {0, NULL},
};

PyType_Spec ledger_spec = {"tickwire._core.Ledger", sizeof(struct ledger_object), 0, Py_TPFLAGS_DEFAULT, ledger_slots};

PyMethodDef journal_methods[] = {
    {"journal_read", py_journal_read, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

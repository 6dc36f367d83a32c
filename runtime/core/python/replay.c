/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <errno.h>

#include "../pacer.h"
#include "../transport/options.h"

struct replay_object {
    PyObject_HEAD
    Py_buffer data, index;
    bool has_buffers;
    struct pacer pacer;
};

static bool good_port(const char *name, unsigned long port)
{
    if (port >= 1 && port <= 65535)
        return true;
    PyErr_Format(PyExc_ValueError, "Replay: %s %lu must be 1 to 65535", name, port);
    return false;
}

static PyObject *replay_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"data", "index", "group",   "port",   "interface",   "session", "messages_per_packet", "ttl",
                            "tos",  "group_b", "port_b", "interface_b", NULL};
    PyObject *data, *index, *session = NULL;
    const char *group[PACER_LINES] = {NULL, ""}, *interface[PACER_LINES] = {NULL, ""};
    unsigned long port[PACER_LINES] = {0, 0}, messages_per_packet = 1;
    int ttl = 1, tos = 0;
    struct failure failure;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$sksUkiisks:Replay", names, &data, &index, &group[0], &port[0],
                                     &interface[0], &session, &messages_per_packet, &ttl, &tos, &group[1], &port[1],
                                     &interface[1]))
        return NULL;
    if (group[0] == NULL || interface[0] == NULL || session == NULL) {
        PyErr_SetString(PyExc_TypeError, "Replay: group, port, interface and session are required");
        return NULL;
    }
    if (!good_port("port", port[0]) || (group[1][0] != '\0' && !good_port("port_b", port[1])))
        return NULL;
    if (messages_per_packet < 1 || messages_per_packet >= MOLD_END_OF_SESSION)
        return PyErr_Format(PyExc_ValueError, "Replay: messages_per_packet %lu must be 1 to 65534", messages_per_packet);
    struct replay_object *self = (struct replay_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    struct pacer *pacer = &self->pacer;
    for (int i = 0; i < PACER_LINES; i++)
        pacer->lines[i].fd = -1;
    self->has_buffers = take_messages(data, index, &self->data, &self->index);
    if (!self->has_buffers || !session_from_text(session, pacer->session)) {
        Py_DECREF(self);
        return NULL;
    }
    pacer->data = self->data.buf;
    pacer->index = self->index.buf;
    pacer->count = (uint64_t)self->index.len / 8;
    pacer->messages_per_packet = (uint32_t)messages_per_packet;
    atomic_init(&pacer->next_sequence, 1);
    for (int i = 0; i < PACER_LINES; i++) {
        if (group[i][0] == '\0')
            continue;
        const char *from = interface[i][0] != '\0' ? interface[i] : interface[0];
        if (!line_open(&pacer->lines[i], group[i], (uint16_t)port[i], from, ttl, tos, &failure)) {
            Py_DECREF(self);
            return raise_failure(&failure);
        }
    }
    return (PyObject *)self;
}

static void replay_dealloc(PyObject *object)
{
    struct replay_object *self = (struct replay_object *)object;
    for (int i = 0; i < PACER_LINES; i++)
        line_close(&self->pacer.lines[i]);
    if (self->has_buffers) {
        PyBuffer_Release(&self->data);
        PyBuffer_Release(&self->index);
    }
    free_instance(object);
}

static PyObject *impair(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"line", "loss", "duplicate", "reorder", "seed", NULL};
    struct pacer *pacer = &((struct replay_object *)object)->pacer;
    const char *line;
    unsigned long long seed = 0;
    struct line_faults faults = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|$dddK:impair", names, &line, &faults.loss, &faults.duplicate,
                                     &faults.reorder, &seed))
        return NULL;
    if (strcmp(line, "A") != 0 && strcmp(line, "B") != 0)
        return PyErr_Format(PyExc_ValueError, "Replay.impair: line \"%s\" must be \"A\" or \"B\"", line);
    const double *odds[] = {&faults.loss, &faults.duplicate, &faults.reorder};
    for (int i = 0; i < 3; i++)
        if (!(*odds[i] >= 0 && *odds[i] <= 1))
            return PyErr_Format(PyExc_ValueError, "Replay.impair: %s must be a probability, 0 to 1", names[1 + i]);
    if (atomic_load(&pacer->running)) {
        PyErr_SetString(PyExc_RuntimeError, "Replay.impair: the replay is running");
        return NULL;
    }
    faults.seed = line[0] == 'B' ? ~seed : seed; /* one seed for both lines, and yet independent draws */
    line_impair(&pacer->lines[line[0] - 'A'], &faults);
    Py_RETURN_NONE;
}

static PyObject *line_as_dict(const struct line *line)
{
    const struct line_counts *counts = &line->counts;
    return Py_BuildValue("{s:K,s:K,s:K}", "lost", (unsigned long long)counts->lost, "duplicated",
                         (unsigned long long)counts->duplicated, "reordered", (unsigned long long)counts->reordered);
}

static PyObject *run(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"rate", "first", "count", "speed", NULL};
    struct pacer *pacer = &((struct replay_object *)object)->pacer;
    struct pacer_pace pace = {0};
    unsigned long long first, count;
    struct pacer_result result;
    struct failure failure;
    bool good;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "dKK|d:run", names, &pace.rate, &first, &count, &pace.speed))
        return NULL;
    if (!(pace.rate >= 0) || pace.rate > 1e9)
        return PyErr_Format(PyExc_ValueError, "Replay.run: rate must be 0 (unpaced) to 1e9 messages a second");
    if (!(pace.speed >= 0) || pace.speed > 1e9)
        return PyErr_Format(PyExc_ValueError, "Replay.run: speed must be 0 (the rate counts) to 1e9");
    if (atomic_exchange(&pacer->running, true)) {
        PyErr_SetString(PyExc_RuntimeError, "Replay.run: already running");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    good = pacer_run(pacer, pace, first, count, &result, &failure);
    Py_END_ALLOW_THREADS
    atomic_store(&pacer->running, false);
    if (!good)
        return raise_failure(&failure);
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:N,s:N}", "messages", (unsigned long long)result.messages, "packets",
                         (unsigned long long)result.packets, "elapsed_ns", (unsigned long long)result.elapsed_ns, "late_max_ns",
                         (unsigned long long)result.late_max_ns, "line_a", line_as_dict(&pacer->lines[0]), "line_b",
                         line_as_dict(&pacer->lines[1]));
}

static PyObject *stamp(PyObject *object, PyObject *arguments)
{
    int card;
    struct failure failure;
    if (!PyArg_ParseTuple(arguments, "p:stamp", &card))
        return NULL;
    if (!line_stamp(&((struct replay_object *)object)->pacer.lines[0], card != 0, &failure))
        return raise_failure(&failure);
    Py_RETURN_NONE;
}

static PyObject *departures(PyObject *object, PyObject *unused)
{
    (void)unused;
    int fd = ((struct replay_object *)object)->pacer.lines[0].fd;
    PyObject *list = PyList_New(0);
    struct packet_stamps at;
    bool stamped;
    uint32_t id;
    while (list != NULL && take_send_stamp(fd, &stamped, &id, &at)) {
        PyObject *row = stamped ? Py_BuildValue("(k,K,K)", (unsigned long)id, (unsigned long long)at.software_ns,
                                                (unsigned long long)at.hardware_ns)
                                : Py_NewRef(Py_None);
        if (row == NULL || (stamped && PyList_Append(list, row) != 0))
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *sent(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct pacer *pacer = &((struct replay_object *)object)->pacer;
    return PyLong_FromUnsignedLongLong(atomic_load_explicit(&pacer->next_sequence, memory_order_acquire) - 1);
}

static PyObject *find(PyObject *object, PyObject *arguments)
{
    const struct pacer *pacer = &((struct replay_object *)object)->pacer;
    unsigned long long first, end;
    PyObject *locates;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(arguments, "KKO:find", &first, &end, &locates) || !take_buffer(locates, &buffer))
        return NULL;
    Py_ssize_t length = buffer.len;
    if (end > pacer->count)
        end = pacer->count;
    uint64_t at = length == 8192 && first < end ? pacer_find(pacer, first, end, buffer.buf) : end;
    PyBuffer_Release(&buffer);
    if (length != 8192)
        return PyErr_Format(PyExc_ValueError, "Replay.find: locates of %zd bytes, must be 8192: a bit for each", length);
    return PyLong_FromUnsignedLongLong(at);
}

static PyObject *send_empty(PyObject *object, uint16_t count)
{
    struct pacer *pacer = &((struct replay_object *)object)->pacer;
    struct failure failure;
    if (!atomic_load(&pacer->running) && !pacer_send_empty(pacer, count, &failure))
        return raise_failure(&failure);
    Py_RETURN_NONE;
}

static PyObject *heartbeat(PyObject *object, PyObject *unused)
{
    (void)unused;
    return send_empty(object, MOLD_HEARTBEAT);
}

static PyObject *end_of_session(PyObject *object, PyObject *unused)
{
    (void)unused;
    return send_empty(object, MOLD_END_OF_SESSION);
}

static PyObject *stop(PyObject *object, PyObject *unused)
{
    (void)unused;
    atomic_store(&((struct replay_object *)object)->pacer.stop, true);
    Py_RETURN_NONE;
}

static PyMethodDef replay_methods[] = {
    {"impair", (PyCFunction)(void (*)(void))impair, METH_VARARGS | METH_KEYWORDS, NULL},
    {"run", (PyCFunction)(void (*)(void))run, METH_VARARGS | METH_KEYWORDS, NULL},
    {"stamp", stamp, METH_VARARGS, NULL},
    {"departures", departures, METH_NOARGS, NULL},
    {"sent", sent, METH_NOARGS, NULL},
    {"find", find, METH_VARARGS, NULL},
    {"heartbeat", heartbeat, METH_NOARGS, NULL},
    {"end_of_session", end_of_session, METH_NOARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot replay_slots[] = {
    {Py_tp_new, replay_new},
    {Py_tp_dealloc, replay_dealloc},
    {Py_tp_methods, replay_methods},
    {0, NULL},
};

PyType_Spec replay_spec = {"tickwire._core.Replay", sizeof(struct replay_object), 0, Py_TPFLAGS_DEFAULT, replay_slots};

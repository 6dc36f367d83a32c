/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <errno.h>

#include "../pacer.h"

struct replay_object {
    PyObject_HEAD
    Py_buffer data, index;
    bool has_buffers;
    struct pacer pacer;
};

static PyObject *replay_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"data", "index", "group", "port", "interface", "session", "messages_per_packet", "ttl", "tos", NULL};
    PyObject *data, *index, *session = NULL;
    const char *group = NULL, *interface = NULL;
    unsigned long port = 0, messages_per_packet = 1;
    int ttl = 1, tos = 0;
    struct failure failure;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$sksUkii:Replay", names, &data, &index, &group, &port, &interface,
                                     &session, &messages_per_packet, &ttl, &tos))
        return NULL;
    if (group == NULL || interface == NULL || session == NULL) {
        PyErr_SetString(PyExc_TypeError, "Replay: group, port, interface and session are required");
        return NULL;
    }
    if (port < 1 || port > 65535)
        return PyErr_Format(PyExc_ValueError, "Replay: port %lu must be 1 to 65535", port);
    if (messages_per_packet < 1 || messages_per_packet >= MOLD_END_OF_SESSION)
        return PyErr_Format(PyExc_ValueError, "Replay: messages_per_packet %lu must be 1 to 65534", messages_per_packet);
    struct replay_object *self = (struct replay_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    self->pacer.fd = -1;
    self->has_buffers = take_messages(data, index, &self->data, &self->index);
    if (!self->has_buffers || !session_from_text(session, self->pacer.session)) {
        Py_DECREF(self);
        return NULL;
    }
    self->pacer.data = self->data.buf;
    self->pacer.index = self->index.buf;
    self->pacer.count = (uint64_t)self->index.len / 8;
    self->pacer.messages_per_packet = (uint32_t)messages_per_packet;
    if (!pacer_open(&self->pacer, group, (uint16_t)port, interface, ttl, tos, &failure)) {
        Py_DECREF(self);
        return raise_failure(&failure);
    }
    return (PyObject *)self;
}

static void replay_dealloc(PyObject *object)
{
    struct replay_object *self = (struct replay_object *)object;
    pacer_close(&self->pacer);
    if (self->has_buffers) {
        PyBuffer_Release(&self->data);
        PyBuffer_Release(&self->index);
    }
    free_instance(object);
}

static PyObject *run(PyObject *object, PyObject *arguments)
{
    struct pacer *pacer = &((struct replay_object *)object)->pacer;
    double rate;
    unsigned long long first, count;
    struct pacer_result result;
    struct failure failure;
    bool good;
    if (!PyArg_ParseTuple(arguments, "dKK:run", &rate, &first, &count))
        return NULL;
    if (!(rate >= 0) || rate > 1e9)
        return PyErr_Format(PyExc_ValueError, "Replay.run: rate must be 0 (unpaced) to 1e9 messages a second");
    if (atomic_exchange(&pacer->running, true)) {
        PyErr_SetString(PyExc_RuntimeError, "Replay.run: already running");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    good = pacer_run(pacer, rate, first, count, &result, &failure);
    Py_END_ALLOW_THREADS
    atomic_store(&pacer->running, false);
    if (!good)
        return raise_failure(&failure);
    return Py_BuildValue("{s:K,s:K,s:K,s:K}", "messages", (unsigned long long)result.messages, "packets",
                         (unsigned long long)result.packets, "elapsed_ns", (unsigned long long)result.elapsed_ns, "late_max_ns",
                         (unsigned long long)result.late_max_ns);
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
    {"run", run, METH_VARARGS, NULL},
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

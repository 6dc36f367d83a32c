/* SPDX-License-Identifier: Apache-2.0
 *
 * Time stamps for the exchange: whose they are (Stamping), and of what orders come by (StampedReader). */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>

#include "../transport/arrival.h"
#include "../transport/stamping.h"

/* --- Stamping --- */

struct stamping_object {
    PyObject_HEAD
    struct stamping stamping;
};

static bool take_address(const char *key, const char *text, unsigned needs, struct stamping_need *to)
{
    *to = (struct stamping_need){.key = key, .needs = needs};
    if (inet_pton(AF_INET, text, &to->address) == 1)
        return true;
    PyErr_Format(PyExc_ValueError, "Stamping: %s \"%s\" must be an IPv4 address", key, text);
    return false;
}

static PyObject *stamping_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"wish", "sends", "receives", NULL};
    const char *text, *sends, *receives;
    struct stamping_need needs[2];
    struct failure failure;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sss:Stamping", names, &text, &sends, &receives))
        return NULL;
    unsigned wish = 0;
    while (wish < STAMPING_WISHES && strcmp(stamping_wishes[wish], text) != 0)
        wish++;
    if (wish == STAMPING_WISHES)
        return PyErr_Format(PyExc_ValueError, "Stamping: wish \"%s\" must be auto, hardware, software or none", text);
    if (!take_address("feed.interface", sends, CARD_TRANSMIT, &needs[0]) ||
        !take_address("orders.address", receives, CARD_RECEIVE, &needs[1]))
        return NULL;
    struct stamping_object *self = (struct stamping_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    stamping_init(&self->stamping);
    if (stamping_open_for(&self->stamping, "exchange.timestamps", (enum stamping_wish)wish, needs, 2, &failure))
        return (PyObject *)self;
    Py_DECREF(self);
    return raise_failure(&failure);
}

static void stamping_dealloc(PyObject *object)
{
    stamping_close(&((struct stamping_object *)object)->stamping);
    free_instance(object);
}

static PyObject *listen_stamped(PyObject *object, PyObject *argument)
{
    struct stamping *stamping = &((struct stamping_object *)object)->stamping;
    int fd = PyObject_AsFileDescriptor(argument);
    if (fd < 0)
        return NULL;
    if (stamping->clock == STAMP_NONE)
        Py_RETURN_NONE;
    if (!set_stamping(fd, receive_stamping(stamping->clock == STAMP_HARDWARE)))
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_BEGIN_ALLOW_THREADS
    stamping_wait(stamping);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *close_stamping(PyObject *object, PyObject *unused)
{
    (void)unused;
    stamping_close(&((struct stamping_object *)object)->stamping);
    Py_RETURN_NONE;
}

static PyObject *get_clock(PyObject *object, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(stamp_clock_names[((struct stamping_object *)object)->stamping.clock]);
}

static PyObject *get_reason(PyObject *object, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(((struct stamping_object *)object)->stamping.why);
}

static PyMethodDef stamping_methods[] = {
    {"listen", listen_stamped, METH_O, NULL},
    {"close", close_stamping, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef stamping_values[] = {
    {"clock", get_clock, NULL, NULL, NULL},
    {"reason", get_reason, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot stamping_slots[] = {
    {Py_tp_new, stamping_new},
    {Py_tp_dealloc, stamping_dealloc},
    {Py_tp_methods, stamping_methods},
    {Py_tp_getset, stamping_values},
    {0, NULL},
};

PyType_Spec stamping_spec = {"tickwire._core.Stamping", sizeof(struct stamping_object), 0, Py_TPFLAGS_DEFAULT, stamping_slots};

/* --- StampedReader --- */

#define READ_MOST 65536u

struct reader_object {
    PyObject_HEAD
    struct arrivals arrivals;
    uint8_t bytes[READ_MOST];
};

static PyObject *reader_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", NULL};
    int fd;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i:StampedReader", names, &fd))
        return NULL;
    struct reader_object *self = (struct reader_object *)new_instance(type);
    if (self != NULL)
        arrivals_init(&self->arrivals, fd);
    return (PyObject *)self;
}

static PyObject *read_stamped(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct reader_object *self = (struct reader_object *)object;
    struct arrival arrival;
    int got = arrivals_read(&self->arrivals, self->bytes, READ_MOST, &arrival);
    if (got < 0) {
        errno = -got;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(y#KKN)", (const char *)self->bytes, (Py_ssize_t)got, (unsigned long long)arrival.at.software_ns,
                         (unsigned long long)arrival.at.hardware_ns, PyBool_FromLong(arrival.whole));
}

static PyMethodDef reader_methods[] = {
    {"read", read_stamped, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, free_instance},
    {Py_tp_methods, reader_methods},
    {0, NULL},
};

PyType_Spec stamped_reader_spec = {"tickwire._core.StampedReader", sizeof(struct reader_object), 0, Py_TPFLAGS_DEFAULT, reader_slots};

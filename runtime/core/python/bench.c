/* SPDX-License-Identifier: Apache-2.0
 *
 * The ends of `tickwire bench pingpong` and `burst`. */
#include "common.h"


#include "../bench_rdma.h"
#include "../bench_register.h"
#include "../bench_socket.h"

struct bench_object {
    PyObject_HEAD
    struct bench_end end;
    struct bench_socket *socket;
    struct bench_rdma rdma;
};

static bool check_size(unsigned long size)
{
    if (size >= BENCH_SIZE_MIN && size <= BENCH_SIZE_MAX)
        return true;
    PyErr_Format(PyExc_ValueError, "size %lu: a message has %u to %u bytes", size, BENCH_SIZE_MIN, BENCH_SIZE_MAX);
    return false;
}

static PyObject *socket_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", "stream", "size", NULL};
    int fd, stream;
    unsigned long size;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "ipk:BenchSocket", names, &fd, &stream, &size) || !check_size(size))
        return NULL;
    struct bench_object *self = (struct bench_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    self->socket = PyMem_Malloc(sizeof *self->socket);
    if (self->socket == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    bench_socket_init(self->socket, &self->end, fd, stream != 0, (uint32_t)size);
    return (PyObject *)self;
}

static void socket_dealloc(PyObject *object)
{
    PyMem_Free(((struct bench_object *)object)->socket);
    free_instance(object);
}

/* --- RDMA --- */

static PyObject *rdma_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"interface", "datagram", "size", "tos", "psn", NULL};
    const char *interface;
    int datagram;
    unsigned long size;
    unsigned char tos;
    unsigned int psn;
    struct failure failure;
    bool good;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "spkbI:BenchRdma", names, &interface, &datagram, &size, &tos, &psn) ||
        !check_size(size))
        return NULL;
    struct bench_object *self = (struct bench_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    good = bench_rdma_open(&self->rdma, &self->end, &verbs_places, interface, datagram != 0, (uint32_t)size, tos, psn, &failure);
    Py_END_ALLOW_THREADS
    if (good)
        return (PyObject *)self;
    Py_DECREF(self);
    return raise_failure(&failure);
}

static void rdma_dealloc(PyObject *object)
{
    bench_rdma_close(&((struct bench_object *)object)->rdma);
    free_instance(object);
}

static PyObject *offer(PyObject *object, PyObject *unused)
{
    (void)unused;
    const struct bench_rdma *rdma = &((struct bench_object *)object)->rdma;
    return Py_BuildValue("{s:s,s:y#,s:I,s:I,s:I}", "device", rdma->device.gid.device, "gid", (const char *)rdma->here.gid,
                         (Py_ssize_t)sizeof rdma->here.gid, "queue_pair", rdma->here.queue_pair, "psn", rdma->here.psn, "mtu",
                         rdma->here.mtu);
}

static PyObject *connect_to(PyObject *object, PyObject *arguments)
{
    struct bench_rdma_address there;
    struct failure failure;
    const char *gid;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "y#III:connect", &gid, &length, &there.queue_pair, &there.psn, &there.mtu))
        return NULL;
    if (length != sizeof there.gid)
        return PyErr_Format(PyExc_ValueError, "a GID of %zd bytes, it has %zu", length, sizeof there.gid);
    memcpy(there.gid, gid, sizeof there.gid);
    if (!bench_rdma_connect(&((struct bench_object *)object)->rdma, &there, &failure))
        return raise_failure(&failure);
    Py_RETURN_NONE;
}

/* --- running --- */

static PyObject *reflect(PyObject *object, PyObject *argument)
{
    struct bench_object *self = (struct bench_object *)object;
    struct failure failure;
    uint64_t reflected;
    bool good;
    long watch = PyLong_AsLong(argument);
    if (watch == -1 && PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    good = bench_reflect(&self->end, (int)watch, &reflected, &failure);
    Py_END_ALLOW_THREADS
    if (!good)
        return raise_failure(&failure);
    return Py_BuildValue("{s:K,s:K}", "reflected", (unsigned long long)reflected, "wrong_size",
                         (unsigned long long)self->end.wrong_size);
}

typedef bool initiate(struct bench_end *, const struct bench_plan *, uint64_t *, struct bench_outcome *, struct failure *);

static PyObject *run(struct bench_object *self, const struct bench_plan *plan, initiate *how)
{
    struct bench_outcome outcome;
    struct failure failure;
    bool good;
    if (plan->total < 1 || plan->total > BENCH_COUNT_MAX)
        return PyErr_Format(PyExc_ValueError, "%llu messages: 1 to %u can be kept", (unsigned long long)plan->total, BENCH_COUNT_MAX);
    size_t bytes = plan->total * sizeof(uint64_t);
    uint64_t *samples = PyMem_Malloc(bytes);
    if (samples == NULL)
        return PyErr_NoMemory();
    memset(samples, 0xFF, bytes); /* no page of it is new when the clock runs */
    Py_BEGIN_ALLOW_THREADS
    good = how(&self->end, plan, samples, &outcome, &failure);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (good)
        result = Py_BuildValue("(y#{s:K,s:K,s:K,s:K,s:K})", (const char *)samples, (Py_ssize_t)bytes, "sent",
                               (unsigned long long)outcome.sent, "late", (unsigned long long)outcome.late, "wrong_size",
                               (unsigned long long)self->end.wrong_size, "send_late_max_ns",
                               (unsigned long long)outcome.send_late_max_ns, "elapsed_ns", (unsigned long long)outcome.elapsed_ns);
    else
        raise_failure(&failure);
    PyMem_Free(samples);
    return result;
}

static PyObject *pingpong(PyObject *object, PyObject *arguments)
{
    unsigned long long total, timeout_ns;
    struct bench_plan plan = {.burst = 1};
    if (!PyArg_ParseTuple(arguments, "KKi:pingpong", &total, &timeout_ns, &plan.watch))
        return NULL;
    plan.total = total;
    plan.timeout_ns = timeout_ns;
    return run((struct bench_object *)object, &plan, bench_pingpong);
}

static PyObject *burst(PyObject *object, PyObject *arguments)
{
    unsigned long long total, timeout_ns, size, every_ns;
    struct bench_plan plan = {0};
    if (!PyArg_ParseTuple(arguments, "KKiKKd:burst", &total, &timeout_ns, &plan.watch, &size, &every_ns, &plan.gap_ns))
        return NULL;
    plan.total = total;
    plan.timeout_ns = timeout_ns;
    plan.burst = size;
    plan.every_ns = every_ns;
    if (size < 1 || !(plan.gap_ns >= 0) || (double)(size - 1) * plan.gap_ns > (double)every_ns)
        return PyErr_Format(PyExc_ValueError, "%llu messages at this rate do not fit in %llu ns", size, every_ns);
    return run((struct bench_object *)object, &plan, bench_burst);
}

static PyMethodDef methods[] = {
    {"reflect", reflect, METH_O, NULL},
    {"pingpong", pingpong, METH_VARARGS, NULL},
    {"burst", burst, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef rdma_methods[] = {
    {"offer", offer, METH_NOARGS, NULL},
    {"connect", connect_to, METH_VARARGS, NULL},
    {"reflect", reflect, METH_O, NULL},
    {"pingpong", pingpong, METH_VARARGS, NULL},
    {"burst", burst, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot rdma_slots[] = {
    {Py_tp_new, rdma_new},
    {Py_tp_dealloc, rdma_dealloc},
    {Py_tp_methods, rdma_methods},
    {0, NULL},
};

PyType_Spec bench_rdma_spec = {"tickwire._core.BenchRdma", sizeof(struct bench_object), 0, Py_TPFLAGS_DEFAULT, rdma_slots};

static PyType_Slot socket_slots[] = {
    {Py_tp_new, socket_new},
    {Py_tp_dealloc, socket_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

/* --- the cost of registration --- */

static PyObject *cost(const char *interface, size_t bytes, bool hugepages, uint32_t rounds)
{
    struct bench_register *self = PyMem_Malloc(sizeof *self);
    uint64_t *ns = PyMem_Malloc(2 * rounds * sizeof *ns);
    struct failure failure = {0};
    PyObject *result = NULL;
    bool good = false;
    if (self == NULL || ns == NULL) {
        PyErr_NoMemory();
    } else {
        Py_BEGIN_ALLOW_THREADS
        if (bench_register_open(self, &verbs_places, interface, &failure)) {
            good = bench_register_run(self, bytes, hugepages, rounds, ns, ns + rounds, &failure);
            bench_register_close(self);
        }
        Py_END_ALLOW_THREADS
        Py_ssize_t length = (Py_ssize_t)(rounds * sizeof *ns);
        result = good ? Py_BuildValue("(y#y#)", (const char *)ns, length, (const char *)(ns + rounds), length) : raise_failure(&failure);
    }
    PyMem_Free(ns);
    PyMem_Free(self);
    return result;
}

static PyObject *registration(PyObject *module, PyObject *arguments)
{
    (void)module;
    const char *interface;
    unsigned long long bytes;
    int hugepages;
    unsigned int rounds;
    if (!PyArg_ParseTuple(arguments, "sKpI:bench_registration", &interface, &bytes, &hugepages, &rounds))
        return NULL;
    if (bytes < 4096 || bytes > 1ULL << 40 || rounds - 1u >= 1000000u || (hugepages && bytes % BENCH_REGISTER_HUGE != 0))
        return PyErr_Format(PyExc_ValueError,
                            "bench_registration: %llu bytes, %u rounds: 4096 to 2^40 bytes, on hugepages a multiple of 2 MiB, and 1 to "
                            "1000000 rounds",
                            bytes, rounds);
    return cost(interface, (size_t)bytes, hugepages != 0, rounds);
}

PyMethodDef bench_methods[] = {
    {"bench_registration", registration, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyType_Spec bench_socket_spec = {"tickwire._core.BenchSocket", sizeof(struct bench_object), 0, Py_TPFLAGS_DEFAULT, socket_slots};

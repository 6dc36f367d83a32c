/* SPDX-License-Identifier: Apache-2.0
 *
 * The control block for those who write it: the commands, and the housekeeping thread of the engine itself. */
#include "common.h"

#include "../clock.h"
#include "../control.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct control_object {
    PyObject_HEAD
    struct control *control;
    int fd;         /* for flock */
    unsigned depth; /* changes within a `with` are one */
    char path[512];
};

static struct control_object *self_of(PyObject *self)
{
    return (struct control_object *)self;
}

static PyObject *control_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"path", NULL};
    PyObject *encoded = NULL;
    struct failure failure = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O&:Control", names, PyUnicode_FSConverter, &encoded))
        return NULL;
    struct control_object *self = (struct control_object *)new_instance(type);
    char *path = PyBytes_AsString(encoded);
    if (self != NULL) {
        self->fd = -1;
        snprintf(self->path, sizeof self->path, "%s", path);
        self->control = control_map(path, &failure);
        if (self->control != NULL && (self->fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
            failure_set(&failure, errno, "control file %s: %s", path, strerror(errno));
    }
    Py_DECREF(encoded);
    if (self != NULL && self->fd < 0) {
        Py_DECREF(self);
        return raise_failure(&failure);
    }
    return (PyObject *)self;
}

static void control_dealloc(PyObject *object)
{
    struct control_object *self = self_of(object);
    control_unmap(self->control);
    if (self->fd >= 0)
        close(self->fd);
    free_instance(object);
}

static bool lock(struct control_object *self)
{
    struct failure failure;
    bool mine;
    if (self->depth > 0) {
        self->depth++;
        return true;
    }
    Py_BEGIN_ALLOW_THREADS
    mine = control_lock(self->fd, self->path, &failure);
    Py_END_ALLOW_THREADS
    if (!mine)
        raise_failure(&failure);
    self->depth = mine;
    return mine;
}

static void unlock(struct control_object *self)
{
    if (self->depth > 0 && --self->depth == 0)
        control_unlock(self->fd);
}

static PyObject *enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (!lock(self_of(self)))
        return NULL;
    Py_INCREF(self);
    return self;
}

static PyObject *leave(PyObject *self, PyObject *unused)
{
    (void)unused;
    unlock(self_of(self));
    Py_RETURN_NONE;
}

static PyObject *kill_trading(PyObject *self, PyObject *arguments)
{
    const char *reason = "";
    if (!PyArg_ParseTuple(arguments, "|s:kill", &reason))
        return NULL;
    control_kill(self_of(self)->control, reason);
    Py_RETURN_NONE;
}

static PyObject *revive(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(control_revive(self_of(self)->control));
}

static PyObject *hold(PyObject *self, PyObject *held)
{
    int truth = PyObject_IsTrue(held);
    if (truth < 0)
        return NULL;
    control_hold(self_of(self)->control, truth != 0);
    Py_RETURN_NONE;
}

/* A version of one piece. When a writer died in its change there is none until the next change: what is there, then. */
static void copy_of(const struct control *control, struct control *copy)
{
    for (int attempt = 0; attempt < 10000 && !control_copy(control, copy); attempt++)
        cpu_relax();
}

static PyObject *set_limits(PyObject *self, PyObject *dict)
{
    struct control copy;
    if (!lock(self_of(self)))
        return NULL;
    copy_of(self_of(self)->control, &copy);
    bool good = limits_from_dict(dict, &copy.limits);
    if (good)
        control_put_limits(self_of(self)->control, &copy.limits);
    unlock(self_of(self));
    if (!good)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_restricted(PyObject *self, PyObject *list)
{
    uint8_t symbols[RISK_RESTRICTED_MAX][8];
    int32_t count = symbols_from_list(list, symbols);
    if (count < 0 || !lock(self_of(self)))
        return NULL;
    control_put_restricted(self_of(self)->control, (const uint8_t(*)[8])symbols, (uint32_t)count);
    unlock(self_of(self));
    Py_RETURN_NONE;
}

static PyObject *restricted_of(const struct control *copy)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < copy->restricted_count && i < RISK_RESTRICTED_MAX; i++) {
        PyObject *text = text_from_alpha(copy->restricted[i], sizeof copy->restricted[i]);
        if (text == NULL || PyList_Append(list, text) != 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

static PyObject *read_control(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct control copy;
    copy_of(self_of(self)->control, &copy);
    PyObject *dict = PyDict_New();
    Py_ssize_t said = (Py_ssize_t)strnlen(copy.reason, sizeof copy.reason);
    if (dict != NULL && (put_item(dict, "version", PyLong_FromUnsignedLong((uint32_t)atomic_load(&copy.lock))) ||
                         put_item(dict, "killed", PyBool_FromLong(atomic_load(&copy.killed) != 0)) ||
                         put_item(dict, "reason", PyUnicode_DecodeUTF8(copy.reason, said, "replace")) ||
                         put_item(dict, "limits", limits_as_dict(&copy.limits)) ||
                         put_item(dict, "restricted", restricted_of(&copy))))
        Py_CLEAR(dict);
    return dict;
}

static PyMethodDef control_methods[] = {
    {"__enter__", enter, METH_NOARGS, NULL},
    {"__exit__", leave, METH_VARARGS, NULL},
    {"kill", kill_trading, METH_VARARGS, NULL},
    {"revive", revive, METH_NOARGS, NULL},
    {"hold", hold, METH_O, NULL},
    {"set_limits", set_limits, METH_O, NULL},
    {"restrict", set_restricted, METH_O, NULL},
    {"read", read_control, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot control_slots[] = {
    {Py_tp_new, control_new},
    {Py_tp_dealloc, control_dealloc},
    {Py_tp_methods, control_methods},
    {0, NULL},
};

PyType_Spec control_spec = {"tickwire._core.Control", sizeof(struct control_object), 0, Py_TPFLAGS_DEFAULT, control_slots};

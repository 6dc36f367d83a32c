/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <arpa/inet.h>

#include "../transport/gateway.h"

struct gateway_object {
    PyObject_HEAD
    struct gateway gateway;
    bool running;
};

static bool take_address(const char *key, const char *text, bool optional, char *out, size_t capacity)
{
    struct in_addr address;
    if ((optional && text[0] == '\0') || inet_pton(AF_INET, text, &address) == 1) {
        snprintf(out, capacity, "%s", text);
        return true;
    }
    PyErr_Format(PyExc_ValueError, "RdmaGateway: %s \"%s\" must be an IPv4 address", key, text);
    return false;
}

static bool read_settings(PyObject *arguments, PyObject *keywords, struct gateway_settings *to)
{
    static char *names[] = {"interface", "port", "group", "feed_port", "feed_interface", "orders_host", "orders_port",
                            "group_b", "feed_port_b", "feed_interface_b", "tos", "multicast", "roce_version", "gid_index",
                            "mtu", "messages_per_packet", "priority", NULL};
    const char *interface, *group, *feed_interface, *orders_host, *group_b = "", *feed_interface_b = "";
    unsigned int port, feed_port, orders_port, feed_port_b = 0, tos = 0, version = 2, mtu = 0, messages = 0;
    int multicast = 0, index = -1, priority = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sIsIssI|$sIsIpIiIIi:RdmaGateway", names, &interface, &port, &group, &feed_port,
                                     &feed_interface, &orders_host, &orders_port, &group_b, &feed_port_b, &feed_interface_b, &tos,
                                     &multicast, &version, &index, &mtu, &messages, &priority))
        return false;
    if (port - 1u >= 65535u || feed_port - 1u >= 65535u || orders_port - 1u >= 65535u || feed_port_b > 65535u || tos > 255 ||
        version - 1u > 1u || index < -1 || index > 255 || mtu > 4096 || messages > 65534u || priority < -1 || priority > 7) {
        PyErr_SetString(PyExc_ValueError, "RdmaGateway: ports are 1 to 65535, tos 0 to 255, roce_version 1 or 2, gid_index -1 to 255, mtu 0 to 4096, "
                                          "messages_per_packet 0 to 65534, priority -1 to 7");
        return false;
    }
    memset(to, 0, sizeof *to);
    to->port = (uint16_t)port;
    to->orders_port = (uint16_t)orders_port;
    to->tos = (uint8_t)tos;
    to->priority = (int8_t)priority;
    to->multicast = multicast != 0;
    to->verbs = (struct verbs_settings){.roce_version = (uint8_t)version, .gid_index = index, .mtu = (uint16_t)mtu};
    to->messages_per_packet = messages;
    to->feed.port = (uint16_t)feed_port;
    to->feed.port_b = (uint16_t)feed_port_b;
    return take_address("interface", interface, false, to->interface, sizeof to->interface) &&
           take_address("group", group, false, to->feed.group, sizeof to->feed.group) &&
           take_address("feed_interface", feed_interface, false, to->feed.interface, sizeof to->feed.interface) &&
           take_address("orders_host", orders_host, false, to->orders_host, sizeof to->orders_host) &&
           take_address("group_b", group_b, true, to->feed.group_b, sizeof to->feed.group_b) &&
           take_address("feed_interface_b", feed_interface_b, true, to->feed.interface_b, sizeof to->feed.interface_b);
}

static PyObject *gateway_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    struct gateway_settings settings;
    struct failure failure;
    bool good;
    if (!read_settings(arguments, keywords, &settings))
        return NULL;
    struct gateway_object *self = (struct gateway_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    good = gateway_open(&self->gateway, &settings, &verbs_places, &failure);
    Py_END_ALLOW_THREADS
    if (good)
        return (PyObject *)self;
    Py_DECREF(self);
    return raise_failure(&failure);
}

static void gateway_dealloc(PyObject *object)
{
    struct gateway *gateway = &((struct gateway_object *)object)->gateway;
    if (gateway->library.handles[0] != NULL || gateway->stop > 0) /* else it was never opened */
        gateway_release(gateway);
    free_instance(object);
}

static PyObject *run(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct gateway_object *self = (struct gateway_object *)object;
    struct failure failure;
    bool good;
    if (self->running || self->gateway.library.handles[0] == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "RdmaGateway.run: it runs, or has run; make a new one");
        return NULL;
    }
    self->running = true;
    Py_BEGIN_ALLOW_THREADS
    good = gateway_run(&self->gateway, &failure);
    gateway_close(&self->gateway);
    Py_END_ALLOW_THREADS
    self->running = false;
    return good ? Py_NewRef(Py_None) : raise_failure(&failure);
}

static PyObject *stop(PyObject *object, PyObject *unused)
{
    (void)unused;
    gateway_stop(&((struct gateway_object *)object)->gateway);
    Py_RETURN_NONE;
}

static PyObject *state(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct gateway *gateway = &((struct gateway_object *)object)->gateway;
    struct gateway_counts *counts = &gateway->counts;
    return Py_BuildValue("{s:s,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I}", "device", gateway->device.gid.device, "datagrams", (unsigned long long)counts->datagrams, "dropped",
                         (unsigned long long)counts->dropped, "oversize", (unsigned long long)counts->oversize, "subscriptions",
                         (unsigned long long)counts->subscriptions, "connections", (unsigned long long)counts->connections, "refused",
                         (unsigned long long)counts->refused, "subscribers", (unsigned int)counts->subscribers, "bridges",
                         (unsigned int)counts->bridges);
}

static PyObject *problem(PyObject *object, PyObject *unused)
{
    (void)unused;
    char text[256];
    gateway_problem(&((struct gateway_object *)object)->gateway, text, sizeof text);
    return PyUnicode_FromString(text);
}

static PyMethodDef methods[] = {
    {"run", run, METH_NOARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"state", state, METH_NOARGS, NULL},
    {"problem", problem, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot gateway_slots[] = {
    {Py_tp_new, gateway_new},
    {Py_tp_dealloc, gateway_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec gateway_spec = {"tickwire._core.RdmaGateway", sizeof(struct gateway_object), 0, Py_TPFLAGS_DEFAULT, gateway_slots};

/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed by itself, for tests and tools, and the packets of its re-requests. */
#include "common.h"

#include "../feed.h"

#define FEED_KEEP_LIMIT 65536

struct feed_object {
    PyObject_HEAD
    struct arena arena;
    struct feed *feed;
    uint64_t sessions, ends;
};

static PyObject *feed_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"gap_timeout_ms", "request_ms", "silent_ms", "keep_packets", "request", "strict_join", NULL};
    unsigned int timeout_ms = 200, request_ms = 20, silent_ms = 5000, keep = 1024;
    int request = 0, strict_join = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$IIIIpp:Feed", names, &timeout_ms, &request_ms, &silent_ms, &keep,
                                     &request, &strict_join))
        return NULL;
    if (keep < 1 || keep > FEED_KEEP_LIMIT)
        return PyErr_Format(PyExc_ValueError, "Feed: keep_packets %u must be 1 to %d", keep, FEED_KEEP_LIMIT);
    struct feed_policy policy = {.gap_timeout_ms = timeout_ms,
                                 .request_ms = request_ms,
                                 .silent_ms = silent_ms,
                                 .keep_packets = keep,
                                 .request = request,
                                 .strict_join = strict_join};
    struct feed_object *self = (struct feed_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    if (arena_open(&self->arena, feed_footprint(&policy)))
        self->feed = feed_init(&self->arena, &policy);
    if (self->feed == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void feed_dealloc(PyObject *self)
{
    arena_close(&((struct feed_object *)self)->arena);
    free_instance(self);
}

/* Append the new messages of a packet to `list`, as the engine would apply them. */
static bool walk(struct feed_object *self, const struct transport_packet *packet, const struct mold_view *view, PyObject *list)
{
    const uint8_t *at = packet->bytes + MOLD_HEADER, *end = packet->bytes + packet->length;
    uint32_t taken = 0;
    bool good = true;
    for (uint32_t i = 0; good && i < view->count && end - at >= 2 && end - at - 2 >= get16(at); i++) {
        if (i >= view->duplicates) {
            PyObject *message = PyBytes_FromStringAndSize((const char *)at + 2, get16(at));
            good = message != NULL && PyList_Append(list, message) == 0;
            Py_XDECREF(message);
            taken++;
        }
        at += 2 + get16(at);
    }
    self->sessions += view->new_session;
    self->ends += view->ends_session;
    feed_taken(self->feed, taken);
    return good;
}

static bool drain_into(struct feed_object *self, PyObject *list)
{
    struct transport_packet packet;
    struct mold_view view;
    bool good = true;
    while (good && feed_has_kept(self->feed) && feed_kept(self->feed, &packet, &view) == FEED_TAKE)
        good = walk(self, &packet, &view, list);
    return good;
}

static PyObject *packet(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"packet", "line", "now_ns", NULL};
    struct feed_object *self = (struct feed_object *)object;
    PyObject *bytes;
    const char *line = "A";
    unsigned long long now_ns = 0;
    Py_buffer buffer;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|sK:packet", names, &bytes, &line, &now_ns))
        return NULL;
    static const char lines[] = "ABR"; /* in the order of enum transport_line */
    const char *found = line[0] != '\0' && line[1] == '\0' ? strchr(lines, line[0]) : NULL;
    if (found == NULL)
        return PyErr_Format(PyExc_ValueError, "Feed.packet: line \"%s\" must be \"A\", \"B\" or \"R\"", line);
    if (!take_buffer(bytes, &buffer))
        return NULL;
    PyObject *list = PyList_New(0);
    if (buffer.len > MOLD_PACKET_MAX) {
        PyErr_Format(PyExc_ValueError, "Feed.packet: %zd bytes, a datagram has at most %d", buffer.len, MOLD_PACKET_MAX);
        Py_CLEAR(list);
    }
    if (list != NULL) {
        struct transport_packet here = {
            .bytes = buffer.buf, .length = (uint32_t)buffer.len, .line = (uint8_t)(found - lines)};
        struct mold_view view;
        bool good = true;
        if (feed_packet(self->feed, &here, now_ns, &view) == FEED_TAKE)
            good = walk(self, &here, &view, list);
        if (!good || !drain_into(self, list))
            Py_CLEAR(list);
    }
    PyBuffer_Release(&buffer);
    return list;
}

static PyObject *drain(PyObject *object, PyObject *unused)
{
    (void)unused;
    PyObject *list = PyList_New(0);
    if (list != NULL && !drain_into((struct feed_object *)object, list))
        Py_CLEAR(list);
    return list;
}

static int keep_request(void *list, const uint8_t *bytes, uint32_t length)
{
    PyObject *request = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)length);
    int result = request != NULL ? PyList_Append(list, request) : -1;
    Py_XDECREF(request);
    return result;
}

static PyObject *tick(PyObject *object, PyObject *argument)
{
    unsigned long long now_ns = PyLong_AsUnsignedLongLong(argument);
    PyObject *list = PyErr_Occurred() == NULL ? PyList_New(0) : NULL;
    if (list == NULL)
        return NULL;
    struct feed_transport transport = {.self = list, .request = keep_request};
    feed_tick(((struct feed_object *)object)->feed, &transport, now_ns);
    if (PyErr_Occurred() != NULL)
        Py_CLEAR(list);
    return list;
}

static int put_count(PyObject *dict, const char *key, uint64_t value)
{
    return put_item(dict, key, PyLong_FromUnsignedLongLong(value));
}

static PyObject *state(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct feed_object *self = (struct feed_object *)object;
    const struct feed *feed = self->feed;
    const struct feed_counts *counts = feed_counts(feed);
    const struct {
        const char *key;
        bool value;
    } flags[] = {{"stale", feed_is_stale(feed)}, {"silent", feed_is_silent(feed)}, {"gap_open", feed_gap_open(feed)}};
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"next_sequence", feed_next_sequence(feed)}, {"packets_a", counts->packets_a},
                   {"packets_b", counts->packets_b},            {"packets_requested", counts->packets_requested},
                   {"duplicates", counts->duplicates},          {"gaps", counts->gaps},
                   {"gaps_closed", counts->gaps_closed},        {"messages_lost", counts->messages_lost},
                   {"requests", counts->requests},              {"out_of_session", counts->out_of_session},
                   {"malformed", counts->malformed},            {"sessions", self->sessions},
                   {"ends", self->ends}};
    PyObject *dict = PyDict_New();
    bool good = dict != NULL;
    for (size_t i = 0; good && i < sizeof flags / sizeof flags[0]; i++)
        good = put_item(dict, flags[i].key, PyBool_FromLong(flags[i].value)) == 0;
    for (size_t i = 0; good && i < sizeof numbers / sizeof numbers[0]; i++)
        good = put_count(dict, numbers[i].key, numbers[i].value) == 0;
    if (good)
        good = put_item(dict, "session", text_from_alpha(feed_session(feed), self->sessions > 0 ? MOLD_SESSION : 0)) == 0;
    if (!good)
        Py_CLEAR(dict);
    return dict;
}

static PyMethodDef methods[] = {
    {"packet", (PyCFunction)(void (*)(void))packet, METH_VARARGS | METH_KEYWORDS, NULL},
    {"drain", drain, METH_NOARGS, NULL},
    {"tick", tick, METH_O, NULL},
    {"state", state, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot feed_slots[] = {
    {Py_tp_new, feed_new},
    {Py_tp_dealloc, feed_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec feed_spec = {"tickwire._core.Feed", sizeof(struct feed_object), 0, Py_TPFLAGS_DEFAULT, feed_slots};

/* --- re-request packets --- */

static PyObject *mold_request_encode(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *text;
    unsigned long long sequence;
    long count;
    uint8_t session[MOLD_SESSION], bytes[MOLD_HEADER];
    if (!PyArg_ParseTuple(arguments, "UKl:mold_request_encode", &text, &sequence, &count) || !session_from_text(text, session))
        return NULL;
    if (count < 1 || count > UINT16_MAX)
        return PyErr_Format(PyExc_ValueError, "MoldUDP64 request: count %ld must be 1 to %d", count, UINT16_MAX);
    return PyBytes_FromStringAndSize((const char *)bytes, mold_header(bytes, session, sequence, (uint16_t)count));
}

static PyObject *mold_request_decode(PyObject *module, PyObject *object)
{
    (void)module;
    Py_buffer buffer;
    PyObject *result = NULL;
    if (!take_buffer(object, &buffer))
        return NULL;
    const uint8_t *bytes = buffer.buf;
    if (buffer.len != MOLD_HEADER)
        PyErr_Format(PyExc_ValueError, "MoldUDP64 request: %zd bytes, it has %d", buffer.len, MOLD_HEADER);
    else
        result = Py_BuildValue("(NKi)", text_from_alpha(bytes, MOLD_SESSION), (unsigned long long)mold_sequence(bytes),
                               (int)mold_count(bytes));
    PyBuffer_Release(&buffer);
    return result;
}

PyMethodDef feed_methods[] = {
    {"mold_request_encode", mold_request_encode, METH_VARARGS, NULL},
    {"mold_request_decode", mold_request_decode, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * RoceTrace: a capture in, window by window, and what the core made of it out as dictionaries. */
#include "trace.h"

#include <arpa/inet.h>
#include <sys/mman.h>

struct trace_object {
    PyObject_HEAD
    struct capture capture;
    struct trace *trace;
    size_t mapped;
};

bool trace_put(PyObject *dict, const struct named *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (put_item(dict, numbers[i].key, PyLong_FromUnsignedLongLong(numbers[i].value)) != 0)
            return false;
    return true;
}

PyObject *trace_address(struct address address)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    memcpy(bytes, &address, sizeof bytes);
    bool v4 = address.high == 0 && (address.low & 0xFFFFFFFFu) == 0xFFFF0000u;
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, text, sizeof text);
    return PyUnicode_FromString(text);
}

PyObject *trace_number(uint64_t value, uint64_t none)
{
    if (value == none)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(value);
}

PyObject *trace_counted(const uint64_t *counts, size_t length)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < length; i++) {
        if (counts[i] == 0)
            continue;
        PyObject *key = PyLong_FromSize_t(i), *value = PyLong_FromUnsignedLongLong(counts[i]);
        if (key == NULL || value == NULL || PyDict_SetItem(dict, key, value) != 0)
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *histogram_dict(const struct histogram *h)
{
    if (h->count == 0)
        return Py_BuildValue("{s:i}", "samples", 0);
    return Py_BuildValue("{s:K,s:K,s:d,s:K,s:K,s:K,s:K,s:K}", "samples", (unsigned long long)h->count, "min_ns",
                         (unsigned long long)h->min, "mean_ns", (double)h->sum / (double)h->count, "p50_ns",
                         (unsigned long long)histogram_quantile(h, 500), "p90_ns",
                         (unsigned long long)histogram_quantile(h, 900), "p99_ns",
                         (unsigned long long)histogram_quantile(h, 990), "p99_9_ns",
                         (unsigned long long)histogram_quantile(h, 999), "max_ns", (unsigned long long)h->max);
}

/* {"start_ns", "bin_ns", "bins": [(bin, packets, ...)]} of the bins that hold something. */
static PyObject *series_dict(const struct series *series, uint64_t base)
{
    PyObject *bins = PyList_New(0);
    for (uint32_t i = 0; bins != NULL && i < SERIES_BINS; i++) {
        const struct series_bin *b = &series->bins[i];
        if (b->packets + b->retransmissions + b->acks + b->naks + b->not_ready + b->cnps + b->pauses + b->samples == 0)
            continue;
        PyObject *bin = Py_BuildValue(
            "(IIIIIIIIILLLKKKK)", i, b->packets, b->retransmissions, b->acks, b->naks, b->not_ready, b->cnps, b->marks, b->pauses,
            (long long)(b->low - base), (long long)(b->high - base), (long long)(b->acknowledged - base),
            (unsigned long long)b->samples, (unsigned long long)b->min_ns, (unsigned long long)b->sum_ns,
            (unsigned long long)b->max_ns);
        if (bin == NULL || PyList_Append(bins, bin) != 0)
            Py_CLEAR(bins);
        Py_XDECREF(bin);
    }
    if (bins == NULL)
        return NULL;
    return Py_BuildValue("{s:K,s:K,s:N}", "start_ns", (unsigned long long)series->start_ns, "bin_ns",
                         series->shift == 0 ? 0ull : 1ull << series->shift, "bins", bins);
}

/* --- flows --- */

static PyObject *flow_dict(const struct trace *trace, const struct flow *flow)
{
    static const char *const services[] = {"RC", "UC", "RD", "UD", "CNP", "XRC"};
    static const char *const pairings[] = {[PAIRED_NOT] = NULL,
                                           [PAIRED_BY_PSN] = "psn",
                                           [PAIRED_BY_PORT] = "port",
                                           [PAIRED_BY_CM] = "cm"};
    const struct flow_counts *c = &flow->counts;
    uint32_t source_qp = flow->source_qp;
    if (source_qp == FLOW_NONE && flow->peer != FLOW_NONE)
        source_qp = trace->flows[flow->peer].destination_qp;
    uint64_t pauses[ROCE_PRIORITIES + 1];
    for (int i = 0; i <= ROCE_PRIORITIES; i++)
        pauses[i] = trace->pauses.by_class[i] - flow->pauses_before[i];
    const struct named numbers[] = {
        {"destination_qp", flow->destination_qp},
        {"dscp", flow->dscp},
        {"udp_source_port", flow->port},
        {"first_ns", flow->first_ns},
        {"last_ns", flow->last_ns},
        {"packets", c->packets},
        {"wire_bytes", c->wire_bytes},
        {"payload_bytes", c->payload_bytes},
        {"requests", c->requests},
        {"read_responses", c->read_responses},
        {"acks", c->acks},
        {"other_syndromes", c->other_syndromes},
        {"cnps", c->cnps},
        {"ecn_capable", c->ect},
        {"ce_marks", c->marks},
        {"becn", c->becn},
        {"retransmissions", c->retransmissions},
        {"retransmitted_bytes", c->retransmitted_bytes},
        {"missing", c->missing},
        {"out_of_order", c->out_of_order},
        {"copies", c->copies},
        {"restarts", c->restarts},
        {"completed", c->completed},
        {"partial", c->partial},
        {"unanswered", c->unanswered},
        {"unacknowledged", c->unacknowledged + flow_outstanding(flow)},
        {"overrun", c->overrun},
        {"late_messages", c->late_messages},
        {"repeated", c->repeated},
        {"ambiguous", c->ambiguous},
        {"backwards", c->backwards},
        {"answers_unmatched", c->answers_unmatched},
        {"icrc_checked", c->icrc_checked},
        {"icrc_wrong", c->icrc_wrong},
    };
    const char *pairing = pairings[flow->pairing];
    PyObject *dict = PyDict_New();
    if (dict == NULL || put_item(dict, "source", trace_address(flow->source)) != 0 ||
        put_item(dict, "destination", trace_address(flow->destination)) != 0 ||
        put_item(dict, "source_qp", trace_number(source_qp, FLOW_NONE)) != 0 ||
        put_item(dict, "peer", trace_number(flow->peer, FLOW_NONE)) != 0 ||
        put_item(dict, "pairing", Py_BuildValue("z", pairing)) != 0 ||
        put_item(dict, "service", PyUnicode_FromString(services[flow->service])) != 0 ||
        put_item(dict, "priority", trace_number(flow->priority, ROCE_NO_PRIORITY)) != 0 ||
        put_item(dict, "mtu", trace_number(flow->mtu, 0)) != 0 || !TRACE_PUT(dict, numbers) ||
        put_item(dict, "messages",
                 Py_BuildValue("{s:K,s:K,s:K,s:K}", "send", (unsigned long long)c->messages[MESSAGE_SEND], "write",
                               (unsigned long long)c->messages[MESSAGE_WRITE], "read",
                               (unsigned long long)c->messages[MESSAGE_READ], "atomic",
                               (unsigned long long)c->messages[MESSAGE_ATOMIC])) != 0 ||
        put_item(dict, "naks", trace_counted(c->naks, FLOW_NAKS)) != 0 ||
        put_item(dict, "not_ready", trace_counted(c->not_ready, FLOW_NAKS)) != 0 ||
        put_item(dict, "pauses", trace_counted(pauses, ROCE_PRIORITIES + 1)) != 0 ||
        put_item(dict, "round_trip", histogram_dict(flow->round_trip)) != 0 ||
        put_item(dict, "message_time", histogram_dict(flow->whole)) != 0)
        Py_CLEAR(dict);
    return dict;
}

static PyObject *flow_series(PyObject *object, PyObject *number)
{
    const struct trace *trace = ((struct trace_object *)object)->trace;
    unsigned long index = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred() != NULL)
        return NULL;
    if (index >= trace->flow_count)
        return PyErr_Format(PyExc_IndexError, "RoceTrace: no flow %lu, there are %u", index, trace->flow_count);
    return series_dict(trace->flows[index].series, FLOW_SEQUENCE_BASE);
}

static PyObject *flows(PyObject *object, PyObject *unused)
{
    (void)unused;
    const struct trace *trace = ((struct trace_object *)object)->trace;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < trace->flow_count; i++) {
        PyObject *flow = flow_dict(trace, &trace->flows[i]);
        if (flow == NULL || PyList_Append(list, flow) != 0)
            Py_CLEAR(list);
        Py_XDECREF(flow);
    }
    return list;
}

/* --- the whole --- */

static PyObject *pausers(const struct trace *trace)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < trace->pauses.sender_count; i++) {
        const struct pauser *p = &trace->pauses.senders[i];
        char text[18];
        snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", p->address[0], p->address[1], p->address[2], p->address[3],
                 p->address[4], p->address[5]);
        PyObject *one = Py_BuildValue("{s:s,s:K,s:K,s:N,s:N,s:N}", "source", text, "first_ns", (unsigned long long)p->first_ns,
                                      "last_ns", (unsigned long long)p->last_ns, "pauses",
                                      trace_counted(p->pauses, ROCE_PRIORITIES + 1), "resumes",
                                      trace_counted(p->resumes, ROCE_PRIORITIES + 1), "quanta",
                                      trace_counted(p->quanta, ROCE_PRIORITIES + 1));
        if (one == NULL || PyList_Append(list, one) != 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

/* {class: series} of those that were stopped. */
static PyObject *paused_series(const struct pauses *pauses)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i <= ROCE_PRIORITIES; i++) {
        if (pauses->by_class[i] == 0)
            continue;
        PyObject *key = PyLong_FromSize_t(i), *series = series_dict(&pauses->series_of_class[i], 0);
        if (key == NULL || series == NULL || PyDict_SetItem(dict, key, series) != 0)
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(series);
    }
    return dict;
}

static PyObject *state(PyObject *object, PyObject *unused)
{
    (void)unused;
    static const char *const formats[] = {NULL, "pcap", "pcapng"};
    const struct trace_object *self = (const struct trace_object *)object;
    const struct trace *trace = self->trace;
    const struct named numbers[] = {
        {"offset", self->capture.offset + self->capture.at},
        {"to_skip", self->capture.skip},
        {"records", self->capture.records},
        {"captured_bytes", trace->bytes},
        {"first_ns", trace->first_ns},
        {"last_ns", trace->last_ns},
        {"roce", trace->kinds[PACKET_ROCE]},
        {"pause", trace->kinds[PACKET_PAUSE]},
        {"other", trace->kinds[PACKET_OTHER]},
        {"cut", trace->kinds[PACKET_CUT]},
        {"malformed", trace->kinds[PACKET_MALFORMED]},
        {"fragments", trace->kinds[PACKET_FRAGMENT]},
        {"unknown_link", trace->kinds[PACKET_LINK_UNKNOWN]},
        {"unknown_link_type", trace->unknown_link},
        {"unknown_interface", self->capture.beyond_interfaces},
        {"backwards", trace->backwards},
        {"untracked", trace->untracked},
        {"connections", trace->connections},
        {"pause_senders_beyond", trace->pauses.beyond},
    };
    PyObject *dict = PyDict_New();
    if (dict == NULL || put_item(dict, "format", Py_BuildValue("z", formats[self->capture.format])) != 0 ||
        !TRACE_PUT(dict, numbers) || put_item(dict, "pauses", trace_counted(trace->pauses.by_class, ROCE_PRIORITIES + 1)) != 0 ||
        put_item(dict, "pause_senders", pausers(trace)) != 0 ||
        put_item(dict, "pause_series", series_dict(&trace->pauses.series, 0)) != 0 ||
        put_item(dict, "pause_series_of_priority", paused_series(&trace->pauses)) != 0)
        Py_CLEAR(dict);
    return dict;
}

static PyObject *feed(PyObject *object, PyObject *bytes)
{
    struct trace_object *self = (struct trace_object *)object;
    Py_buffer buffer;
    if (!take_buffer(bytes, &buffer))
        return NULL;
    struct capture_record records[TRACE_BATCH];
    enum capture_result result;
    Py_BEGIN_ALLOW_THREADS;
    capture_window(&self->capture, buffer.buf, (uint64_t)buffer.len);
    do {
        uint32_t count = 0;
        while ((result = capture_next(&self->capture, &records[count])) == CAPTURE_RECORD && ++count < TRACE_BATCH)
            ;
        trace_records(self->trace, records, count);
    } while (result == CAPTURE_RECORD);
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&buffer);
    if (result == CAPTURE_WRONG)
        return raise_failure(&self->capture.failure);
    return PyLong_FromUnsignedLongLong(self->capture.at);
}

static PyObject *trace_object_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"flows", "outstanding", "icrc", NULL};
    unsigned int flow_count = 4096, outstanding = 4096;
    int icrc = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$IIp:RoceTrace", names, &flow_count, &outstanding, &icrc))
        return NULL;
    if (flow_count < 1 || flow_count > TRACE_FLOWS_MAX)
        return PyErr_Format(PyExc_ValueError, "RoceTrace: flows %u must be 1 to %u", flow_count, TRACE_FLOWS_MAX);
    if (outstanding < 1 || outstanding > TRACE_OUTSTANDING_MAX || (outstanding & (outstanding - 1)) != 0)
        return PyErr_Format(PyExc_ValueError, "RoceTrace: outstanding %u must be a power of two up to %u", outstanding,
                            TRACE_OUTSTANDING_MAX);
    struct trace_limits limits = {.flows = flow_count, .outstanding = outstanding, .icrc = icrc != 0};
    struct trace_object *self = (struct trace_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    size_t size = trace_footprint(&limits);
    /* Only what is touched takes memory. */
    void *zeroes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zeroes == MAP_FAILED) {
        Py_DECREF(self);
        return PyErr_Format(PyExc_MemoryError, "RoceTrace: %zu bytes of address space for %u flows; ask for fewer", size,
                            flow_count);
    }
    self->mapped = size;
    self->trace = trace_new(zeroes, &limits);
    capture_start(&self->capture);
    return (PyObject *)self;
}

static void trace_object_dealloc(PyObject *object)
{
    struct trace_object *self = (struct trace_object *)object;
    if (self->trace != NULL)
        munmap(self->trace, self->mapped);
    free_instance(object);
}

static PyMethodDef methods[] = {
    {"feed", feed, METH_O, NULL},
    {"state", state, METH_NOARGS, NULL},
    {"flows", flows, METH_NOARGS, NULL},
    {"series", flow_series, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot trace_slots[] = {
    {Py_tp_new, trace_object_new},
    {Py_tp_dealloc, trace_object_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec trace_spec = {"tickwire._core.RoceTrace", sizeof(struct trace_object), 0, Py_TPFLAGS_DEFAULT, trace_slots};

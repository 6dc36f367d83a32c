/* SPDX-License-Identifier: Apache-2.0
 *
 * One capture, packet by packet: for tests and small files. */
#include "trace.h"

static PyObject *pause_dict(const struct pause_frame *pause)
{
    uint64_t quanta[ROCE_PRIORITIES + 1] = {0};
    for (int i = 0; i < ROCE_PRIORITIES; i++)
        quanta[i] = pause->whole_port ? 0 : pause->quanta[i];
    quanta[ROCE_PRIORITIES] = pause->whole_port ? pause->quanta[0] : 0;
    return Py_BuildValue("{s:s,s:i,s:N}", "kind", "pause", "enabled", (int)pause->enabled, "quanta",
                         trace_counted(quanta, ROCE_PRIORITIES + 1));
}

static PyObject *roce_dict(const struct icrc_tables *tables, const struct roce_packet *p)
{
    const struct named numbers[] = {
        {"time_ns", p->time_ns},         {"opcode", p->opcode},           {"destination_qp", p->destination_qp},
        {"psn", p->psn},                 {"ack_request", p->ack_request}, {"partition", p->partition},
        {"dscp", p->dscp},               {"ecn", p->ecn},                 {"udp_source_port", p->source_port},
        {"payload_bytes", p->payload_length},
    };
    const struct {
        const char *key;
        uint16_t trait;
        uint64_t value;
    } parts[] = {
        {"syndrome", HAS_AETH, p->syndrome},
        {"message_sequence", HAS_AETH, p->sequence},
        {"source_qp", HAS_DETH, p->source_qp},
        {"dma_length", HAS_RETH, p->dma_length},
    };
    PyObject *dict = PyDict_New();
    bool good = dict != NULL && put_item(dict, "kind", PyUnicode_FromString("roce")) == 0 &&
                put_item(dict, "source", trace_address(p->source)) == 0 &&
                put_item(dict, "destination", trace_address(p->destination)) == 0 && TRACE_PUT(dict, numbers) &&
                put_item(dict, "priority", trace_number(p->priority, ROCE_NO_PRIORITY)) == 0 &&
                put_item(dict, "icrc", p->whole ? PyBool_FromLong(icrc_holds(tables, p)) : trace_number(0, 0)) == 0;
    for (size_t i = 0; good && i < sizeof parts / sizeof parts[0]; i++)
        if ((p->traits & parts[i].trait) != 0)
            good = put_item(dict, parts[i].key, PyLong_FromUnsignedLongLong(parts[i].value)) == 0;
    if (!good)
        Py_CLEAR(dict);
    return dict;
}

static PyObject *record_dict(const struct icrc_tables *tables, const struct capture_record *record)
{
    static const char *const kinds[PACKET_KINDS] = {
        [PACKET_OTHER] = "other",        [PACKET_CUT] = "cut",           [PACKET_MALFORMED] = "malformed",
        [PACKET_FRAGMENT] = "fragment", [PACKET_LINK_UNKNOWN] = "unknown_link",
    };
    struct packet packet;
    enum packet_kind kind = packet_read(record, &packet);
    if (kind == PACKET_ROCE)
        return roce_dict(tables, &packet.roce);
    if (kind == PACKET_PAUSE)
        return pause_dict(&packet.pause);
    return Py_BuildValue("{s:s}", "kind", kinds[kind]);
}

static PyObject *py_roce_packets(PyObject *module, PyObject *bytes)
{
    (void)module;
    Py_buffer buffer;
    if (!take_buffer(bytes, &buffer))
        return NULL;
    struct capture capture;
    struct capture_record record;
    struct icrc_tables tables;
    enum capture_result result = CAPTURE_MORE;
    icrc_start(&tables);
    capture_start(&capture);
    capture_window(&capture, buffer.buf, (uint64_t)buffer.len);
    PyObject *list = PyList_New(0);
    while (list != NULL && (result = capture_next(&capture, &record)) == CAPTURE_RECORD) {
        PyObject *one = record_dict(&tables, &record);
        if (one == NULL || PyList_Append(list, one) != 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    PyBuffer_Release(&buffer);
    if (list != NULL && result == CAPTURE_WRONG) {
        Py_DECREF(list);
        return raise_failure(&capture.failure);
    }
    return list;
}

PyMethodDef packet_methods[] = {
    {"roce_packets", py_roce_packets, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Where messages begin and end: in a file, and in a MoldUDP64 packet. */
#include "common.h"

#include "../itch_frames.h"
#include "../mold.h"

/* --- files --- */

struct frame_index {
    uint64_t *entries;
    size_t count, capacity;
    uint64_t unknown, bad_length;
    bool zero_framing;
};

static bool add_entry(struct frame_index *index, uint64_t offset, uint32_t length)
{
    if (index->count == index->capacity) {
        size_t capacity = index->capacity == 0 ? 4096 : 2 * index->capacity;
        uint64_t *entries = PyMem_Realloc(index->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            PyErr_NoMemory();
            return false;
        }
        index->entries = entries;
        index->capacity = capacity;
    }
    index->entries[index->count++] = offset << 16 | length;
    return true;
}

static bool scan_frames(struct frame_index *index, const uint8_t *bytes, uint64_t size)
{
    struct itch_frames frames;
    uint64_t offset = 0;
    uint32_t length = 0;
    itch_frames_start(&frames, bytes, size);
    index->zero_framing = frames.zero_framing;
    for (;;) {
        switch (itch_frames_next(&frames, &offset, &length)) {
        case ITCH_FRAME_END:
            return true;
        case ITCH_FRAME_UNKNOWN:
            PyErr_Format(PyExc_ValueError,
                         "frame at offset %llu: length 0x%x, type 0x%x; after zero lengths the type must be known",
                         (unsigned long long)frames.at, (int)length, (int)bytes[frames.at + 2]);
            return false;
        case ITCH_FRAME_TRUNCATED:
            PyErr_Format(PyExc_ValueError, "frame at offset %llu: truncated, %llu of %llu bytes are there",
                         (unsigned long long)frames.at, (unsigned long long)(size - frames.at), (unsigned long long)length + 2);
            return false;
        case ITCH_FRAME_MESSAGE:
            break;
        }
        uint8_t expected = itch_lengths[bytes[offset]];
        index->unknown += expected == 0;
        index->bad_length += expected != 0 && expected != length;
        if (!add_entry(index, offset, length))
            return false;
    }
}

static PyObject *py_itch_frame_index(PyObject *module, PyObject *object)
{
    (void)module;
    Py_buffer buffer;
    struct frame_index index = {0};
    PyObject *result = NULL;
    if (!take_buffer(object, &buffer))
        return NULL;
    if (scan_frames(&index, buffer.buf, (uint64_t)buffer.len))
        result = Py_BuildValue("(y#{s:s,s:K,s:K,s:K})", (const char *)index.entries, (Py_ssize_t)(8 * index.count), "framing",
                               index.zero_framing ? "zero" : "length", "messages", (unsigned long long)index.count, "unknown",
                               (unsigned long long)index.unknown, "bad_length", (unsigned long long)index.bad_length);
    PyMem_Free(index.entries);
    PyBuffer_Release(&buffer);
    return result;
}

/* --- MoldUDP64 --- */

static bool append_message(PyObject *message, uint8_t *packet, uint32_t *length)
{
    Py_buffer buffer;
    if (message == NULL || !take_buffer(message, &buffer))
        return false;
    bool fits = buffer.len <= UINT16_MAX && *length + 2 + buffer.len <= MOLD_PACKET_MAX;
    if (fits) {
        put16(packet + *length, (uint16_t)buffer.len);
        memcpy(packet + *length + 2, buffer.buf, (size_t)buffer.len);
        *length += 2 + (uint32_t)buffer.len;
    } else {
        PyErr_Format(PyExc_ValueError, "MoldUDP64: messages do not fit a packet of %d bytes", MOLD_PACKET_MAX);
    }
    PyBuffer_Release(&buffer);
    return fits;
}

static PyObject *py_mold_encode(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *text, *messages;
    unsigned long long sequence;
    uint8_t session[10];
    if (!PyArg_ParseTuple(arguments, "UKO:mold_encode", &text, &sequence, &messages) || !session_from_text(text, session))
        return NULL;
    Py_ssize_t count = PySequence_Size(messages);
    if (count < 0)
        return NULL;
    if (count >= MOLD_END_OF_SESSION)
        return PyErr_Format(PyExc_ValueError, "MoldUDP64: %zd messages, at most 65534 in a packet", count);
    uint8_t *packet = PyMem_Malloc(MOLD_PACKET_MAX);
    if (packet == NULL)
        return PyErr_NoMemory();
    uint32_t length = mold_header(packet, session, sequence, (uint16_t)count);
    bool good = true;
    for (Py_ssize_t i = 0; good && i < count; i++) {
        PyObject *message = PySequence_GetItem(messages, i);
        good = append_message(message, packet, &length);
        Py_XDECREF(message);
    }
    PyObject *result = good ? PyBytes_FromStringAndSize((const char *)packet, length) : NULL;
    PyMem_Free(packet);
    return result;
}

static PyObject *py_mold_end_of_session(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *text;
    unsigned long long sequence;
    uint8_t session[10], packet[MOLD_HEADER];
    if (!PyArg_ParseTuple(arguments, "UK:mold_end_of_session", &text, &sequence) || !session_from_text(text, session))
        return NULL;
    return PyBytes_FromStringAndSize((const char *)packet, mold_header(packet, session, sequence, MOLD_END_OF_SESSION));
}

static PyObject *messages_of(const uint8_t *packet, Py_ssize_t length, uint16_t count)
{
    PyObject *list = PyList_New(0);
    Py_ssize_t at = MOLD_HEADER;
    for (unsigned i = 0; list != NULL && count != MOLD_END_OF_SESSION && i < count; i++) {
        PyObject *message = NULL;
        if (length - at < 2 || length - at - 2 < get16(packet + at))
            PyErr_Format(PyExc_ValueError, "MoldUDP64: message %u of %d ends beyond the packet's %zd bytes", i + 1,
                         (int)count, length);
        else
            message = PyBytes_FromStringAndSize((const char *)packet + at + 2, get16(packet + at));
        if (message == NULL || PyList_Append(list, message) != 0)
            Py_CLEAR(list);
        else
            at += 2 + get16(packet + at);
        Py_XDECREF(message);
    }
    return list;
}

static PyObject *py_mold_decode(PyObject *module, PyObject *object)
{
    (void)module;
    Py_buffer buffer;
    PyObject *result = NULL;
    if (!take_buffer(object, &buffer))
        return NULL;
    const uint8_t *packet = buffer.buf;
    if (buffer.len < MOLD_HEADER) {
        PyErr_Format(PyExc_ValueError, "MoldUDP64: %zd bytes, a packet has at least %d", buffer.len, MOLD_HEADER);
    } else {
        uint16_t count = get16(packet + MOLD_SESSION + 8);
        PyObject *session = text_from_alpha(packet, MOLD_SESSION), *messages = messages_of(packet, buffer.len, count);
        if (session != NULL && messages != NULL)
            result = Py_BuildValue("(OKiO)", session, (unsigned long long)get64(packet + MOLD_SESSION), (int)count, messages);
        Py_XDECREF(session);
        Py_XDECREF(messages);
    }
    PyBuffer_Release(&buffer);
    return result;
}

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))py_##name, flags, NULL}

PyMethodDef frame_methods[] = {
    METHOD(itch_frame_index, METH_O),
    METHOD(mold_encode, METH_VARARGS),
    METHOD(mold_end_of_session, METH_VARARGS),
    METHOD(mold_decode, METH_O),
    {NULL, NULL, 0, NULL},
};

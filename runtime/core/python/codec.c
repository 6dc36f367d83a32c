/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to dictionaries and back, by walking the tables; the slow path. */
#include "codec.h"

#include "../itch.h"

static const struct protocol itch = {"ITCH 5.0", itch_messages, ITCH_MESSAGE_COUNT};

#define APPENDAGE_MAX UINT16_MAX

bool codec_is_text(const struct wire_field *field)
{
    return field->kind == WIRE_CHAR || field->kind == WIRE_ALPHA;
}

/* --- decode --- */

PyObject *codec_value(const struct wire_field *field, const uint8_t *message)
{
    const uint8_t *at = message + field->offset;
    if (field->kind == WIRE_CHAR)
        return PyUnicode_DecodeLatin1((const char *)at, 1, NULL);
    if (field->kind == WIRE_ALPHA)
        return text_from_alpha(at, field->length);
    if (field->kind == WIRE_I32)
        return PyLong_FromLong((int32_t)get32(at));
    return PyLong_FromUnsignedLongLong(wire_get(at, field->length));
}

/* The appendage of a message that has one, or NULL with a ValueError. */
static PyObject *appendage_of(const struct protocol *protocol, const struct wire_message *kind, const uint8_t *bytes,
                              Py_ssize_t length)
{
    Py_ssize_t rest = length - kind->length;
    if (kind->tail == WIRE_TAIL_NONE || rest < 2 || rest - 2 != get16(bytes + kind->length))
        return PyErr_Format(PyExc_ValueError, "%s type %c: %zd bytes, its appendage length says otherwise", protocol->name,
                            kind->type, length);
    return PyBytes_FromStringAndSize((const char *)bytes + kind->length + 2, rest - 2);
}

PyObject *codec_decode(const struct protocol *protocol, PyObject *object)
{
    Py_buffer buffer;
    if (!take_buffer(object, &buffer))
        return NULL;
    const uint8_t *bytes = buffer.buf;
    PyObject *fields = NULL;
    const struct wire_message *kind = buffer.len > 0 ? wire_find(protocol->messages, protocol->count, (char)bytes[0]) : NULL;
    if (buffer.len == 0) {
        PyErr_Format(PyExc_ValueError, "%s: empty message", protocol->name);
    } else if (kind == NULL) {
        PyErr_Format(PyExc_ValueError, "%s: unknown message type 0x%x of %zd bytes", protocol->name, (int)bytes[0], buffer.len);
    } else if (buffer.len < kind->length || (kind->tail == WIRE_TAIL_NONE && buffer.len != kind->length)) {
        PyErr_Format(PyExc_ValueError, "%s type %c (%s): %zd bytes, must be %s%d", protocol->name, kind->type, kind->title,
                     buffer.len, kind->tail == WIRE_TAIL_NONE ? "" : "at least ", (int)kind->length);
    } else {
        fields = PyDict_New();
        int bad = fields == NULL || put_item(fields, "type", PyUnicode_DecodeLatin1(&kind->type, 1, NULL)) != 0;
        for (unsigned i = 0; !bad && i < kind->field_count; i++)
            bad = put_item(fields, kind->fields[i].name, codec_value(&kind->fields[i], bytes)) != 0;
        if (!bad && (kind->tail == WIRE_TAIL_REQUIRED || buffer.len > kind->length))
            bad = put_item(fields, "appendage", appendage_of(protocol, kind, bytes, buffer.len)) != 0;
        if (bad)
            Py_CLEAR(fields);
    }
    PyBuffer_Release(&buffer);
    return fields;
}

/* --- encode --- */

static bool put_text(const char *where, const struct wire_field *field, PyObject *value, uint8_t *at)
{
    char *bytes;
    Py_ssize_t length;
    PyObject *latin = PyUnicode_Check(value) ? PyUnicode_AsLatin1String(value) : NULL;
    if (latin == NULL || PyBytes_AsStringAndSize(latin, &bytes, &length) != 0 || length > field->length) {
        PyErr_Format(PyExc_ValueError, "%s, %s: %R must be Latin-1 text of at most %d characters", where, field->name, value,
                     (int)field->length);
        Py_XDECREF(latin);
        return false;
    }
    memcpy(at, bytes, (size_t)length);
    Py_DECREF(latin);
    return true;
}

static bool put_signed(const char *where, const struct wire_field *field, PyObject *value, uint8_t *at)
{
    long long number = PyLong_Check(value) ? PyLong_AsLongLong(value) : 0;
    if (!PyLong_Check(value) || PyErr_Occurred() != NULL || number < INT32_MIN || number > INT32_MAX) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s, %s: %R must be an integer from %d to %d", where, field->name, value, INT32_MIN,
                     INT32_MAX);
        return false;
    }
    put32(at, (uint32_t)number);
    return true;
}

static bool put_number(const char *where, const struct wire_field *field, PyObject *value, uint8_t *at)
{
    unsigned long long limit = field->length == 8 ? UINT64_MAX : (1ULL << 8 * field->length) - 1;
    unsigned long long number = PyLong_Check(value) ? PyLong_AsUnsignedLongLong(value) : 0;
    if (!PyLong_Check(value) || PyErr_Occurred() != NULL || number > limit) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s, %s: %R must be an integer from 0 to %llu", where, field->name, value, limit);
        return false;
    }
    wire_put(at, field->length, number);
    return true;
}

bool codec_put(const char *where, const struct wire_field *field, PyObject *value, uint8_t *message)
{
    uint8_t *at = message + field->offset;
    if (codec_is_text(field))
        return put_text(where, field, value, at);
    return field->kind == WIRE_I32 ? put_signed(where, field, value, at) : put_number(where, field, value, at);
}

static const struct wire_field *find_field(const struct wire_message *kind, const char *name)
{
    for (unsigned i = 0; i < kind->field_count; i++)
        if (strcmp(kind->fields[i].name, name) == 0)
            return &kind->fields[i];
    return NULL;
}

static const struct wire_message *kind_of(const struct protocol *protocol, PyObject *fields)
{
    PyObject *type = PyMapping_GetItemString(fields, "type");
    if (type == NULL) {
        PyErr_Format(PyExc_ValueError, "%s: \"type\" is missing", protocol->name);
        return NULL;
    }
    const char *text = PyUnicode_Check(type) ? PyUnicode_AsUTF8AndSize(type, NULL) : NULL;
    const struct wire_message *kind = NULL;
    if (text != NULL && text[0] != '\0' && text[1] == '\0')
        kind = wire_find(protocol->messages, protocol->count, text[0]);
    if (kind == NULL)
        PyErr_Format(PyExc_ValueError, "%s: unknown message type %R", protocol->name, type);
    Py_DECREF(type);
    return kind;
}

/* One (name, value) pair of the mapping; the appendage is handed out and not written. */
static bool put_pair(const struct protocol *protocol, const struct wire_message *kind, PyObject *pair, uint8_t *message,
                     PyObject **appendage)
{
    PyObject *key = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1); /* borrowed */
    const char *name = key != NULL && PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, NULL) : NULL;
    if (name != NULL && strcmp(name, "type") == 0)
        return true;
    if (name != NULL && strcmp(name, "appendage") == 0 && kind->tail != WIRE_TAIL_NONE) {
        *appendage = value;
        return true;
    }
    const struct wire_field *field = name != NULL ? find_field(kind, name) : NULL;
    if (field == NULL) {
        PyErr_Format(PyExc_ValueError, "%s type %c (%s): no field %R", protocol->name, kind->type, kind->title, key);
        return false;
    }
    char where[64];
    snprintf(where, sizeof where, "%s type %c", protocol->name, kind->type);
    return codec_put(where, field, value, message);
}

/* The message with its appendage: its length and bytes when the table requires one or `appendage` is not NULL. */
static PyObject *with_appendage(const struct protocol *protocol, const struct wire_message *kind, const uint8_t *message,
                                PyObject *appendage)
{
    Py_buffer buffer = {0};
    if (appendage != NULL && !take_buffer(appendage, &buffer))
        return NULL;
    Py_ssize_t length = kind->length;
    bool has = kind->tail == WIRE_TAIL_REQUIRED || appendage != NULL;
    PyObject *result = NULL;
    if (buffer.len > APPENDAGE_MAX)
        PyErr_Format(PyExc_ValueError, "%s type %c: appendage of %zd bytes, at most %d", protocol->name, kind->type, buffer.len,
                     APPENDAGE_MAX);
    else
        result = PyBytes_FromStringAndSize(NULL, length + (has ? 2 + buffer.len : 0));
    if (result != NULL) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(result);
        memcpy(out, message, (size_t)length);
        if (has)
            put16(out + length, (uint16_t)buffer.len);
        if (buffer.len > 0)
            memcpy(out + length + 2, buffer.buf, (size_t)buffer.len);
    }
    if (appendage != NULL)
        PyBuffer_Release(&buffer);
    return result;
}

PyObject *codec_encode(const struct protocol *protocol, PyObject *fields)
{
    uint8_t message[UINT8_MAX + 1] = {0}; /* offsets are of 8 bits */
    if (!PyMapping_Check(fields))
        return PyErr_Format(PyExc_TypeError, "%s: fields must be a mapping", protocol->name);
    const struct wire_message *kind = kind_of(protocol, fields);
    if (kind == NULL)
        return NULL;
    message[0] = (uint8_t)kind->type;
    for (unsigned i = 0; i < kind->field_count; i++)
        if (codec_is_text(&kind->fields[i]))
            memset(message + kind->fields[i].offset, ' ', kind->fields[i].length);
    PyObject *pairs = PyMapping_Items(fields), *appendage = NULL, *result = NULL;
    bool good = pairs != NULL;
    for (Py_ssize_t i = 0; good && i < PyList_Size(pairs); i++)
        good = put_pair(protocol, kind, PyList_GetItem(pairs, i), message, &appendage);
    if (good)
        result = with_appendage(protocol, kind, message, appendage);
    Py_XDECREF(pairs);
    return result;
}

/* --- functions: ITCH --- */

static const struct wire_message *find_kind(const struct protocol *protocol, PyObject *type)
{
    const char *text = PyUnicode_Check(type) ? PyUnicode_AsUTF8AndSize(type, NULL) : NULL;
    PyErr_Clear();
    if (text == NULL || text[0] == '\0' || text[1] != '\0')
        return NULL;
    return wire_find(protocol->messages, protocol->count, text[0]);
}

/* (name, kind, offset, length) of every field. */
PyObject *codec_fields(const struct protocol *protocol, PyObject *type)
{
    const struct wire_message *kind = find_kind(protocol, type);
    if (kind == NULL)
        return PyErr_Format(PyExc_ValueError, "%s: unknown message type %R", protocol->name, type);
    PyObject *list = PyList_New(0);
    for (unsigned i = 0; list != NULL && i < kind->field_count; i++) {
        const struct wire_field *field = &kind->fields[i];
        PyObject *row =
            Py_BuildValue("(ssii)", field->name, wire_kind_name(field->kind), (int)field->offset, (int)field->length);
        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

static PyObject *py_itch_length(PyObject *module, PyObject *type)
{
    (void)module;
    const struct wire_message *kind = find_kind(&itch, type);
    return PyLong_FromLong(kind != NULL ? kind->length : 0);
}

static PyObject *py_itch_fields(PyObject *module, PyObject *type)
{
    (void)module;
    return codec_fields(&itch, type);
}

static PyObject *py_itch_decode(PyObject *module, PyObject *message)
{
    (void)module;
    return codec_decode(&itch, message);
}

static PyObject *py_itch_encode(PyObject *module, PyObject *fields)
{
    (void)module;
    return codec_encode(&itch, fields);
}

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))py_##name, flags, NULL}

PyMethodDef codec_methods[] = {
    METHOD(itch_length, METH_O),
    METHOD(itch_fields, METH_O),
    METHOD(itch_decode, METH_O),
    METHOD(itch_encode, METH_O),
    {NULL, NULL, 0, NULL},
};

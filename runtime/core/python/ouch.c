/* SPDX-License-Identifier: Apache-2.0
 *
 * OUCH for Python: messages, appendages, staged requests, answers and reasons of both versions. */
#include "codec.h"

#include <stdlib.h>

#include "../ledger.h"
#include "../ouch.h"

static const struct protocol ouch[2][2] = { /* by version, by direction: to the client, to the exchange */
    [OUCH_50] = {{"OUCH 5.0 outbound", ouch_outbound, OUCH_OUTBOUND_COUNT}, {"OUCH 5.0 inbound", ouch_inbound, OUCH_INBOUND_COUNT}},
    [OUCH_42] = {{"OUCH 4.2 outbound", ouch42_outbound, OUCH42_OUTBOUND_COUNT},
                 {"OUCH 4.2 inbound", ouch42_inbound, OUCH42_INBOUND_COUNT}},
};

#define VERSION_DEFAULT "5.0"

static bool take_version(const char *text, enum ouch_version *version)
{
    *version = strcmp(text, "4.2") == 0 ? OUCH_42 : OUCH_50;
    if (*version == OUCH_42 || strcmp(text, "5.0") == 0)
        return true;
    PyErr_Format(PyExc_ValueError, "OUCH version \"%s\": must be \"5.0\" or \"4.2\"", text);
    return false;
}

static PyObject *ouch_call(PyObject *arguments, PyObject *keywords, PyObject *(*call)(const struct protocol *, PyObject *),
                           const char *format, char *first)
{
    char *names[] = {first, "inbound", "version", NULL};
    PyObject *object;
    int inbound;
    const char *text = VERSION_DEFAULT;
    enum ouch_version version;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, format, names, &object, &inbound, &text) ||
        !take_version(text, &version))
        return NULL;
    return call(&ouch[version][inbound != 0], object);
}

static PyObject *py_ouch_decode(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    return ouch_call(arguments, keywords, codec_decode, "Op|s:ouch_decode", "message");
}

static PyObject *py_ouch_encode(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    return ouch_call(arguments, keywords, codec_encode, "Op|s:ouch_encode", "fields");
}

static PyObject *py_ouch_fields(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    return ouch_call(arguments, keywords, codec_fields, "Op|s:ouch_fields", "type");
}

static PyObject *py_ouch_types(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"inbound", "version", NULL};
    int inbound;
    const char *text = VERSION_DEFAULT;
    enum ouch_version version;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "p|s:ouch_types", names, &inbound, &text) ||
        !take_version(text, &version))
        return NULL;
    const struct protocol *protocol = &ouch[version][inbound != 0];
    char letters[32];
    for (size_t i = 0; i < protocol->count; i++)
        letters[i] = protocol->messages[i].type;
    return PyUnicode_FromStringAndSize(letters, (Py_ssize_t)protocol->count);
}

static PyObject *py_ouch_reject_text(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"reason", "version", NULL};
    PyObject *reason;
    const char *text = VERSION_DEFAULT;
    enum ouch_version version;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s:ouch_reject_text", names, &reason, &text) ||
        !take_version(text, &version))
        return NULL;
    unsigned long code = 0;
    if (PyUnicode_Check(reason) && PyUnicode_GetLength(reason) == 1)
        code = PyUnicode_ReadChar(reason, 0);
    else if (PyLong_Check(reason))
        code = PyLong_AsUnsignedLong(reason);
    else
        PyErr_Format(PyExc_TypeError, "reason: %R must be an integer (5.0) or one letter (4.2)", reason);
    if (PyErr_Occurred() != NULL)
        return NULL;
    return PyUnicode_FromString(ouch_reject_text(version, code <= UINT16_MAX ? (uint16_t)code : 0));
}

/* --- appendages --- */

static const struct ouch_tag *tag_of(uint8_t number, uint32_t length)
{
    for (unsigned i = 0; i < OUCH_TAG_COUNT; i++)
        if (ouch_tags[i].tag == number && ouch_tags[i].value.length == length)
            return &ouch_tags[i];
    return NULL;
}

/* An element of a tag or a length the table does not have is kept as bytes, under "tag_" and its number. */
static bool put_element(PyObject *dict, uint8_t number, const uint8_t *value, uint32_t length)
{
    const struct ouch_tag *tag = tag_of(number, length);
    char name[32];
    snprintf(name, sizeof name, "tag_%u", number);
    PyObject *key = PyUnicode_FromString(tag != NULL ? tag->value.name : name);
    PyObject *item = tag != NULL ? codec_value(&tag->value, value) : PyBytes_FromStringAndSize((const char *)value, length);
    int there = key != NULL ? PyDict_Contains(dict, key) : -1;
    if (there == 1)
        PyErr_Format(PyExc_ValueError, "OUCH appendage: %U is there twice", key);
    bool good = item != NULL && there == 0 && PyDict_SetItem(dict, key, item) == 0;
    Py_XDECREF(key);
    Py_XDECREF(item);
    return good;
}

static PyObject *py_ouch_appendage_decode(PyObject *module, PyObject *appendage)
{
    (void)module;
    Py_buffer buffer;
    if (!take_buffer(appendage, &buffer))
        return NULL;
    const uint8_t *bytes = buffer.buf, *value;
    uint32_t at = 0, length;
    uint8_t number;
    PyObject *dict = buffer.len <= UINT16_MAX ? PyDict_New() : NULL;
    if (buffer.len > UINT16_MAX)
        PyErr_Format(PyExc_ValueError, "OUCH appendage: %zd bytes, at most %d", buffer.len, UINT16_MAX);
    int32_t took = 0;
    while (dict != NULL && (took = ouch_element(bytes + at, (uint32_t)buffer.len - at, &number, &value, &length)) > 0) {
        if (!put_element(dict, number, value, length))
            Py_CLEAR(dict);
        at += (uint32_t)took;
    }
    if (took < 0) {
        PyErr_Format(PyExc_ValueError, "OUCH appendage: the element at byte %u is longer than what is left", (unsigned)at);
        Py_CLEAR(dict);
    }
    PyBuffer_Release(&buffer);
    return dict;
}

/* The element of one (name, value) pair into `element`; its length, 0 with an exception. */
static uint32_t get_element(PyObject *pair, uint8_t element[1 + UINT8_MAX])
{
    PyObject *key = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1); /* borrowed */
    const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, NULL) : NULL;
    for (unsigned i = 0; name != NULL && i < OUCH_TAG_COUNT; i++) {
        const struct wire_field *field = &ouch_tags[i].value;
        if (strcmp(field->name, name) != 0)
            continue;
        memset(element + 2, ' ', field->length);
        element[0] = (uint8_t)(1 + field->length);
        element[1] = ouch_tags[i].tag;
        return codec_put("OUCH appendage", field, value, element + 2) ? 2u + field->length : 0;
    }
    unsigned long number = name != NULL && strncmp(name, "tag_", 4) == 0 ? strtoul(name + 4, NULL, 10) : 0;
    char *bytes, again[32];
    Py_ssize_t length;
    snprintf(again, sizeof again, "tag_%lu", number);
    if (name == NULL || strcmp(name, again) != 0 || number > UINT8_MAX) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "OUCH appendage: no field %R", key);
        return 0;
    }
    if (!PyBytes_Check(value) || PyBytes_AsStringAndSize(value, &bytes, &length) != 0 || length > UINT8_MAX - 1) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "OUCH appendage, %U: %R must be at most %d bytes", key, value, UINT8_MAX - 1);
        return 0;
    }
    element[0] = (uint8_t)(1 + length);
    element[1] = (uint8_t)number;
    memcpy(element + 2, bytes, (size_t)length);
    return 2u + (uint32_t)length;
}

static PyObject *py_ouch_appendage_encode(PyObject *module, PyObject *fields)
{
    (void)module;
    PyObject *pairs = PyMapping_Check(fields) ? PyMapping_Items(fields) : NULL;
    if (pairs == NULL)
        return PyErr_Format(PyExc_TypeError, "OUCH appendage: fields must be a mapping");
    uint8_t *bytes = PyMem_Malloc(UINT16_MAX);
    uint32_t length = 0;
    bool good = bytes != NULL || PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; good && i < PyList_Size(pairs); i++) {
        uint8_t element[1 + UINT8_MAX];
        uint32_t more = get_element(PyList_GetItem(pairs, i), element);
        good = more > 0 && length + more <= UINT16_MAX;
        if (good)
            memcpy(bytes + length, element, more);
        else if (more > 0)
            PyErr_Format(PyExc_ValueError, "OUCH appendage: at most %d bytes", UINT16_MAX);
        length += more;
    }
    PyObject *result = good ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)length) : NULL;
    PyMem_Free(bytes);
    Py_DECREF(pairs);
    return result;
}

/* --- what the engine does with them --- */

static PyObject *py_ouch_request(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"action", "reference", "original", "side",   "shares", "symbol", "price", "time_in_force",
                            "firm",   "version",   NULL};
    int action, side = 'B', time_in_force = '0';
    unsigned reference, original = 0, shares = 0, price = 0;
    const char *symbol = "", *firm = "", *text = VERSION_DEFAULT;
    enum ouch_version version;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "CI|$ICIsICss:ouch_request", names, &action, &reference, &original,
                                     &side, &shares, &symbol, &price, &time_in_force, &firm, &text) ||
        !take_version(text, &version))
        return NULL;
    struct ouch_staged staged;
    uint8_t stock[8];
    wire_put_alpha(stock, sizeof stock, symbol);
    ouch_stage(&staged, version, firm);
    switch (action) {
    case TW_ENTER: {
        uint32_t length = ouch_enter(&staged, reference, (uint8_t)side, shares, stock, price, (uint8_t)time_in_force);
        return PyBytes_FromStringAndSize((const char *)staged.enter, (Py_ssize_t)length);
    }
    case TW_REPLACE: {
        uint32_t length = ouch_replace(&staged, original, reference, shares, price, (uint8_t)time_in_force);
        return PyBytes_FromStringAndSize((const char *)staged.replace, (Py_ssize_t)length);
    }
    case TW_CANCEL: {
        uint32_t length = ouch_cancel(&staged, reference);
        return PyBytes_FromStringAndSize((const char *)staged.cancel, (Py_ssize_t)length);
    }
    default:
        return PyErr_Format(PyExc_ValueError, "action: '%c' must be 'E' (enter), 'R' (replace) or 'C' (cancel)", action);
    }
}

static PyObject *py_ouch_answer(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"message", "version", NULL};
    PyObject *object;
    const char *text = VERSION_DEFAULT;
    enum ouch_version version;
    Py_buffer buffer;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s:ouch_answer", names, &object, &text) ||
        !take_version(text, &version) || !take_buffer(object, &buffer))
        return NULL;
    struct ledger_answer answer;
    bool good = buffer.len <= UINT16_MAX && ouch_answer(version, buffer.buf, (uint32_t)buffer.len, &answer);
    PyBuffer_Release(&buffer);
    if (!good)
        return PyErr_Format(PyExc_ValueError, "OUCH %s: no whole message of the exchange", text);
    char kind[2] = {(char)answer.kind, '\0'};
    return Py_BuildValue("{s:s,s:K,s:I,s:I,s:I,s:I,s:K,s:I}", "kind", kind, "time_ns", (unsigned long long)answer.time_ns,
                         "reference", (unsigned)answer.reference, "original", (unsigned)answer.original, "shares",
                         (unsigned)answer.shares, "price", (unsigned)answer.price, "match_number",
                         (unsigned long long)answer.match_number, "reason", (unsigned)answer.reason);
}

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))py_##name, flags, NULL}

PyMethodDef ouch_methods[] = {
    METHOD(ouch_decode, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_encode, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_fields, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_types, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_appendage_decode, METH_O),
    METHOD(ouch_appendage_encode, METH_O),
    METHOD(ouch_request, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_answer, METH_VARARGS | METH_KEYWORDS),
    METHOD(ouch_reject_text, METH_VARARGS | METH_KEYWORDS),
    {NULL, NULL, 0, NULL},
};

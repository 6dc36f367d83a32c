/* SPDX-License-Identifier: Apache-2.0
 *
 * SoupBinTCP packets for Python. */
#include "common.h"

#include "../soupbin.h"

static PyObject *py_soup_decode(PyObject *module, PyObject *stream)
{
    (void)module;
    Py_buffer buffer;
    if (!take_buffer(stream, &buffer))
        return NULL;
    struct soup_packet packet;
    uint32_t available = buffer.len < SOUP_PACKET_MAX ? (uint32_t)buffer.len : SOUP_PACKET_MAX;
    int32_t took = soup_next(buffer.buf, available, &packet);
    PyObject *result = NULL;
    if (took > 0)
        result = Py_BuildValue("(Cy#i)", (int)packet.type, (const char *)packet.payload, (Py_ssize_t)packet.length, (int)took);
    else if (took == 0)
        result = Py_NewRef(Py_None);
    else
        PyErr_SetString(PyExc_ValueError, "SoupBinTCP: a packet of length 0 has no type");
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *py_soup_encode(PyObject *module, PyObject *arguments)
{
    (void)module;
    int type;
    PyObject *object = NULL;
    Py_buffer buffer = {0};
    if (!PyArg_ParseTuple(arguments, "C|O:soup_encode", &type, &object) || (object != NULL && !take_buffer(object, &buffer)))
        return NULL;
    PyObject *result = NULL;
    if (type > UINT8_MAX || buffer.len > UINT16_MAX - 1)
        PyErr_Format(PyExc_ValueError, "SoupBinTCP: type %d with %zd bytes: a type is one byte, a payload at most %d", type,
                     buffer.len, UINT16_MAX - 1);
    else
        result = PyBytes_FromStringAndSize(NULL, 3 + buffer.len);
    if (result != NULL) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(result);
        put16(out, (uint16_t)(1 + buffer.len));
        out[2] = (uint8_t)type;
        if (buffer.len > 0)
            memcpy(out + 3, buffer.buf, (size_t)buffer.len);
    }
    if (object != NULL)
        PyBuffer_Release(&buffer);
    return result;
}

static PyObject *py_soup_login(PyObject *module, PyObject *arguments)
{
    (void)module;
    const char *username, *password, *session;
    unsigned long long sequence;
    if (!PyArg_ParseTuple(arguments, "sssK:soup_login", &username, &password, &session, &sequence))
        return NULL;
    if (strlen(username) > SOUP_USERNAME || strlen(password) > SOUP_PASSWORD || strlen(session) > SOUP_SESSION)
        return PyErr_Format(PyExc_ValueError, "SoupBinTCP login of \"%s\": at most %d characters of user, %d of password, %d of session",
                            username, SOUP_USERNAME, SOUP_PASSWORD, SOUP_SESSION);
    uint8_t packet[SOUP_LOGIN_BYTES];
    uint32_t length = soup_login(packet, username, password, session, sequence);
    return PyBytes_FromStringAndSize((const char *)packet, (Py_ssize_t)length);
}

static PyObject *py_soup_accepted(PyObject *module, PyObject *payload)
{
    (void)module;
    Py_buffer buffer;
    if (!take_buffer(payload, &buffer))
        return NULL;
    struct soup_packet packet = {.type = SOUP_LOGIN_ACCEPTED, .payload = buffer.buf, .length = (uint32_t)buffer.len};
    char session[SOUP_SESSION + 1];
    uint64_t sequence;
    PyObject *result = NULL;
    if (buffer.len <= UINT16_MAX && soup_accepted(&packet, session, &sequence)) {
        PyObject *text = PyUnicode_DecodeLatin1(session, (Py_ssize_t)strlen(session), NULL);
        result = text != NULL ? Py_BuildValue("(NK)", text, (unsigned long long)sequence) : NULL;
    } else {
        PyErr_Format(PyExc_ValueError, "SoupBinTCP login accepted: %zd bytes are no session and sequence", buffer.len);
    }
    PyBuffer_Release(&buffer);
    return result;
}

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))py_##name, flags, NULL}

PyMethodDef soup_methods[] = {
    METHOD(soup_decode, METH_O),
    METHOD(soup_encode, METH_VARARGS),
    METHOD(soup_login, METH_VARARGS),
    METHOD(soup_accepted, METH_O),
    {NULL, NULL, 0, NULL},
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <errno.h>

PyObject *raise_failure(const struct failure *failure)
{
    if (failure->code == ENOMEM) {
        PyErr_SetString(PyExc_MemoryError, failure->text);
    } else if (failure->code == EINVAL || failure->code == EBADMSG) {
        PyErr_SetString(PyExc_ValueError, failure->text);
    } else {
        PyObject *arguments = Py_BuildValue("(is)", failure->code, failure->text);
        if (arguments != NULL) {
            PyErr_SetObject(PyExc_OSError, arguments);
            Py_DECREF(arguments);
        }
    }
    return NULL;
}

bool take_buffer(PyObject *object, Py_buffer *buffer)
{
    return PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) == 0;
}

PyObject *text_from_alpha(const uint8_t *bytes, Py_ssize_t length)
{
    while (length > 0 && bytes[length - 1] == ' ')
        length--;
    return PyUnicode_DecodeLatin1((const char *)bytes, length, NULL);
}

int put_item(PyObject *dict, const char *key, PyObject *value)
{
    if (value == NULL)
        return -1;
    int result = PyDict_SetItemString(dict, key, value);
    Py_DECREF(value);
    return result;
}

bool session_from_text(PyObject *text, uint8_t session[10])
{
    char *bytes;
    Py_ssize_t length;
    PyObject *latin = PyUnicode_AsLatin1String(text);
    if (latin == NULL || PyBytes_AsStringAndSize(latin, &bytes, &length) != 0) {
        Py_XDECREF(latin);
        return false;
    }
    bool fits = length <= 10;
    if (fits) {
        memcpy(session, bytes, (size_t)length);
        memset(session + length, ' ', (size_t)(10 - length));
    } else {
        PyErr_Format(PyExc_ValueError, "session %R: at most 10 characters", text);
    }
    Py_DECREF(latin);
    return fits;
}

static bool check_index(const Py_buffer *data, const Py_buffer *index)
{
    if (index->len % 8 != 0) {
        PyErr_Format(PyExc_ValueError, "index: %zd bytes are not whole 64-bit entries", index->len);
        return false;
    }
    const uint8_t *entries = index->buf;
    for (Py_ssize_t i = 0; i < index->len / 8; i++) {
        uint64_t entry;
        memcpy(&entry, entries + 8 * i, sizeof entry);
        if ((entry >> 16) + (entry & 0xFFFF) > (uint64_t)data->len) {
            PyErr_Format(PyExc_ValueError, "index entry %zd: message ends beyond the %zd bytes of data", i, data->len);
            return false;
        }
    }
    return true;
}

bool take_messages(PyObject *data, PyObject *index, Py_buffer *data_buffer, Py_buffer *index_buffer)
{
    if (!take_buffer(data, data_buffer))
        return false;
    if (!take_buffer(index, index_buffer)) {
        PyBuffer_Release(data_buffer);
        return false;
    }
    if (!check_index(data_buffer, index_buffer)) {
        PyBuffer_Release(data_buffer);
        PyBuffer_Release(index_buffer);
        return false;
    }
    if ((uintptr_t)index_buffer->buf % 8 != 0) {
        PyBuffer_Release(data_buffer);
        PyBuffer_Release(index_buffer);
        PyErr_SetString(PyExc_ValueError, "index: must be aligned to 8 bytes (bytes and array.array are)");
        return false;
    }
    return true;
}

PyObject *new_instance(PyTypeObject *type)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return allocate(type, 0);
}

void free_instance(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

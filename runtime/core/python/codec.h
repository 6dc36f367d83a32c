/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to dictionaries and back, by walking a protocol's tables. */
#ifndef TICKWIRE_PYTHON_CODEC_H
#define TICKWIRE_PYTHON_CODEC_H

#include "common.h"

struct protocol {
    const char *name;
    const struct wire_message *messages;
    size_t count;
};

/* ValueError says what is wrong with the message, or with which value of the mapping. */
PyObject *codec_decode(const struct protocol *protocol, PyObject *message);
PyObject *codec_encode(const struct protocol *protocol, PyObject *fields);
/* (name, kind, offset, length) of every field of a type. */
PyObject *codec_fields(const struct protocol *protocol, PyObject *type);

/* One value; `where` begins the sentence of the ValueError. Text is written without its padding. */
PyObject *codec_value(const struct wire_field *field, const uint8_t *message);
bool codec_put(const char *where, const struct wire_field *field, PyObject *value, uint8_t *message);
bool codec_is_text(const struct wire_field *field);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The binding: what its files share. Limited API of Python 3.11 only, so that one wheel serves every later version. */
#ifndef TICKWIRE_PYTHON_COMMON_H
#define TICKWIRE_PYTHON_COMMON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../engine.h"
#include "../failure.h"
#include "../wire.h"

/* Raise OSError (its subclass by errno), MemoryError for ENOMEM, ValueError for EINVAL and EBADMSG. Always NULL. */
PyObject *raise_failure(const struct failure *failure);

/* A read-only contiguous buffer of any bytes-like object. */
bool take_buffer(PyObject *object, Py_buffer *buffer);

/* Latin-1 text without trailing blanks. */
PyObject *text_from_alpha(const uint8_t *bytes, Py_ssize_t length);

/* Put `value` under `key` and drop the reference; -1 when value is NULL or the dictionary refuses. */
int put_item(PyObject *dict, const char *key, PyObject *value);

/* Session ids: at most 10 Latin-1 characters, padded with blanks. */
bool session_from_text(PyObject *text, uint8_t session[10]);

/* Check an index as itch_frame_index makes it against its data: every message inside, none longer than 65,535. */
bool take_messages(PyObject *data, PyObject *index, Py_buffer *data_buffer, Py_buffer *index_buffer);

/* The [engine] [feed] ... mapping into settings. Without `network` the addresses are not asked for. ValueError names the key. */
bool settings_from_config(PyObject *config, bool network, struct engine_settings *settings);

/* [strategy] (NULL: all defaults) into its settings, and which one it names. ValueError names the key. */
bool strategy_from_table(PyObject *table, uint32_t max_instruments, const struct tw_strategy **strategy,
                         struct tw_strategy_settings *settings);

/* The dictionary block_read returns. */
PyObject *block_as_dict(const struct block *block);

/* Method tables and types of the files here; module.c puts them together. */
extern PyMethodDef codec_methods[];
extern PyMethodDef ouch_methods[];
extern PyMethodDef soup_methods[];
extern PyMethodDef settings_methods[];
extern PyMethodDef frame_methods[];
extern PyMethodDef engine_methods[];
extern PyMethodDef block_methods[];
extern PyMethodDef feed_methods[];
extern PyMethodDef journal_methods[];
extern PyMethodDef strategy_methods[];
extern PyMethodDef packet_methods[];
extern PyMethodDef bench_methods[];
extern PyType_Spec bench_rdma_spec;
extern PyType_Spec bench_socket_spec;
extern PyType_Spec book_spec;
extern PyType_Spec replay_spec;
extern PyType_Spec engine_spec;
extern PyType_Spec gateway_spec;
extern PyType_Spec feed_spec;
extern PyType_Spec ledger_spec;
extern PyType_Spec risk_spec;
extern PyType_Spec control_spec;
extern PyType_Spec strategy_spec;
extern PyType_Spec stamping_spec;
extern PyType_Spec stamped_reader_spec;
extern PyType_Spec trace_spec;

/* Put the limits a dictionary names into `limits`, by the field's names and in its units. ValueError names field and value. */
bool limits_from_dict(PyObject *dict, struct risk_limits *limits);
PyObject *limits_as_dict(const struct risk_limits *limits);

/* Blank-padded symbols; how many, -1 with ValueError. */
bool symbol_from_text(PyObject *text, uint8_t symbol[8]);
int32_t symbols_from_list(PyObject *list, uint8_t symbols[RISK_RESTRICTED_MAX][8]);

/* Up to n levels of a side as a list of (price, shares, orders), best first. */
PyObject *book_depth(const struct book *book, uint16_t locate, enum book_side_index side, Py_ssize_t n);

/* By enum stamp_clock, and by enum stamping_wish. */
extern const char *const stamp_clock_names[STAMP_CLOCKS];
extern const char *const stamping_wishes[STAMPING_WISHES];

/* A new zeroed instance of a heap type. */
PyObject *new_instance(PyTypeObject *type);
/* Free an instance whose contents have been released. */
void free_instance(PyObject *self);

#endif

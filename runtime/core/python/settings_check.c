/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's own check of a configuration, without making anything of it. */
#include "common.h"

static PyObject *py_settings_check(PyObject *module, PyObject *config)
{
    (void)module;
    struct engine_settings settings;
    return settings_from_config(config, true, &settings) ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef settings_methods[] = {
    {"settings_check", py_settings_check, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

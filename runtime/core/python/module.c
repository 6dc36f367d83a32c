/* SPDX-License-Identifier: Apache-2.0
 *
 * tickwire._core. The documentation of everything in it is in tickwire/_core.pyi. */
#include "common.h"

#include "../itch.h"

static int add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type == NULL)
        return -1;
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

static int execute(PyObject *module)
{
    if (PyModule_AddFunctions(module, codec_methods) != 0 || PyModule_AddFunctions(module, frame_methods) != 0 ||
        PyModule_AddFunctions(module, engine_methods) != 0 || PyModule_AddFunctions(module, block_methods) != 0 ||
        PyModule_AddFunctions(module, feed_methods) != 0)
        return -1;
    if (PyModule_AddFunctions(module, ouch_methods) != 0 || PyModule_AddFunctions(module, soup_methods) != 0)
        return -1;
    if (PyModule_AddStringConstant(module, "ITCH_TYPES", ITCH_TYPES) != 0)
        return -1;
    if (add_type(module, &book_spec) != 0 || add_type(module, &replay_spec) != 0 || add_type(module, &engine_spec) != 0 ||
        add_type(module, &feed_spec) != 0)
        return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "tickwire._core", .m_doc = "The C core of Tickwire; see _core.pyi.", .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}

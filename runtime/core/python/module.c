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
    static PyMethodDef *const methods[] = {
        codec_methods,
        frame_methods,
        engine_methods,
        block_methods,
        feed_methods,
        ouch_methods,
        soup_methods,
        settings_methods,
        journal_methods,
        strategy_methods,
        packet_methods,
        bench_methods,
    };
    static PyType_Spec *const types[] = {
        &book_spec, &replay_spec, &engine_spec, &feed_spec, &ledger_spec, &risk_spec, &control_spec, &strategy_spec,
        &trace_spec, &gateway_spec, &bench_socket_spec, &bench_rdma_spec,
        &stamping_spec, &stamped_reader_spec,
    };
    for (unsigned i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (PyModule_AddFunctions(module, methods[i]) != 0)
            return -1;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        if (add_type(module, types[i]) != 0)
            return -1;
    return PyModule_AddStringConstant(module, "ITCH_TYPES", ITCH_TYPES);
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

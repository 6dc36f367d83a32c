/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "../clock.h"
#include "../transport/replay.h"
#include "../transport/transports.h"

struct engine_object {
    PyObject_HEAD
    struct engine engine;
    struct transports transports;
    bool busy; /* in open or run, on some thread */
    bool opened, ran;
};

static PyObject *engine_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"config", NULL};
    PyObject *config;
    struct engine_settings settings;
    struct failure failure;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:Engine", names, &config) ||
        !settings_from_config(config, true, &settings))
        return NULL;
    if (settings.block_path[0] == '\0')
        return PyErr_Format(PyExc_ValueError, "engine.block: is missing");
    struct engine_object *self = (struct engine_object *)new_instance(type);
    if (self == NULL)
        return NULL;
    transports_init(&self->transports);
    bool good;
    Py_BEGIN_ALLOW_THREADS
    good = engine_init(&self->engine, &settings, &failure);
    Py_END_ALLOW_THREADS
    if (!good) {
        Py_DECREF(self);
        return raise_failure(&failure);
    }
    return (PyObject *)self;
}

static void engine_dealloc(PyObject *object)
{
    struct engine_object *self = (struct engine_object *)object;
    transports_release(&self->transports);
    engine_release(&self->engine);
    free_instance(object);
}

static bool begin(struct engine_object *self, const char *what)
{
    if (self->busy)
        PyErr_Format(PyExc_RuntimeError, "Engine.%s: the engine is open or running on another thread", what);
    else
        self->busy = true;
    return PyErr_Occurred() == NULL;
}

static PyObject *py_open(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    struct engine *engine = &self->engine;
    struct failure failure;
    bool good;
    if (self->opened || self->ran) {
        PyErr_SetString(PyExc_RuntimeError, "Engine.open: it was opened before; make a new Engine");
        return NULL;
    }
    if (!begin(self, "open"))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    good = (engine->block != NULL || engine_attach(engine, &failure)) &&
           transports_open(&self->transports, &engine->settings, engine->receive_buffer, &failure);
    Py_END_ALLOW_THREADS
    self->busy = false;
    self->opened = good;
    if (!good)
        return raise_failure(&failure);
    engine->transport = self->transports.chosen;
    BLOCK_SET(engine->block, timestamp_source, self->transports.stamping.clock);
    memcpy(engine->block->stamping, self->transports.stamping.why, sizeof engine->block->stamping);
    verbs_devices(&self->transports.verbs, engine->block->rdma);
    BLOCK_SET(engine->block, state, BLOCK_LOGIN);
    Py_RETURN_NONE;
}

static PyObject *py_connect(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    struct failure failure;
    bool good;
    if (!self->opened && self->ran) {
        failure_set(&failure, ECANCELED, "the engine has ended");
        return raise_failure(&failure);
    }
    if (!self->opened) {
        PyErr_SetString(PyExc_RuntimeError, "Engine.connect: call open() first");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    good = transports_connect(&self->transports, &self->engine.settings.orders, &failure);
    Py_END_ALLOW_THREADS
    return good ? Py_NewRef(Py_None) : raise_failure(&failure);
}

static PyObject *py_session(PyObject *object, PyObject *unused)
{
    static const char *const states[] = {"closed", "login", "settling", "live", "rejected", "again"};
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    const struct orders *orders = self->engine.orders;
    /* Connected, and the engine has not looked yet: the state is of the connection before. */
    if (atomic_load_explicit(&orders->logins, memory_order_acquire) != transports_connections(&self->transports))
        return Py_BuildValue("(ss)", "login", "");
    uint32_t state = atomic_load_explicit(&orders->state, memory_order_acquire);
    return Py_BuildValue("(ss)", states[state % 6], state == ORDERS_CLOSED || state == ORDERS_REJECTED ? orders->failure.text : "");
}

static PyObject *py_sync(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    struct failure failure;
    bool good = true;
    if (self->opened && self->engine.journal.map != NULL) {
        Py_BEGIN_ALLOW_THREADS
        good = journal_sync(&self->engine.journal, &failure);
        Py_END_ALLOW_THREADS
    }
    return good ? Py_NewRef(Py_None) : raise_failure(&failure);
}

static PyObject *py_ahead(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    if (self->opened) {
        Py_BEGIN_ALLOW_THREADS
        journal_ahead(&self->engine.journal);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

/* The engine takes its priority when stamps have been seen; that it may is tried now, while somebody waits for the answer. The
 * thread is an ordinary one again afterwards. */
static enum engine_reason run_with_priority(struct engine *engine, struct failure *failure)
{
    uint32_t priority = engine->settings.priority;
    struct sched_param before, wanted = {.sched_priority = (int)priority};
    int policy = sched_getscheduler(0);
    if (priority == 0)
        return engine_run(engine, true, failure);
    if (policy < 0 || sched_getparam(0, &before) != 0 || sched_setscheduler(0, SCHED_FIFO, &wanted) != 0 ||
        sched_setscheduler(0, policy, &before) != 0) {
        failure_set(failure, errno,
                    "engine.priority %u: cannot be had: %s; raise the limit of real-time priorities (systemd: LimitRTPRIO=%u and "
                    "RestrictRealtime=no, a shell: ulimit -r %u)",
                    priority, strerror(errno), priority, priority);
        return ENGINE_FAILED;
    }
    enum engine_reason reason = engine_run(engine, true, failure);
    sched_setscheduler(0, policy, &before);
    BLOCK_SET(engine->block, priority, 0);
    return reason;
}

/* Run on the CPU of the configuration, and give the thread its old CPUs back afterwards. */
static enum engine_reason run_pinned(struct engine *engine, struct failure *failure)
{
    cpu_set_t before, here;
    int32_t cpu = engine->settings.cpu;
    if (cpu < 0)
        return run_with_priority(engine, failure);
    CPU_ZERO(&here);
    CPU_SET(cpu, &here);
    if (sched_getaffinity(0, sizeof before, &before) != 0 || sched_setaffinity(0, sizeof here, &here) != 0) {
        failure_set(failure, errno == EINVAL ? ENODEV : errno, "engine.cpu %d: cannot run there: %s", cpu, strerror(errno));
        return ENGINE_FAILED;
    }
    enum engine_reason reason = run_with_priority(engine, failure);
    sched_setaffinity(0, sizeof before, &before);
    return reason;
}

/* Under a name that tells who looks at this process which of its threads trades (tickwire/bench/ticks.py). */
static enum engine_reason run_named(struct engine *engine, struct failure *failure)
{
    char before[16] = "";
    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, "tickwire-trade");
    enum engine_reason reason = run_pinned(engine, failure);
    prctl(PR_SET_NAME, before);
    return reason;
}

static PyObject *py_run(PyObject *object, PyObject *unused)
{
    static const char *const reasons[] = {"stopped", "end", NULL};
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    struct failure failure = {0};
    enum engine_reason reason;
    if (!begin(self, "run"))
        return NULL;
    if (!self->opened) {
        self->busy = false;
        PyErr_SetString(PyExc_RuntimeError, "Engine.run: call open() first");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    reason = run_named(&self->engine, &failure);
    Py_END_ALLOW_THREADS
    BLOCK_SET(self->engine.block, state, BLOCK_STOPPED);
    transports_close(&self->transports);
    memcpy(self->engine.block->stamping, self->transports.stamping.why, sizeof self->engine.block->stamping);
    self->opened = self->busy = false;
    self->ran = true;
    if (reason == ENGINE_FAILED)
        return raise_failure(&failure);
    return PyUnicode_FromString(reasons[reason]);
}

static PyObject *py_memory(PyObject *object, PyObject *unused)
{
    static const char *const pages[] = {"ordinary pages", "transparent hugepages", "reserved hugepages"};
    (void)unused;
    const struct arena *arena = &((struct engine_object *)object)->engine.arena;
    const char *text = arena->pages == ARENA_SMALL && arena->huge_bytes > 0 ? "hugepages in part" : pages[arena->pages];
    return Py_BuildValue("(Ks)", (unsigned long long)arena->capacity, text);
}

static PyObject *py_feed(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyUnicode_FromString(transports_feed_text(&((struct engine_object *)object)->transports));
}

static PyObject *py_rdma(PyObject *object, PyObject *unused)
{
    (void)unused;
    const struct verbs *verbs = &((struct engine_object *)object)->transports.verbs;
    return Py_BuildValue("(sO)", verbs->text, verbs->short_pages ? Py_True : Py_False);
}

static PyObject *py_problem(PyObject *object, PyObject *unused)
{
    (void)unused;
    char text[256];
    transports_problem(&((struct engine_object *)object)->transports, text, sizeof text);
    return PyUnicode_FromString(text);
}

static PyObject *py_stop(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct engine_object *self = (struct engine_object *)object;
    atomic_store(&self->engine.stop, true);
    transports_wake(&self->transports);
    Py_RETURN_NONE;
}

static PyMethodDef engine_object_methods[] = {
    {"open", py_open, METH_NOARGS, NULL},
    {"connect", py_connect, METH_NOARGS, NULL},
    {"session", py_session, METH_NOARGS, NULL},
    {"sync", py_sync, METH_NOARGS, NULL},
    {"ahead", py_ahead, METH_NOARGS, NULL},
    {"memory", py_memory, METH_NOARGS, NULL},
    {"feed", py_feed, METH_NOARGS, NULL},
    {"rdma", py_rdma, METH_NOARGS, NULL},
    {"problem", py_problem, METH_NOARGS, NULL},
    {"run", py_run, METH_NOARGS, NULL},
    {"stop", py_stop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_object_methods},
    {0, NULL},
};

PyType_Spec engine_spec = {"tickwire._core.Engine", sizeof(struct engine_object), 0, Py_TPFLAGS_DEFAULT, engine_slots};

/* --- in memory --- */

static PyObject *orders_of(const struct replay_transport *replay)
{
    PyObject *list = PyList_New(0);
    for (uint64_t at = 0; list != NULL && at < replay->orders.used;) {
        uint16_t length;
        memcpy(&length, replay->orders.bytes + at, sizeof length);
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)replay->orders.bytes + at + sizeof length, length);
        if (bytes == NULL || PyList_Append(list, bytes) != 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
        at += sizeof length + length;
    }
    return list;
}

static PyObject *books_of(const struct book *book)
{
    PyObject *books = PyDict_New();
    for (uint32_t locate = 0; books != NULL && locate < book->max_instruments; locate++) {
        if (book_level_count(book, locate, BOOK_BID) == 0 && book_level_count(book, locate, BOOK_ASK) == 0)
            continue;
        PyObject *bids = book_depth(book, (uint16_t)locate, BOOK_BID, PY_SSIZE_T_MAX);
        PyObject *asks = book_depth(book, (uint16_t)locate, BOOK_ASK, PY_SSIZE_T_MAX);
        PyObject *key = PyLong_FromUnsignedLong(locate);
        PyObject *both = bids != NULL && asks != NULL ? Py_BuildValue("(OO)", bids, asks) : NULL;
        if (key == NULL || both == NULL || PyDict_SetItem(books, key, both) != 0)
            Py_CLEAR(books);
        Py_XDECREF(bids);
        Py_XDECREF(asks);
        Py_XDECREF(key);
        Py_XDECREF(both);
    }
    return books;
}

/* Run the engine over `replay` and tell how it went. */
static PyObject *run_replay(PyObject *config, struct replay_transport *replay, bool with_books)
{
    struct engine_settings settings;
    struct engine *engine = calloc(1, sizeof *engine);
    struct failure failure;
    PyObject *result = NULL;
    if (engine == NULL)
        return PyErr_NoMemory();
    if (!settings_from_config(config, false, &settings)) {
        free(engine);
        return NULL;
    }
    settings.block_path[0] = settings.journal_path[0] = '\0'; /* nothing of it may touch what a running engine has */
    bool good;
    Py_BEGIN_ALLOW_THREADS
    good = engine_init(engine, &settings, &failure) && engine_attach(engine, &failure);
    Py_END_ALLOW_THREADS
    if (good) {
        uint64_t elapsed;
        replay->version = settings.orders.version;
        replay->buffer = engine->receive_buffer;
        engine->transport = replay_transport_interface(replay);
        Py_BEGIN_ALLOW_THREADS
        uint64_t start = clock_now();
        engine_run(engine, false, &failure);
        elapsed = clock_now() - start;
        Py_END_ALLOW_THREADS
        result = block_as_dict(engine->block);
        if (result != NULL && (put_item(result, "elapsed_ns", PyLong_FromUnsignedLongLong(elapsed)) != 0 ||
                               put_item(result, "orders", orders_of(replay)) != 0 ||
                               (with_books && put_item(result, "books", books_of(&engine->book)) != 0)))
            Py_CLEAR(result);
    } else {
        raise_failure(&failure);
    }
    engine_release(engine);
    free(engine);
    replay_transport_free(replay);
    return result;
}

static PyObject *py_process(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"config", "itch_buffer", "index", "messages_per_packet", NULL};
    (void)module;
    PyObject *config, *data, *index;
    unsigned long messages_per_packet = 1;
    Py_buffer data_buffer, index_buffer;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|$k:process", names, &config, &data, &index, &messages_per_packet))
        return NULL;
    if (messages_per_packet < 1 || messages_per_packet >= MOLD_END_OF_SESSION)
        return PyErr_Format(PyExc_ValueError, "process: messages_per_packet %lu must be 1 to 65534", messages_per_packet);
    if (!take_messages(data, index, &data_buffer, &index_buffer))
        return NULL;
    struct replay_transport replay = {.data = data_buffer.buf,
                                      .index = index_buffer.buf,
                                      .count = (uint64_t)index_buffer.len / 8,
                                      .messages_per_packet = (uint32_t)messages_per_packet};
    PyObject *result = run_replay(config, &replay, false);
    PyBuffer_Release(&data_buffer);
    PyBuffer_Release(&index_buffer);
    return result;
}

static PyObject *py_process_packets(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *config, *sequence, *result = NULL;
    if (!PyArg_ParseTuple(arguments, "OO:process_packets", &config, &sequence))
        return NULL;
    Py_ssize_t count = PySequence_Size(sequence), held = 0;
    if (count < 0)
        return NULL;
    Py_buffer *buffers = PyMem_Calloc((size_t)count + 1, sizeof *buffers);
    struct replay_packet *packets = PyMem_Calloc((size_t)count + 1, sizeof *packets);
    bool good = buffers != NULL && packets != NULL;
    if (!good)
        PyErr_NoMemory();
    for (; good && held < count; held += good) {
        PyObject *packet = PySequence_GetItem(sequence, held);
        good = packet != NULL && take_buffer(packet, &buffers[held]);
        Py_XDECREF(packet); /* the buffer keeps it */
        if (good && buffers[held].len > MOLD_PACKET_MAX) {
            PyErr_Format(PyExc_ValueError, "process_packets: packet %zd has %zd bytes, at most %d", held, buffers[held].len,
                         MOLD_PACKET_MAX);
            PyBuffer_Release(&buffers[held]);
            good = false;
        }
        if (good)
            packets[held] = (struct replay_packet){buffers[held].buf, (uint32_t)buffers[held].len};
    }
    if (good) {
        struct replay_transport replay = {.packets = packets, .count = (uint64_t)count};
        result = run_replay(config, &replay, true);
    }
    while (held-- > 0)
        PyBuffer_Release(&buffers[held]);
    PyMem_Free(buffers);
    PyMem_Free(packets);
    return result;
}

static PyObject *py_memory_needed(PyObject *module, PyObject *config)
{
    (void)module;
    struct engine_settings settings;
    return settings_from_config(config, false, &settings) ? PyLong_FromSize_t(engine_footprint(&settings)) : NULL;
}

PyMethodDef engine_methods[] = {
    {"memory_needed", py_memory_needed, METH_O, NULL},
    {"process", (PyCFunction)(void (*)(void))py_process, METH_VARARGS | METH_KEYWORDS, NULL},
    {"process_packets", py_process_packets, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

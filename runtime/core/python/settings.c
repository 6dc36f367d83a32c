/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration, read once at start. Python has checked it against the schema; here every value is checked again against what
 * the core can hold, because a wrong size must be a message and not a crash. */
#include "common.h"

#include "../clock.h"

struct section {
    const char *name;
    PyObject *values; /* NULL: left out, all defaults */
};

static bool open_section(PyObject *config, const char *name, struct section *section)
{
    section->name = name;
    section->values = PyMapping_GetItemString(config, name);
    if (section->values == NULL) {
        PyErr_Clear();
        return true;
    }
    if (PyMapping_Check(section->values) && !PyUnicode_Check(section->values) && !PyList_Check(section->values))
        return true;
    PyErr_Format(PyExc_ValueError, "%s: must be a table", name);
    Py_CLEAR(section->values);
    return false;
}

/* A new reference, or NULL without an error when left out. */
static PyObject *lookup(const struct section *section, const char *key)
{
    PyObject *value = section->values != NULL ? PyMapping_GetItemString(section->values, key) : NULL;
    PyErr_Clear();
    return value;
}

static bool get_integer(const struct section *section, const char *key, int64_t missing, int64_t least, int64_t most, int64_t *out)
{
    PyObject *value = lookup(section, key);
    *out = missing;
    if (value == NULL) {
        if (missing >= least && missing <= most)
            return true;
        PyErr_Format(PyExc_ValueError, "%s.%s: is missing", section->name, key);
        return false;
    }
    bool good = PyLong_Check(value) && !PyBool_Check(value);
    if (good) {
        *out = PyLong_AsLongLong(value);
        good = PyErr_Occurred() == NULL && *out >= least && *out <= most;
        PyErr_Clear();
    }
    if (!good)
        PyErr_Format(PyExc_ValueError, "%s.%s: %R must be an integer from %lld to %lld", section->name, key, value,
                     (long long)least, (long long)most);
    Py_DECREF(value);
    return good;
}

static bool get_text(const struct section *section, const char *key, const char *missing, char *out, size_t capacity)
{
    PyObject *value = lookup(section, key);
    if (value == NULL) {
        if (missing == NULL)
            PyErr_Format(PyExc_ValueError, "%s.%s: is missing", section->name, key);
        else
            snprintf(out, capacity, "%s", missing);
        return missing != NULL;
    }
    Py_ssize_t length = 0;
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &length) : NULL;
    bool good = text != NULL && (size_t)length < capacity && strlen(text) == (size_t)length;
    for (Py_ssize_t i = 0; good && i < length; i++)
        good = text[i] >= ' ' && text[i] <= '~';
    if (good) {
        memcpy(out, text, (size_t)length + 1);
    } else {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s.%s: %R must be ASCII text of at most %zd characters", section->name, key, value,
                     (Py_ssize_t)capacity - 1);
    }
    Py_DECREF(value);
    return good;
}

static bool get_flag(const struct section *section, const char *key, bool missing, bool *out)
{
    PyObject *value = lookup(section, key);
    *out = missing;
    if (value == NULL)
        return true;
    bool good = PyBool_Check(value);
    if (good)
        *out = value == Py_True;
    else
        PyErr_Format(PyExc_ValueError, "%s.%s: %R must be true or false", section->name, key, value);
    Py_DECREF(value);
    return good;
}

static bool get_number(const struct section *section, const char *key, double missing, double least, double most, double *out)
{
    PyObject *value = lookup(section, key);
    *out = missing;
    if (value == NULL)
        return true;
    *out = PyFloat_AsDouble(value);
    bool good = PyErr_Occurred() == NULL && *out >= least && *out <= most;
    PyErr_Clear();
    if (!good)
        PyErr_Format(PyExc_ValueError, "%s.%s: %R is outside its range", section->name, key, value);
    Py_DECREF(value);
    return good;
}

/* The number of the word `key` has among `names`, of which the first is meant when it is left out; -1 with an error set. */
static int get_word(const struct section *section, const char *key, const char *const *names, uint32_t count, const char *wrong)
{
    char name[16];
    if (!get_text(section, key, names[0], name, sizeof name))
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    PyErr_Format(PyExc_ValueError, "%s.%s: \"%s\" %s", section->name, key, name, wrong);
    return -1;
}

#define KIND(kind) (1u << (kind))

/* `known`: a bit for each kind this side has. */
static bool get_transport(const struct section *section, uint32_t known, enum transport_kind *out)
{
    static const char *const names[] = {"socket", "xdp", "verbs"}; /* by enum transport_kind */
    int found = get_word(section, "transport", names, 3, "is no transport");
    if (found >= 0 && (known >> found & 1) == 0)
        PyErr_Format(PyExc_ValueError, "%s.transport: \"%s\" is none that this side has", section->name, names[found]);
    *out = found >= 0 ? (enum transport_kind)found : TRANSPORT_SOCKET;
    return PyErr_Occurred() == NULL;
}

const char *const stamping_wishes[STAMPING_WISHES] = {"auto", "hardware", "software", "none"};

static bool get_timestamps(const struct section *section, enum stamping_wish *out)
{
    int found = get_word(section, "timestamps", stamping_wishes, STAMPING_WISHES, "must be \"auto\", \"hardware\", \"software\" or \"none\"");
    *out = found >= 0 ? (enum stamping_wish)found : STAMPING_AUTO;
    return found >= 0;
}

static bool get_xdp_mode(const struct section *section, enum xdp_mode *out)
{
    static const char *const names[] = {"auto", "zerocopy", "copy", "generic"}; /* by enum xdp_mode */
    char name[12];
    if (!get_text(section, "xdp_mode", "auto", name, sizeof name))
        return false;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum xdp_mode)i;
            return true;
        }
    PyErr_Format(PyExc_ValueError, "feed.xdp_mode: \"%s\" must be auto, zerocopy, copy or generic", name);
    return false;
}

/* A list of receive queues as bits. */
static bool get_queues(const struct section *section, uint64_t *out)
{
    PyObject *list = lookup(section, "xdp_queues");
    Py_ssize_t count = list == NULL ? 0 : PySequence_Size(list);
    bool good = count >= 0;
    *out = 0;
    for (Py_ssize_t i = 0; good && i < count; i++) {
        PyObject *item = PySequence_GetItem(list, i);
        long queue = item != NULL && PyLong_Check(item) ? PyLong_AsLong(item) : -1;
        Py_XDECREF(item);
        good = queue >= 0 && queue < 64;
        if (good)
            *out |= (uint64_t)1 << queue;
    }
    if (!good) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "feed.xdp_queues: %R must be a list of receive queues from 0 to 63", list);
    }
    Py_XDECREF(list);
    return good;
}

static bool read_engine(const struct section *s, struct engine_settings *to)
{
    int64_t cpu, priority, idle_ms, orders, instruments, samples, records;
    if (!get_text(s, "name", "t2t", to->name, sizeof to->name) ||
        !get_text(s, "block", "", to->block_path, sizeof to->block_path) ||
        !get_text(s, "journal", "", to->journal_path, sizeof to->journal_path) ||
        !get_text(s, "journal_name", "journal", to->journal_name, sizeof to->journal_name) ||
        !get_integer(s, "journal_records", 1 << 20, 16, JOURNAL_RECORDS_LIMIT, &records) ||
        !get_flag(s, "warm_send", true, &to->warm_send) || !get_integer(s, "cpu", -1, -1, 1023, &cpu) ||
        !get_integer(s, "priority", 0, 0, 99, &priority) || !get_timestamps(s, &to->timestamps) ||
        !get_integer(s, "idle_after_ms", 0, 0, 3600000, &idle_ms) ||
        !get_integer(s, "max_orders", 1048576, 1, BOOK_ORDERS_LIMIT, &orders) ||
        !get_integer(s, "max_instruments", 16384, 1, BOOK_INSTRUMENTS_LIMIT, &instruments) ||
        !get_integer(s, "max_samples", 262144, 1, BLOCK_SAMPLES_LIMIT, &samples))
        return false;
    to->journal_records = (uint32_t)records;
    to->cpu = (int32_t)cpu;
    to->priority = (uint32_t)priority;
    to->idle_after_ns = (uint64_t)idle_ms * NS_PER_MS;
    to->max_orders = (uint32_t)orders;
    to->max_instruments = (uint32_t)instruments;
    to->max_samples = (uint32_t)samples;
    return true;
}

static bool read_feed(const struct section *s, bool network, struct feed_settings *to)
{
    const char *missing = network ? NULL : "";
    int64_t port, port_b, request_port, busy_poll_us, busy_poll_budget, request_ms, gap_ms, silent_ms, keep, gateway_port;
    if (!get_transport(s, KIND(TRANSPORT_SOCKET) | KIND(TRANSPORT_XDP) | KIND(TRANSPORT_VERBS), &to->transport) ||
        !get_text(s, "group", missing, to->group, sizeof to->group) ||
        !get_text(s, "interface", missing, to->interface, sizeof to->interface) ||
        !get_text(s, "source", "", to->source, sizeof to->source) ||
        !get_text(s, "group_b", "", to->group_b, sizeof to->group_b) ||
        !get_text(s, "interface_b", "", to->interface_b, sizeof to->interface_b) ||
        !get_text(s, "source_b", "", to->source_b, sizeof to->source_b) ||
        !get_text(s, "request_host", "", to->request_host, sizeof to->request_host) ||
        !get_text(s, "gateway", "", to->gateway, sizeof to->gateway) ||
        !get_integer(s, "gateway_port", 26404, 1, 65535, &gateway_port) ||
        !get_integer(s, "port", network ? 0 : 1, 1, 65535, &port) || !get_integer(s, "port_b", 26410, 1, 65535, &port_b) ||
        !get_integer(s, "request_port", 26403, 1, 65535, &request_port) ||
        !get_integer(s, "busy_poll_us", 50, 0, 1000000, &busy_poll_us) ||
        !get_integer(s, "busy_poll_budget", 0, 0, 65535, &busy_poll_budget) || !get_xdp_mode(s, &to->xdp_mode) ||
        !get_queues(s, &to->xdp_queues) || !get_text(s, "xdp_program", "", to->xdp_program, sizeof to->xdp_program) ||
        !get_integer(s, "request_ms", 20, 1, 10000, &request_ms) || !get_integer(s, "gap_timeout_ms", 200, 0, 60000, &gap_ms) ||
        !get_integer(s, "silent_ms", 5000, 0, 600000, &silent_ms) || !get_integer(s, "keep_packets", 1024, 1, 65536, &keep))
        return false;
    to->port = (uint16_t)port;
    to->port_b = (uint16_t)port_b;
    to->request_port = (uint16_t)request_port;
    to->gateway_port = (uint16_t)gateway_port;
    to->busy_poll_us = (uint32_t)busy_poll_us;
    to->busy_poll_budget = (uint32_t)busy_poll_budget;
    /* In memory no other line and no re-request server will ever close a gap: declared at once. */
    to->policy = (struct feed_policy){.gap_timeout_ms = network ? (uint32_t)gap_ms : 0,
                                      .request_ms = (uint32_t)request_ms,
                                      .silent_ms = network ? (uint32_t)silent_ms : 0,
                                      .keep_packets = (uint32_t)keep,
                                      .request = network && to->request_host[0] != '\0',
                                      .strict_join = true};
    return true;
}

static bool read_orders(const struct section *s, bool network, struct orders_settings *to)
{
    const char *missing = network ? NULL : "";
    char version[8];
    int64_t port, heartbeat_ms, tos;
    if (!get_transport(s, KIND(TRANSPORT_SOCKET) | KIND(TRANSPORT_VERBS), &to->transport) || !get_text(s, "host", missing, to->host, sizeof to->host) ||
        !get_text(s, "interface", "", to->interface, sizeof to->interface) ||
        !get_text(s, "username", missing, to->username, sizeof to->username) ||
        !get_text(s, "password", missing, to->password, sizeof to->password) ||
        !get_text(s, "session", "", to->session, sizeof to->session) || !get_text(s, "firm", "", to->firm, sizeof to->firm) ||
        !get_text(s, "version", "5.0", version, sizeof version) ||
        !get_integer(s, "port", network ? 0 : 1, 1, 65535, &port) ||
        !get_integer(s, "heartbeat_ms", 1000, 50, 15000, &heartbeat_ms) || !get_integer(s, "tos", 104, 0, 255, &tos))
        return false;
    if (strcmp(version, "5.0") != 0 && strcmp(version, "4.2") != 0) {
        PyErr_Format(PyExc_ValueError, "orders.version: \"%s\" must be \"5.0\" or \"4.2\"", version);
        return false;
    }
    to->version = version[0] == '4' ? OUCH_42 : OUCH_50;
    to->port = (uint16_t)port;
    to->heartbeat_ms = (uint32_t)heartbeat_ms;
    to->tos = (uint8_t)tos;
    return true;
}

static bool read_verbs(const struct section *s, struct verbs_settings *to)
{
    int64_t version, index, mtu;
    if (!get_integer(s, "roce_version", 2, 1, 2, &version) || !get_integer(s, "gid_index", -1, -1, 255, &index) ||
        !get_integer(s, "mtu", 0, 0, 4096, &mtu) ||
        !get_flag(s, "hugepages", true, &to->hugepages))
        return false;
    to->roce_version = (uint8_t)version;
    to->gid_index = (int32_t)index;
    to->mtu = (uint16_t)mtu;
    return true;
}

static bool read_strategy(const struct section *s, struct engine_settings *to)
{
    if (!strategy_from_table(s->values, to->max_instruments, &to->strategy, &to->strategy_settings))
        return false;
    PyObject *file = lookup(s, "file");
    const char *path = file != NULL && PyUnicode_Check(file) ? PyUnicode_AsUTF8AndSize(file, NULL) : NULL;
    PyErr_Clear();
    const char *name = path != NULL && to->strategy == &tw_strategy_user ? strrchr(path, '/') : NULL;
    name = name != NULL ? name + 1 : to->strategy == &tw_strategy_user && path != NULL ? path : to->strategy->name;
    snprintf(to->strategy_name, sizeof to->strategy_name, "%s", name);
    Py_XDECREF(file);
    return true;
}

static bool read_risk(const struct section *s, struct engine_settings *to)
{
    int64_t max_size, collar_bps, max_position, max_open, rate, duplicate_ms;
    double notional_usd;
    if (!get_integer(s, "max_size", 1000, 1, 999999, &max_size) ||
        !get_number(s, "max_notional_usd", 1e6, 0.0001, 1e12, &notional_usd) ||
        !get_integer(s, "collar_bps", 500, 0, 1000000, &collar_bps) ||
        !get_integer(s, "max_position", 100000, 1, 1000000000, &max_position) ||
        !get_integer(s, "max_open_orders", 1000, 1, 1 << 20, &max_open) ||
        !get_integer(s, "max_orders_per_s", 10000, 1, 1 << 30, &rate) ||
        !get_integer(s, "duplicate_ms", 0, 0, 60000, &duplicate_ms))
        return false;
    to->risk_limits = (struct risk_limits){.max_notional = (uint64_t)(notional_usd * 10000.0 + 0.5),
                                           .max_size = (uint32_t)max_size,
                                           .collar_bps = (uint32_t)collar_bps,
                                           .max_position = (uint32_t)max_position,
                                           .max_open_orders = (uint32_t)max_open,
                                           .max_orders_per_s = (uint32_t)rate,
                                           .duplicate_ms = (uint32_t)duplicate_ms};
    PyObject *restricted = lookup(s, "restricted");
    int32_t count = restricted == NULL ? 0 : symbols_from_list(restricted, to->restricted);
    Py_XDECREF(restricted);
    to->restricted_count = count < 0 ? 0 : (uint32_t)count;
    return count >= 0;
}

bool settings_from_config(PyObject *config, bool network, struct engine_settings *settings)
{
    static const char *const names[] = {"engine", "feed", "orders", "strategy", "risk", "verbs"};
    struct section sections[6] = {0};
    memset(settings, 0, sizeof *settings);
    if (!PyMapping_Check(config)) {
        PyErr_SetString(PyExc_TypeError, "config must be a mapping of tables");
        return false;
    }
    bool good = true;
    for (int i = 0; good && i < 6; i++)
        good = open_section(config, names[i], &sections[i]);
    good = good && read_engine(&sections[0], settings) && read_feed(&sections[1], network, &settings->feed) &&
           read_orders(&sections[2], network, &settings->orders) && read_strategy(&sections[3], settings) &&
           read_risk(&sections[4], settings) && read_verbs(&sections[5], &settings->verbs);
    for (int i = 0; i < 6; i++)
        Py_XDECREF(sections[i].values);
    return good;
}

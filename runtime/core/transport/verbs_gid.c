/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs_gid.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 512
#define GIDS_MOST 256 /* of a port; the tables of network cards have up to this many */
#define TABLE_BYTES 176

struct search {
    const char *sysfs;
    uint8_t wanted[16];
    const struct verbs_settings *settings;
    struct verbs_gid *found;
    bool good;
    struct verbs_gid other; /* the same GID of the other version, or at another index than the one asked for; version 0: none */
    char table[TABLE_BYTES];
    size_t told;
};

static bool read_text(char *text, size_t capacity, const char *format, const char *a, const char *b, unsigned c)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, format, a, b, c);
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fgets(text, (int)capacity, file) != NULL; /* an unused entry answers EINVAL */
    if (file != NULL)
        fclose(file);
    text[good ? strcspn(text, "\n") : 0] = '\0';
    return good;
}

static bool is_zero(const uint8_t gid[16])
{
    static const uint8_t zero[16];
    return memcmp(gid, zero, sizeof zero) == 0;
}

static uint8_t version_of(const char *type)
{
    return strcmp(type, "RoCE v2") == 0 ? 2 : strcmp(type, "IB/RoCE v1") == 0 ? 1 : 0;
}

/* What is at an index, for people: the GID and its type, or "unused". */
static void tell_entry(char *text, size_t capacity, const char *port_path, unsigned index)
{
    char gid[64], type[32], shown[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (!read_text(gid, sizeof gid, "%s/%s/%u", port_path, "gids", index) || inet_pton(AF_INET6, gid, bytes) != 1 || is_zero(bytes)) {
        snprintf(text, capacity, "unused");
        return;
    }
    read_text(type, sizeof type, "%s/%s/%u", port_path, "gid_attrs/types", index);
    snprintf(text, capacity, "%s %s", inet_ntop(AF_INET6, bytes, shown, sizeof shown), type);
}

static void look_at(struct search *search, const char *port_path, const char *device, uint8_t port, unsigned index)
{
    char text[64], type[32] = "", netdev[sizeof search->other.netdev] = "";
    struct verbs_gid gid = {.port = port, .index = (uint8_t)index};
    if (!read_text(text, sizeof text, "%s/%s/%u", port_path, "gids", index) || inet_pton(AF_INET6, text, gid.bytes) != 1 ||
        is_zero(gid.bytes))
        return;
    read_text(type, sizeof type, "%s/%s/%u", port_path, "gid_attrs/types", index);
    read_text(netdev, sizeof netdev, "%s/%s/%u", port_path, "gid_attrs/ndevs", index);
    snprintf(gid.device, sizeof gid.device, "%s", device);
    memcpy(gid.netdev, netdev, sizeof netdev);
    char shown[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, gid.bytes, shown, sizeof shown);
    if (search->told < TABLE_BYTES)
        search->told += (size_t)snprintf(search->table + search->told, TABLE_BYTES - search->told, "%s%s/%u index %u %s %s",
                                         search->told > 0 ? ", " : "", device, port, index, shown, type);
    gid.version = version_of(type);
    int32_t asked = search->settings->gid_index;
    bool same = memcmp(gid.bytes, search->wanted, sizeof gid.bytes) == 0;
    if (same && gid.version == search->settings->roce_version && (asked < 0 || asked == (int32_t)index) && !search->good) {
        *search->found = gid;
        search->good = true;
    } else if (same && gid.version != 0 && search->other.version != search->settings->roce_version) { /* the right version says more */
        search->other = gid;
    }
}

static void each(const char *path, void (*visit)(struct search *, const char *, const char *), struct search *search,
                 const char *context)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.')
            visit(search, context, names[i]->d_name);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

static void visit_port(struct search *search, const char *device, const char *port)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%.64s/ports/%.8s", search->sysfs, device, port);
    for (unsigned index = 0; index < GIDS_MOST; index++)
        look_at(search, path, device, (uint8_t)atoi(port), index);
}

static void visit_device(struct search *search, const char *unused, const char *device)
{
    (void)unused;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%.64s/ports", search->sysfs, device);
    each(path, visit_port, search, device);
}

bool verbs_gid_is_at(const char *sysfs, const struct verbs_gid *gid, unsigned index)
{
    char path[PATH_BYTES], text[64], type[32];
    uint8_t bytes[16];
    snprintf(path, sizeof path, "%s/%s/ports/%u", sysfs, gid->device, gid->port);
    return read_text(text, sizeof text, "%s/%s/%u", path, "gids", index) && inet_pton(AF_INET6, text, bytes) == 1 &&
           memcmp(bytes, gid->bytes, sizeof bytes) == 0 && read_text(type, sizeof type, "%s/%s/%u", path, "gid_attrs/types", index) &&
           version_of(type) == gid->version;
}

const char *verbs_section(const char *key)
{
    return strncmp(key, "rdma.", 5) == 0 ? "rdma" : "verbs";
}

bool verbs_find_gid(const char *sysfs, const char *key, struct in_addr address, const struct verbs_settings *settings,
                    struct verbs_gid *found, struct failure *failure)
{
    char shown[INET_ADDRSTRLEN];
    struct search search = {.sysfs = sysfs, .settings = settings, .found = found};
    search.wanted[10] = search.wanted[11] = 0xff;
    memcpy(search.wanted + 12, &address, 4);
    inet_ntop(AF_INET, &address, shown, sizeof shown);
    each(sysfs, visit_device, &search, NULL);
    if (search.good)
        return true;
    if (search.told == 0)
        return failure_set(failure, ENODEV,
                           "%s %s: there is no RDMA device with a GID here (`rdma link show`); load the network card's driver, or for "
                           "Soft-RoCE: rdma link add rxe0 type rxe netdev IF",
                           key, shown);
    const struct verbs_gid *other = &search.other;
    const char *section = verbs_section(key);
    if (other->version == 0)
        return failure_set(failure, ENODEV,
                           "%s %s: no RDMA device has its GID; there are: %s; give the device's network interface that address, or "
                           "correct %s",
                           key, shown, search.table, key);
    if (other->version != settings->roce_version)
        return failure_set(failure, ENODEV,
                           "%s.roce_version %u: %s has the GID of %s %s as RoCE v%u only (index %u); correct %s.roce_version, or the "
                           "device's RoCE mode",
                           section, settings->roce_version, other->device, key, shown, other->version, other->index, section);
    char port_path[PATH_BYTES], entry[96];
    snprintf(port_path, sizeof port_path, "%s/%s/ports/%u", sysfs, other->device, other->port);
    tell_entry(entry, sizeof entry, port_path, (unsigned)settings->gid_index);
    return failure_set(failure, ENODEV,
                       "%s.gid_index %d of %s is %s, not the RoCE v%u GID of %s %s: that is index %u; correct %s.gid_index, or leave it "
                       "out",
                       section, settings->gid_index, other->device, entry, settings->roce_version, key, shown, other->index, section);
}

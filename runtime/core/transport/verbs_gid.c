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
    struct verbs_gid other; /* the same GID of the other version, or at another index than the one asked for */
    uint8_t other_version;  /* 0: there is none */
    char at_index[96];      /* what is at the index asked for, "" for nothing */
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
    uint8_t version = version_of(type);
    int32_t asked = search->settings->gid_index;
    bool same = memcmp(gid.bytes, search->wanted, sizeof gid.bytes) == 0;
    if ((int32_t)index == asked)
        snprintf(search->at_index, sizeof search->at_index, "%s (%s)", shown, type);
    if (same && version == search->settings->roce_version && (asked < 0 || asked == (int32_t)index) && !search->good) {
        *search->found = gid;
        search->good = true;
    } else if (same && version != 0 && search->other_version != search->settings->roce_version) { /* the right version says more */
        search->other = gid;
        search->other_version = version;
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
    if (search.other_version == 0)
        return failure_set(failure, ENODEV,
                           "%s %s: no RDMA device has its GID; there are: %s; give the device's network interface that address, or "
                           "correct %s",
                           key, shown, search.table, key);
    if (search.other_version != settings->roce_version)
        return failure_set(failure, ENODEV,
                           "verbs.roce_version %u: %s has the GID of %s %s as RoCE v%u only (index %u); correct verbs.roce_version, or "
                           "the device's RoCE mode",
                           settings->roce_version, search.other.device, key, shown, search.other_version, search.other.index);
    return failure_set(failure, ENODEV,
                       "verbs.gid_index %d is %s, not the GID of %s %s: that is index %u of %s; correct verbs.gid_index, or leave it "
                       "out",
                       settings->gid_index, search.at_index[0] != '\0' ? search.at_index : "unused", key, shown, search.other.index,
                       search.other.device);
}

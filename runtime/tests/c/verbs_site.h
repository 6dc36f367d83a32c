/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the verbs transport share: the double of the libraries beside the test program, and a directory as sysfs has one,
 * in which the device "double0" has the GIDs of 127.0.0.1 (index 1, RoCE v2; index 2, RoCE v1) and a link-local one (index 0), and,
 * for who wants a second device, "double1" that of 127.0.0.2 (index 1, RoCE v2). */
#ifndef TICKWIRE_TESTS_VERBS_SITE_H
#define TICKWIRE_TESTS_VERBS_SITE_H

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "transport/verbs_library.h"
#include "verbs_double.h"

static char site_sysfs[] = "/tmp/tickwire-verbs-XXXXXX", site_library[PATH_MAX];
static struct verbs_places places;
static struct verbs_double *twin_of_rdma;

static void site_write(const char *folder, const char *name, const char *text)
{
    char path[256], command[320];
    snprintf(command, sizeof command, "mkdir -p %s/%s", site_sysfs, folder);
    CHECK(system(command) == 0);
    snprintf(path, sizeof path, "%s/%s/%s", site_sysfs, folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void site_gid(const char *index, const char *gid, const char *type)
{
    site_write("double0/ports/1/gids", index, gid);
    site_write("double0/ports/1/gid_attrs/types", index, type);
    site_write("double0/ports/1/gid_attrs/ndevs", index, "dbl0\n");
}

static inline void site_second_device(void)
{
    site_write("double1/ports/1/gids", "1", "0000:0000:0000:0000:0000:ffff:7f00:0002\n");
    site_write("double1/ports/1/gid_attrs/types", "1", "RoCE v2\n");
    site_write("double1/ports/1/gid_attrs/ndevs", "1", "dbl1\n");
}

static void site_open(const char *program)
{
    char itself[PATH_MAX];
    CHECK(mkdtemp(site_sysfs) != NULL);
    site_gid("0", "fe80:0000:0000:0000:0000:0000:0000:0001\n", "RoCE v2\n");
    site_gid("1", "0000:0000:0000:0000:0000:ffff:7f00:0001\n", "RoCE v2\n");
    site_gid("2", "0000:0000:0000:0000:0000:ffff:7f00:0001\n", "IB/RoCE v1\n");
    site_gid("3", "0000:0000:0000:0000:0000:0000:0000:0000\n", "");
    snprintf(itself, sizeof itself, "%s", program);
    snprintf(site_library, sizeof site_library, "%s/verbs_double.so", dirname(itself));
    places = (struct verbs_places){site_library, site_library, site_sysfs};
    void *kept = dlopen(site_library, RTLD_NOW | RTLD_LOCAL); /* so that what it counts outlives a transport */
    CHECK(kept != NULL);
    twin_of_rdma = dlsym(kept, "verbs_double");
    CHECK(twin_of_rdma != NULL);
    twin_of_rdma->sgid_index = 1;
}

static void site_close(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", site_sysfs);
    CHECK(system(command) == 0);
}

#endif

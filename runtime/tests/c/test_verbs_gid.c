/* SPDX-License-Identifier: Apache-2.0
 *
 * The GID an interface stands for, by tables as sysfs has them, and what the libraries and devices that are not there are told with. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/resource.h>

#include "transport/verbs_device.h"
#include "verbs_site.h"

static struct failure failure;

static bool find(const char *address, uint8_t version, int32_t index, struct verbs_gid *found)
{
    struct in_addr at;
    struct verbs_settings settings = {.roce_version = version, .gid_index = index};
    CHECK(inet_pton(AF_INET, address, &at) == 1);
    memset(found, 0, sizeof *found);
    return verbs_find_gid(site_sysfs, "feed.interface", at, &settings, found, &failure);
}

static bool says(int code, const char *text)
{
    return failure.code == code && strstr(failure.text, text) != NULL;
}

static void test_found(void)
{
    struct verbs_gid gid;
    CHECK(find("127.0.0.1", 2, -1, &gid) && gid.index == 1 && gid.port == 1 && strcmp(gid.device, "double0") == 0);
    CHECK(strcmp(gid.netdev, "dbl0") == 0 && gid.bytes[10] == 0xff && gid.bytes[15] == 1);
    CHECK(find("127.0.0.1", 1, -1, &gid) && gid.index == 2);
    CHECK(find("127.0.0.1", 2, 1, &gid) && gid.index == 1);
}

static void test_refused(void)
{
    struct verbs_gid gid;
    CHECK(!find("127.0.0.2", 2, -1, &gid) && says(ENODEV, "no RDMA device has its GID; there are: double0/1 index 0 fe80::1 RoCE v2"));
    CHECK(!find("127.0.0.1", 2, 0, &gid) && says(ENODEV, "verbs.gid_index 0 of double0 is fe80::1 RoCE v2"));
    CHECK(!find("127.0.0.1", 2, 3, &gid) && says(ENODEV, "verbs.gid_index 3 of double0 is unused"));
    CHECK(!find("127.0.0.1", 2, 200, &gid) && says(ENODEV, "verbs.gid_index 200 of double0 is unused"));
    CHECK(!find("127.0.0.1", 2, 2, &gid) && says(ENODEV, "verbs.gid_index 2 of double0 is ::ffff:127.0.0.1 IB/RoCE v1, not the RoCE v2 GID"));
    CHECK(says(ENODEV, "that is index 1; correct verbs.gid_index, or leave it out"));
    site_gid("2", "0000:0000:0000:0000:0000:0000:0000:0000\n", "");
    CHECK(!find("127.0.0.1", 1, -1, &gid) && says(ENODEV, "verbs.roce_version 1: double0 has the GID") && says(ENODEV, "as RoCE v2 only"));
    char before = site_sysfs[5];
    site_sysfs[5] = 'X'; /* nowhere */
    CHECK(!find("127.0.0.1", 2, -1, &gid) && says(ENODEV, "there is no RDMA device"));
    site_sysfs[5] = before;
}

static void test_libraries(void)
{
    struct verbs_library library;
    struct verbs_places nowhere = places;
    nowhere.rdmacm = "libtickwire-is-not-there.so.1";
    CHECK(!verbs_library_open(&library, &nowhere, &failure) && says(ENOENT, "install Debian's librdmacm1"));
    nowhere = places;
    nowhere.ibverbs = "libtickwire-is-not-there.so.1";
    CHECK(!verbs_library_open(&library, &nowhere, &failure) && says(ENOENT, "libibverbs1"));
    nowhere.ibverbs = "libc.so.6"; /* a library, without what is needed */
    CHECK(!verbs_library_open(&library, &nowhere, &failure) && says(ENOSYS, "libc.so.6 has no ibv_"));
}

/* The index of a device is judged by that device's table, whatever others have there. */
static void test_two_devices(void)
{
    struct verbs_gid gid;
    site_write("double1/ports/1/gids", "0", "0000:0000:0000:0000:0000:ffff:0a00:0001\n");
    site_write("double1/ports/1/gid_attrs/types", "0", "RoCE v2\n");
    CHECK(find("127.0.0.1", 2, -1, &gid) && strcmp(gid.device, "double0") == 0);
    CHECK(find("10.0.0.1", 2, 0, &gid) && strcmp(gid.device, "double1") == 0 && gid.version == 2);
    CHECK(!find("127.0.0.1", 2, 0, &gid) && says(ENODEV, "verbs.gid_index 0 of double0 is fe80::1 RoCE v2"));
    char command[128];
    snprintf(command, sizeof command, "rm -r %s/double1", site_sysfs);
    CHECK(system(command) == 0);
}

static struct verbs_settings wanted = {.roce_version = 2, .gid_index = -1};

static bool open_device(struct verbs_device *device, struct verbs_library *library, struct rdma_event_channel *channel)
{
    static uint8_t memory[4096];
    return verbs_device_open(device, library, site_sysfs, channel, "feed.interface", "127.0.0.1", &wanted, memory, sizeof memory, &failure);
}

static void test_devices(void)
{
    struct verbs_library library;
    struct verbs_device device;
    CHECK(verbs_library_open(&library, &places, &failure));
    struct rdma_event_channel *channel = verbs_channel(&library, &failure);
    CHECK(channel != NULL);
    twin_of_rdma->no_device = 1;
    CHECK(!open_device(&device, &library, channel) && says(ENODEV, "the RDMA connection manager cannot use it"));
    twin_of_rdma->no_device = 0;
    twin_of_rdma->port_down = 1;
    CHECK(!open_device(&device, &library, channel) && says(ENETDOWN, "ip link show dbl0"));
    twin_of_rdma->port_down = 0;
    twin_of_rdma->memory_errno = ENOMEM;
    CHECK(!open_device(&device, &library, channel) && says(EPERM, "4 kB of memory cannot be registered"));
    struct rlimit before, limit;
    CHECK(getrlimit(RLIMIT_MEMLOCK, &before) == 0);
    limit = before;
    limit.rlim_cur = 2048;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK(!open_device(&device, &library, channel) && says(EPERM, "4 kB of memory cannot be registered: "));
    CHECK(says(EPERM, "RLIMIT_MEMLOCK is 2 kB, for this, the queues and other devices: raise it to unlimited (roce_host_limits.memlock, "));
    CHECK(setrlimit(RLIMIT_MEMLOCK, &before) == 0);
    twin_of_rdma->memory_errno = 0;
    CHECK(open_device(&device, &library, channel) && device.mtu == 4096);
    verbs_device_close(&device);
    wanted.mtu = 4096;
    CHECK(open_device(&device, &library, channel));
    verbs_device_close(&device);
    wanted.mtu = 2048; /* above or below: the other end has the intent's */
    CHECK(!open_device(&device, &library, channel) && says(EMSGSIZE, "the RDMA MTU of double0 port 1 is 4096, verbs.mtu wants 2048"));
    CHECK(says(EMSGSIZE, "see `ip link show dbl0`: its MTU has to be the intent's (fabric.mtu.host)"));
    wanted.mtu = 0;
    library.destroy_event_channel(channel);
    CHECK(twin_of_rdma->objects == 1);
    verbs_library_close(&library);
}

int main(int argc, char **argv)
{
    (void)argc;
    site_open(argv[0]);
    test_found();
    test_refused();
    test_two_devices();
    test_libraries();
    test_devices();
    site_close();
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void ask_driver(struct netdev *netdev)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    netdev->receive_queues = 1; /* what a driver has that does not tell */
    netdev->mtu = 0;
    if (fd < 0)
        return;
    memcpy(request.ifr_name, netdev->name, sizeof request.ifr_name);
    if (ioctl(fd, SIOCGIFMTU, &request) == 0)
        netdev->mtu = (uint32_t)request.ifr_mtu;
    request.ifr_data = (char *)&channels;
    if (ioctl(fd, SIOCETHTOOL, &request) == 0 && channels.rx_count + channels.combined_count > 0)
        netdev->receive_queues = channels.rx_count + channels.combined_count;
    close(fd);
}

bool netdev_of(struct netdev *netdev, struct in_addr address, const char *key, struct failure *failure)
{
    struct ifaddrs *all, *one;
    char text[INET_ADDRSTRLEN];
    if (getifaddrs(&all) != 0)
        return failure_set(failure, errno, "the interfaces of this machine cannot be listed: %s", strerror(errno));
    memset(netdev, 0, sizeof *netdev);
    for (one = all; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET ||
            ((struct sockaddr_in *)one->ifa_addr)->sin_addr.s_addr != address.s_addr)
            continue;
        snprintf(netdev->name, sizeof netdev->name, "%.*s", (int)strcspn(one->ifa_name, ":"), one->ifa_name); /* not the label */
        break;
    }
    freeifaddrs(all);
    netdev->index = netdev->name[0] != '\0' ? (int)if_nametoindex(netdev->name) : 0;
    if (netdev->index == 0)
        return failure_set(failure, ENODEV, "%s %s: no interface of this machine has that address; see `ip -4 addr`", key,
                           inet_ntop(AF_INET, &address, text, sizeof text));
    ask_driver(netdev);
    return true;
}

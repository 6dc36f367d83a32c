/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* linux/netdev.h, which Debian 12 does not have. */
#define NETDEV "netdev"
#define DEV_GET 1           /* NETDEV_CMD_ */
#define DEV_IFINDEX 1       /* NETDEV_A_ */
#define DEV_RX_METADATA 5   /* NETDEV_A_DEV_XDP_RX_METADATA_FEATURES, 64 bits */
#define METADATA_STAMP 1u   /* NETDEV_XDP_RX_METADATA_TIMESTAMP */

struct question {
    struct nlmsghdr header;
    struct genlmsghdr generic;
    struct nlattr attribute; /* one */
    uint8_t value[GENL_NAMSIZ];
};

struct answer {
    _Alignas(struct nlmsghdr) uint8_t bytes[4096];
};

/* Ask a family of the kernel; copy the attribute `wanted` of the answer to `out`. 0 or -errno: -ENODATA without that attribute. */
static int ask(int fd, struct question question, uint16_t wanted, void *out, size_t size)
{
    struct answer answer;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.header.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + GENL_HDRLEN + NLMSG_ALIGN(question.attribute.nla_len));
    if (send(fd, &question, question.header.nlmsg_len, 0) < 0)
        return -errno;
    ssize_t got = recv(fd, answer.bytes, sizeof answer.bytes, 0);
    if (got < 0)
        return -errno;
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer.bytes;
    if (!NLMSG_OK(header, (size_t)got))
        return -EPROTO;
    if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(header);
        return error->error != 0 ? error->error : -EPROTO;
    }
    for (uint32_t at = NLMSG_HDRLEN + GENL_HDRLEN; at + NLA_HDRLEN <= header->nlmsg_len;) {
        struct nlattr attribute;
        memcpy(&attribute, answer.bytes + at, sizeof attribute);
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > header->nlmsg_len - at)
            return -EPROTO;
        if ((attribute.nla_type & NLA_TYPE_MASK) == wanted && attribute.nla_len == NLA_HDRLEN + size) {
            memcpy(out, answer.bytes + at + NLA_HDRLEN, size);
            return 0;
        }
        at += NLA_ALIGN(attribute.nla_len);
    }
    return -ENODATA;
}

static int family_of(int fd, uint16_t *family)
{
    struct question question = {.header.nlmsg_type = GENL_ID_CTRL,
                                .generic = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
                                .attribute = {NLA_HDRLEN + sizeof NETDEV, CTRL_ATTR_FAMILY_NAME},
                                .value = NETDEV};
    return ask(fd, question, CTRL_ATTR_FAMILY_ID, family, sizeof *family);
}

static int features_of(int fd, uint32_t index, uint64_t *features)
{
    struct question question = {.generic = {.cmd = DEV_GET, .version = 1}, .attribute = {NLA_HDRLEN + sizeof index, DEV_IFINDEX}};
    memcpy(question.value, &index, sizeof index);
    int result = family_of(fd, &question.header.nlmsg_type);
    return result < 0 ? result : ask(fd, question, DEV_RX_METADATA, features, sizeof *features);
}

bool metadata_has_stamps(const char *interface, struct failure *failure)
{
    uint64_t features = 0;
    uint32_t index = if_nametoindex(interface);
    int fd = index != 0 ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC) : -1;
    int result = fd < 0 ? -errno : features_of(fd, index, &features);
    if (fd >= 0)
        close(fd);
    if (result == -ENOENT || result == -ENODATA)
        return failure_set(failure, EOPNOTSUPP, "%s: this kernel does not say whether its driver gives XDP programs the card's stamps; "
                           "that needs Linux 6.8", interface);
    if (result < 0)
        return failure_set(failure, -result, "%s: what its driver gives to XDP programs: %s", interface, strerror(-result));
    return (features & METADATA_STAMP) != 0 ||
           failure_set(failure, EOPNOTSUPP, "%s: its driver does not give XDP programs the card's stamps", interface);
}

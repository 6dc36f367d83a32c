/* SPDX-License-Identifier: Apache-2.0
 *
 * The XDP program: frames of the feed's lines go to the AF_XDP socket of the queue they came on, everything else to the kernel, as
 * does what no socket waits for. What a line is says steer.h; which lines there are is written into `lines` before it is loaded.
 *
 * It is able to see frames in several buffers (xdp.frags), because drivers refuse other programs on an interface of a large MTU. What
 * does not fit a frame of the UMEM is left to the kernel, whose socket has the same address.
 *
 * Each steered frame gets the time in front of it, so that its way to the engine counts in tick-to-trade. Where a driver has no room
 * for that it goes without. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "../core/transport/steer.h"

volatile const struct steer_line lines[STEER_LINES];

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, STEER_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

SEC("xdp.frags")
int steer(struct xdp_md *context)
{
    struct steer_found found;
    __u64 bytes = bpf_xdp_get_buff_len(context);
    if (bytes > STEER_BYTES ||
        !steer_match(lines, (void *)(long)context->data, (void *)(long)context->data_end, bytes, &found))
        return XDP_PASS;
    if (bpf_xdp_adjust_meta(context, -(int)STEER_STAMP) == 0) {
        __u64 *stamp = (void *)(long)context->data_meta;
        if (stamp + 1 <= (__u64 *)(long)context->data)
            *stamp = bpf_ktime_get_tai_ns();
    }
    return (int)bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

char licence[] SEC("license") = "Apache-2.0";

/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * The XDP programs: frames of the feed's lines go to the AF_XDP socket of the queue they came on, everything else to the kernel, as
 * does what no socket waits for. What a line is says steer.h; which lines there are is written into `lines` before it is loaded.
 *
 * It is able to see frames in several buffers (xdp.frags), because drivers refuse other programs on an interface of a large MTU. What
 * does not fit a frame of the UMEM is left to the kernel, whose socket has the same address.
 *
 * Each steered frame gets the time in front of it, so that its way to the engine counts in tick-to-trade. Where a driver has no room
 * for that it goes without.
 *
 * There are two, of which one is loaded. `steer` runs on every driver and in generic mode. `steer_card` asks the driver for the
 * card's stamp as well (Documentation/networking/xdp-rx-metadata.rst of Linux): such a program is loaded for one device, whose
 * function the kernel puts in the place of the call, and runs in native mode only. The reference is weak, so that a kernel without
 * the function loads `steer` all the same.
 *
 * The kernel has functions of that kind for programs under the GPL only; hence the second licence of this file and of steer.h. */
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

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *context, __u64 *stamp) __ksym __weak;

static __always_inline int is_of_a_line(const struct xdp_md *context, __u64 bytes)
{
    struct steer_found found;
    return bytes <= STEER_BYTES &&
           steer_match(lines, (void *)(long)context->data, (void *)(long)context->data_end, bytes, &found);
}

static __always_inline int give(struct xdp_md *context, __u64 card)
{
    if (bpf_xdp_adjust_meta(context, -(int)sizeof(struct steer_stamps)) == 0) {
        struct steer_stamps *stamps = (void *)(long)context->data_meta;
        if (stamps + 1 <= (struct steer_stamps *)(long)context->data)
            *stamps = (struct steer_stamps){.card = card, .tai = bpf_ktime_get_tai_ns()};
    }
    return (int)bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

SEC("xdp.frags")
int steer(struct xdp_md *context)
{
    return is_of_a_line(context, bpf_xdp_get_buff_len(context)) ? give(context, 0) : XDP_PASS;
}

SEC("xdp.frags")
int steer_card(struct xdp_md *context)
{
    __u64 card = 0;
    if (!is_of_a_line(context, bpf_xdp_get_buff_len(context)))
        return XDP_PASS;
    if (bpf_xdp_metadata_rx_timestamp(context, &card) != 0)
        card = 0; /* this frame has none, or the driver tells none */
    return give(context, card);
}

char licence[] SEC("license") = "GPL";

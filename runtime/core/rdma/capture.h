/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture file as a run of records: pcap (microseconds and nanoseconds, both byte orders) and pcapng, told apart by their first
 * bytes. The formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
 *
 * The file comes in windows, as large as the caller likes and each beginning where the one before was used up, so a file of any size
 * is read in fixed memory, from a pipe too. A record is handed out only when it lies whole in the window; blocks that nobody wants
 * (names, statistics, secrets) may be larger than it and are stepped over. Nothing is allocated and no input can make it read beyond
 * the window. */
#ifndef TICKWIRE_RDMA_CAPTURE_H
#define TICKWIRE_RDMA_CAPTURE_H

#include "../failure.h"
#include "../wire.h"

#define CAPTURE_INTERFACES 256     /* of a pcapng section; packets of further ones are counted and stepped over */
#define CAPTURE_RECORD_MAX 262144u /* bytes of a packet, libpcap's own bound */
#define CAPTURE_BLOCK_MAX (2 * CAPTURE_RECORD_MAX) /* of a pcapng block that is read: a window of this size always moves on */

struct capture_interface {
    uint16_t link; /* LINKTYPE_ of the registry at tcpdump.org */
    uint32_t snap;
    uint8_t resolution; /* if_tsresol: 10^-n s, or 2^-n s with the high bit */
    int64_t offset_s;
};

struct capture_record {
    uint64_t time_ns; /* since the epoch */
    const uint8_t *bytes;
    uint32_t length;      /* captured */
    uint32_t wire_length; /* as it was on the wire */
    uint16_t link;
};

enum capture_result {
    CAPTURE_RECORD,
    CAPTURE_MORE,  /* the window ends within what comes next: go on with a window that begins at `at` */
    CAPTURE_WRONG, /* this is no capture, or not any more from here on: `failure` */
};

enum capture_format { CAPTURE_UNKNOWN, CAPTURE_PCAP, CAPTURE_PCAPNG };

struct capture {
    const uint8_t *bytes; /* the window */
    uint64_t size;
    uint64_t at;     /* what of the window is used up */
    uint64_t offset; /* of the window in the file */
    uint64_t skip;   /* bytes to come that nobody wants */
    uint64_t records, beyond_interfaces, last_ns;
    enum capture_format format;
    bool swapped; /* written by a machine of the other byte order */
    uint32_t interface_count;
    struct capture_interface interfaces[CAPTURE_INTERFACES];
    struct failure failure;
};

void capture_start(struct capture *capture);

/* The next window. It begins with the byte after the last one used up. */
void capture_window(struct capture *capture, const uint8_t *bytes, uint64_t size);

enum capture_result capture_next(struct capture *capture, struct capture_record *record);

/* Nanoseconds of `ticks` of an interface. */
uint64_t capture_time_ns(const struct capture_interface *interface, uint64_t ticks);

#endif

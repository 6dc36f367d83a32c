/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>

#include "../mold.h"
#include "../soupbin.h"

static int make_packet(struct replay_transport *self, struct transport_packet *packet)
{
    uint64_t first = self->at;
    uint32_t length = MOLD_HEADER;
    uint16_t count = 0;
    while (self->at < self->count && count < self->messages_per_packet) {
        const uint8_t *message = self->data + (self->index[self->at] >> 16);
        uint16_t bytes = (uint16_t)self->index[self->at];
        if (length + 2 + bytes > MOLD_PACKET_MAX)
            break;
        put16(self->buffer + length, bytes);
        memcpy(self->buffer + length + 2, message, bytes);
        length += 2u + bytes;
        self->at++;
        count++;
    }
    if (count == 0) {
        if (self->ended || self->at < self->count) /* a message too long for any packet ends the replay */
            return TRANSPORT_END;
        self->ended = true;
        count = MOLD_END_OF_SESSION;
    }
    mold_header(self->buffer, (const uint8_t *)REPLAY_SESSION, first + 1, count);
    *packet = (struct transport_packet){.bytes = self->buffer, .length = length};
    return TRANSPORT_PACKET;
}

static int receive(void *opaque, struct transport_packet *packet)
{
    struct replay_transport *self = opaque;
    if (self->packets == NULL)
        return make_packet(self, packet);
    if (self->at == self->count)
        return TRANSPORT_END;
    const struct replay_packet *next = &self->packets[self->at++];
    *packet = (struct transport_packet){.bytes = next->bytes, .length = next->length};
    return TRANSPORT_PACKET;
}

static int keep_order(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    struct replay_transport *self = opaque;
    struct soup_packet soup;
    if (soup_next(bytes, length, &soup) != (int32_t)length || soup.type != SOUP_UNSEQUENCED)
        return -EPROTO;
    if (self->order_count == self->order_capacity) {
        uint64_t capacity = self->order_capacity == 0 ? 1024 : 2 * self->order_capacity;
        uint8_t *orders = realloc(self->orders, capacity * soup.length);
        if (orders == NULL)
            return -ENOMEM;
        self->orders = orders;
        self->order_capacity = capacity;
        self->order_bytes = soup.length;
    }
    if (soup.length != self->order_bytes)
        return -EPROTO;
    memcpy(self->orders + self->order_count++ * self->order_bytes, soup.payload, soup.length);
    self->sent_bytes += length;
    *last_byte = self->sent_bytes - 1;
    return 0;
}

static int no_orders(void *self, uint8_t *bytes, uint32_t capacity)
{
    (void)self, (void)bytes, (void)capacity;
    return 0;
}

static void no_stamps(void *self, struct stamps *stamps)
{
    (void)self, (void)stamps;
}

static void no_wait(void *self, int timeout_ms)
{
    (void)self, (void)timeout_ms;
}

struct transport replay_transport_interface(struct replay_transport *self)
{
    return (struct transport){self, receive, keep_order, no_orders, no_stamps, NULL, no_wait};
}

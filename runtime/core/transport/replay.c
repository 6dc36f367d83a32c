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

/* --- the exchange --- */

static uint8_t *grow(struct replay_bytes *to, uint64_t bytes)
{
    if (to->used + bytes > to->capacity) {
        uint64_t capacity = 2 * to->capacity + bytes + 4096;
        uint8_t *more = realloc(to->bytes, capacity);
        if (more == NULL)
            return NULL;
        to->bytes = more;
        to->capacity = capacity;
    }
    to->used += bytes;
    return to->bytes + to->used - bytes;
}

/* Room for an answer of `length`, zeroed, its type written. */
static uint8_t *answer(struct replay_transport *self, char type, uint32_t length)
{
    uint8_t *packet = grow(&self->answers, 3 + length);
    if (packet == NULL)
        return NULL;
    memset(packet, 0, 3 + length);
    put16(packet, (uint16_t)(1 + length));
    packet[2] = SOUP_SEQUENCED;
    packet[3] = (uint8_t)type;
    return packet + 3;
}

static uint32_t *shares_of(struct replay_transport *self, uint32_t reference)
{
    while (self->open.used <= reference * sizeof(uint32_t)) {
        uint8_t *more = grow(&self->open, 1024 * sizeof(uint32_t));
        if (more == NULL)
            return NULL;
        memset(more, 0, 1024 * sizeof(uint32_t));
    }
    return (uint32_t *)(void *)self->open.bytes + reference;
}

/* What an answer says of its order, in either version's places. */
struct terms {
    uint32_t original, reference, shares;
    uint64_t price;
    const uint8_t *symbol;
    uint8_t side;
};

static bool say_live(struct replay_transport *self, char type, const struct terms *terms)
{
    uint8_t *message;
    if (self->version == OUCH_42) {
        message = answer(self, type, type == 'A' ? OUCH42_OUT_A_length : OUCH42_OUT_U_length);
        if (message == NULL)
            return false;
        ouch42_put_token(message + OUCH42_OUT_A_order_token, terms->reference);
        if (type == 'U')
            ouch42_put_token(message + OUCH42_OUT_U_previous_order_token, terms->original);
        message[OUCH42_OUT_A_side] = terms->side;
        memcpy(message + OUCH42_OUT_A_stock, terms->symbol, 8);
        put32(message + OUCH42_OUT_A_shares, terms->shares);
        put32(message + OUCH42_OUT_A_price, (uint32_t)terms->price);
        message[OUCH42_OUT_A_order_state] = 'L';
    } else if (type == 'A') {
        message = answer(self, type, OUCH_OUT_A_length + 2);
        if (message == NULL)
            return false;
        put32(message + OUCH_OUT_A_user_ref_num, terms->reference);
        message[OUCH_OUT_A_side] = terms->side;
        memcpy(message + OUCH_OUT_A_symbol, terms->symbol, 8);
        put32(message + OUCH_OUT_A_quantity, terms->shares);
        put64(message + OUCH_OUT_A_price, terms->price);
        message[OUCH_OUT_A_order_state] = 'L';
    } else {
        message = answer(self, type, OUCH_OUT_U_length + 2);
        if (message == NULL)
            return false;
        put32(message + OUCH_OUT_U_orig_user_ref_num, terms->original);
        put32(message + OUCH_OUT_U_user_ref_num, terms->reference);
        message[OUCH_OUT_U_side] = terms->side;
        memcpy(message + OUCH_OUT_U_symbol, terms->symbol, 8);
        put32(message + OUCH_OUT_U_quantity, terms->shares);
        put64(message + OUCH_OUT_U_price, terms->price);
        message[OUCH_OUT_U_order_state] = 'L';
    }
    return true;
}

static bool say_canceled(struct replay_transport *self, uint32_t reference, char reason)
{
    uint32_t *open = shares_of(self, reference);
    if (open == NULL)
        return false;
    uint32_t shares = *open;
    *open = 0;
    if (shares == 0) /* gone already: the exchange is silent */
        return true;
    uint8_t *message = answer(self, 'C', self->version == OUCH_42 ? OUCH42_OUT_C_length : OUCH_OUT_C_length);
    if (message == NULL)
        return false;
    if (self->version == OUCH_42) {
        ouch42_put_token(message + OUCH42_OUT_C_order_token, reference);
        put32(message + OUCH42_OUT_C_decrement_shares, shares);
        message[OUCH42_OUT_C_reason] = (uint8_t)reason;
    } else {
        put32(message + OUCH_OUT_C_user_ref_num, reference);
        put32(message + OUCH_OUT_C_quantity, shares);
        message[OUCH_OUT_C_reason] = (uint8_t)reason;
    }
    return true;
}

static bool put_open(struct replay_transport *self, uint32_t reference, uint32_t shares)
{
    uint32_t *open = shares_of(self, reference);
    if (open != NULL)
        *open = shares;
    return open != NULL;
}

static bool on_enter(struct replay_transport *self, const uint8_t *message)
{
    static const uint8_t immediate[4] = {0};
    bool old = self->version == OUCH_42;
    struct terms terms = {
        .reference = old ? ouch42_reference(message + OUCH42_IN_O_order_token) : get32(message + OUCH_IN_O_user_ref_num),
        .shares = get32(message + (old ? OUCH42_IN_O_shares : OUCH_IN_O_quantity)),
        .price = old ? get32(message + OUCH42_IN_O_price) : get64(message + OUCH_IN_O_price),
        .symbol = message + (old ? OUCH42_IN_O_stock : OUCH_IN_O_symbol),
        .side = message[old ? OUCH42_IN_O_side : OUCH_IN_O_side]};
    bool ends = old ? memcmp(message + OUCH42_IN_O_time_in_force, immediate, 4) == 0 : message[OUCH_IN_O_time_in_force] == '3';
    return put_open(self, terms.reference, terms.shares) && say_live(self, 'A', &terms) &&
           (!ends || say_canceled(self, terms.reference, 'I'));
}

static bool on_replace(struct replay_transport *self, const uint8_t *message)
{
    static const uint8_t unnamed[8] = {0};
    bool old = self->version == OUCH_42;
    struct terms terms = {
        .original = old ? ouch42_reference(message + OUCH42_IN_U_existing_order_token)
                        : get32(message + OUCH_IN_U_orig_user_ref_num),
        .reference = old ? ouch42_reference(message + OUCH42_IN_U_order_token) : get32(message + OUCH_IN_U_user_ref_num),
        .shares = get32(message + (old ? OUCH42_IN_U_shares : OUCH_IN_U_quantity)),
        .price = old ? get32(message + OUCH42_IN_U_price) : get64(message + OUCH_IN_U_price),
        .symbol = unnamed}; /* the ledger knows side and symbol of what it replaces */
    uint32_t *before = shares_of(self, terms.original);
    if (before == NULL)
        return false;
    if (*before == 0)
        return true;
    *before = 0;
    return put_open(self, terms.reference, terms.shares) && say_live(self, 'U', &terms);
}

static bool on_request(struct replay_transport *self, const uint8_t *message)
{
    bool old = self->version == OUCH_42;
    switch (message[0]) {
    case 'O':
        return on_enter(self, message);
    case 'U':
        return on_replace(self, message);
    case 'X':
        return say_canceled(
            self, old ? ouch42_reference(message + OUCH42_IN_X_order_token) : get32(message + OUCH_IN_X_user_ref_num), 'U');
    default:
        return true;
    }
}

/* --- the transport's side of it --- */

static int keep_order(void *opaque, const uint8_t *bytes, uint32_t length, uint32_t *last_byte)
{
    struct replay_transport *self = opaque;
    struct soup_packet soup;
    if (soup_next(bytes, length, &soup) != (int32_t)length || soup.type != SOUP_UNSEQUENCED)
        return -EPROTO;
    uint8_t *kept = grow(&self->orders, 2 + soup.length);
    if (kept == NULL)
        return -ENOMEM;
    uint16_t bytes_of = (uint16_t)soup.length;
    memcpy(kept, &bytes_of, sizeof bytes_of);
    memcpy(kept + 2, soup.payload, soup.length);
    if (!on_request(self, soup.payload))
        return -ENOMEM;
    self->order_count++;
    self->sent_bytes += length;
    *last_byte = self->sent_bytes - 1;
    return 0;
}

static int give_answers(void *opaque, uint8_t *bytes, uint32_t capacity)
{
    struct replay_transport *self = opaque;
    uint32_t given = self->answers.used < capacity ? (uint32_t)self->answers.used : capacity;
    if (given == 0)
        return 0;
    memcpy(bytes, self->answers.bytes, given);
    self->answers.used -= given;
    if (self->answers.used > 0)
        memmove(self->answers.bytes, self->answers.bytes + given, self->answers.used);
    return (int)given;
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
    return (struct transport){
        .feed = {.self = self, .receive = receive},
        .orders = {.self = self, .send = keep_order, .receive = give_answers, .collect_stamps = no_stamps},
        .self = self,
        .wait = no_wait};
}

void replay_transport_free(struct replay_transport *self)
{
    free(self->orders.bytes);
    free(self->answers.bytes);
    free(self->open.bytes);
}

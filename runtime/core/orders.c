/* SPDX-License-Identifier: Apache-2.0 */
#include "orders.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

void orders_init(struct orders *orders, const struct orders_settings *settings, struct block *block)
{
    orders->settings = settings;
    orders->block = block;
    orders->state = ORDERS_CLOSED;
    orders->next_sequence = 1;
}

static void lose(struct orders *orders)
{
    orders->state = ORDERS_LOGGED_OUT;
}

static void send_control(struct orders *orders, struct transport *transport, const uint8_t *bytes, uint32_t length)
{
    uint32_t last_byte;
    int result = transport->send(transport->self, bytes, length, &last_byte);
    if (result != 0 && result != -EAGAIN)
        lose(orders);
    orders->sent = true;
}

void orders_login(struct orders *orders, struct transport *transport, uint64_t now_ns)
{
    const struct orders_settings *settings = orders->settings;
    uint8_t request[SOUP_LOGIN_BYTES];
    orders->state = ORDERS_LOGGING_IN;
    orders->held = 0;
    orders->opened_ns = orders->last_sent_ns = orders->last_received_ns = now_ns;
    BLOCK_SET(orders->block, state, BLOCK_LOGIN);
    uint32_t length =
        soup_login(request, settings->username, settings->password, settings->session, orders->next_sequence);
    send_control(orders, transport, request, length);
}

static void reject(struct orders *orders, const struct soup_packet *packet)
{
    const struct orders_settings *settings = orders->settings;
    char reason = packet->length > 0 ? (char)packet->payload[0] : '?';
    orders->state = ORDERS_REJECTED;
    if (reason == 'S')
        failure_set(&orders->failure, ECONNREFUSED,
                    "orders %s:%u: login of user %s rejected: session \"%s\" not available (S); check orders.session",
                    settings->host, settings->port, settings->username, settings->session);
    else
        failure_set(&orders->failure, EACCES,
                    "orders %s:%u: login of user %s rejected: %s (%c); check orders.username and orders.password",
                    settings->host, settings->port, settings->username, reason == 'A' ? "not authorized" : "unknown reason",
                    reason);
}

static void on_answer(struct orders *orders, const uint8_t *message, uint32_t length)
{
    orders->next_sequence++;
    if (length == 0)
        return;
    if (message[0] == 'A')
        BLOCK_COUNT(orders->block, orders_accepted, 1);
    else if (message[0] == 'J')
        BLOCK_COUNT(orders->block, orders_rejected, 1);
}

static void on_packet(struct orders *orders, const struct soup_packet *packet)
{
    switch (packet->type) {
    case SOUP_LOGIN_ACCEPTED:
        if (orders->state != ORDERS_LOGGING_IN || !soup_accepted(packet, orders->session, &orders->next_sequence)) {
            lose(orders);
            return;
        }
        orders->state = ORDERS_LIVE;
        BLOCK_SET(orders->block, state, BLOCK_LIVE);
        return;
    case SOUP_LOGIN_REJECTED:
        reject(orders, packet);
        return;
    case SOUP_SEQUENCED:
        on_answer(orders, packet->payload, packet->length);
        return;
    case SOUP_SERVER_HEARTBEAT:
        BLOCK_COUNT(orders->block, heartbeats_in, 1);
        return;
    case SOUP_END_OF_SESSION:
        orders->state = ORDERS_SESSION_CLOSED;
        return;
    default: /* debug and whatever a later version brings */
        return;
    }
}

static bool open_session(const struct orders *orders)
{
    return orders->state == ORDERS_LOGGING_IN || orders->state == ORDERS_LIVE;
}

void orders_receive(struct orders *orders, struct transport *transport, uint64_t now_ns)
{
    if (!open_session(orders))
        return;
    int got = transport->receive_orders(transport->self, orders->buffer + orders->held,
                                        (uint32_t)sizeof orders->buffer - orders->held);
    if (got == 0)
        return;
    if (got < 0) {
        lose(orders);
        return;
    }
    orders->last_received_ns = now_ns;
    orders->held += (uint32_t)got;
    uint32_t at = 0;
    while (open_session(orders)) {
        struct soup_packet packet;
        int32_t took = soup_next(orders->buffer + at, orders->held - at, &packet);
        if (took == 0)
            break;
        if (took < 0) {
            lose(orders);
            return;
        }
        on_packet(orders, &packet);
        at += (uint32_t)took;
    }
    orders->held -= at;
    memmove(orders->buffer, orders->buffer + at, orders->held);
}

void orders_tick(struct orders *orders, struct transport *transport, uint64_t now_ns)
{
    const struct orders_settings *settings = orders->settings;
    if (!open_session(orders))
        return;
    if (orders->sent) {
        orders->sent = false;
        orders->last_sent_ns = now_ns;
    }
    if (orders->state == ORDERS_LOGGING_IN) {
        if (now_ns - orders->opened_ns > ORDERS_LOGIN_TIMEOUT_MS * NS_PER_MS) {
            orders->state = ORDERS_FAILED;
            failure_set(&orders->failure, ETIMEDOUT, "orders %s:%u: no answer to the login of user %s within %d ms",
                        settings->host, settings->port, settings->username, ORDERS_LOGIN_TIMEOUT_MS);
        }
        return;
    }
    if (now_ns - orders->last_received_ns > SOUP_SILENCE_S * NS_PER_S) {
        lose(orders);
        return;
    }
    if (now_ns - orders->last_sent_ns >= settings->heartbeat_ms * NS_PER_MS) {
        uint8_t heartbeat[3];
        send_control(orders, transport, heartbeat, soup_empty(heartbeat, SOUP_CLIENT_HEARTBEAT));
        BLOCK_COUNT(orders->block, heartbeats_out, 1);
    }
}

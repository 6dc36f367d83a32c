/* SPDX-License-Identifier: Apache-2.0 */
#include "orders.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

void orders_init(struct orders *orders, const struct orders_settings *settings, struct block *block, struct ledger *ledger,
                 void (*on_update)(void *context, const struct tw_update *update), void *context)
{
    orders->settings = settings;
    orders->block = block;
    orders->ledger = ledger;
    orders->on_update = on_update;
    orders->context = context;
    atomic_store(&orders->state, ORDERS_CLOSED);
}

static void set_state(struct orders *orders, enum orders_state state)
{
    BLOCK_SET(orders->block, state, state == ORDERS_LIVE ? BLOCK_LIVE : BLOCK_LOGIN);
    atomic_store_explicit(&orders->state, state, memory_order_release);
}

__attribute__((format(printf, 4, 5))) static void lose(struct orders *orders, struct order_transport *transport, int code,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    orders->failure.code = code;
    vsnprintf(orders->failure.text, sizeof orders->failure.text, format, arguments);
    va_end(arguments);
    void (*abandon)(void *self) = transport->abandon != NULL ? transport->abandon : transport->drop;
    if (abandon != NULL)
        abandon(transport->self);
    set_state(orders, ORDERS_CLOSED);
}

static uint64_t asked(const struct orders *orders)
{
    const struct block *block = orders->block;
    return BLOCK_GET(block, orders_sent) + BLOCK_GET(block, replaces_sent) + BLOCK_GET(block, cancels_sent);
}

/* The connection is gone, by `how`. An exchange that closes it on the first request, without an answer, most likely has the account
 * down for another version of OUCH: it says so in its own log only. */
static void lose_connection(struct orders *orders, struct order_transport *transport, int code, const char *how)
{
    const struct orders_settings *settings = orders->settings;
    bool logged_in = orders->state == ORDERS_SETTLING || orders->state == ORDERS_LIVE;
    const char *version = settings->version == OUCH_50 ? "5.0" : "4.2";
    if (logged_in && !orders->heard && (settings->version == OUCH_50 || asked(orders) != orders->asked_before))
        lose(orders, transport, code,
             "the order connection %s, and no request was answered: most likely the account of user %s there does not speak OUCH "
             "%s; ask the exchange, and correct orders.version",
             how, settings->username, version);
    else
        lose(orders, transport, code, "the order connection %s", how);
}

static void lose_broken(struct orders *orders, struct order_transport *transport, int code)
{
    char how[192];
    const char *why = transport->why != NULL ? transport->why(transport->self) : "";
    snprintf(how, sizeof how, "broke: %s", why[0] != '\0' ? why : strerror(code));
    lose_connection(orders, transport, code, how);
}

static void send_control(struct orders *orders, struct order_transport *transport, const uint8_t *bytes, uint32_t length)
{
    uint32_t last_byte;
    int result = transport->send(transport->self, bytes, length, &last_byte);
    if (result != 0 && result != -EAGAIN)
        lose_broken(orders, transport, -result);
    orders->sent = true;
}

/* Say goodbye and close; what was sent before still arrives. */
static void leave(struct orders *orders, struct order_transport *transport, enum orders_state state)
{
    uint8_t goodbye[3];
    send_control(orders, transport, goodbye, soup_empty(goodbye, SOUP_LOGOUT_REQUEST));
    if (orders->state == ORDERS_CLOSED) /* it broke before */
        return;
    if (transport->drop != NULL)
        transport->drop(transport->self);
    set_state(orders, state);
}

/* --- login --- */

void orders_login(struct orders *orders, struct order_transport *transport, uint64_t now_ns)
{
    const struct orders_settings *settings = orders->settings;
    const struct ledger *ledger = orders->ledger;
    uint8_t request[SOUP_LOGIN_BYTES];
    bool resume = !orders->fresh && ledger->session[0] != '\0' &&
                  (settings->session[0] == '\0' || strcmp(settings->session, ledger->session) == 0);
    if (orders->state != ORDERS_AGAIN)
        orders->end = 0;
    strcpy(orders->session, resume ? ledger->session : settings->session);
    orders->wanted = resume ? ledger->answered + 1 : 1;
    orders->held = orders->quiet = 0;
    orders->asked_before = asked(orders);
    orders->opened_ns = orders->last_sent_ns = orders->last_received_ns = now_ns;
    set_state(orders, ORDERS_LOGGING_IN);
    atomic_fetch_add_explicit(&orders->logins, 1, memory_order_release);
    send_control(orders, transport, request,
                 soup_login(request, settings->username, settings->password, orders->session,
                            orders->end == 0 ? 0 : orders->wanted));
}

void orders_open_unasked(struct orders *orders)
{
    orders->next_sequence = 1;
    set_state(orders, ORDERS_LIVE);
}

static void reject(struct orders *orders, struct order_transport *transport, const struct soup_packet *packet)
{
    const struct orders_settings *settings = orders->settings;
    char reason = packet->length > 0 ? (char)packet->payload[0] : '?';
    if (reason == 'S' && strcmp(orders->session, settings->session) != 0) {
        orders->fresh = true;
        lose(orders, transport, EAGAIN, "session \"%s\" from message %llu is gone there; asking for the running one",
             orders->session, (unsigned long long)orders->wanted);
        return;
    }
    if (reason == 'S')
        failure_set(&orders->failure, ECONNREFUSED,
                    "orders %s:%u: login of user %s rejected: session \"%s\" not available (S); check orders.session",
                    settings->host, settings->port, settings->username, settings->session);
    else
        failure_set(&orders->failure, EACCES,
                    "orders %s:%u: login of user %s rejected: %s (%c); check orders.username and orders.password",
                    settings->host, settings->port, settings->username, reason == 'A' ? "not authorized" : "unknown reason",
                    reason);
    set_state(orders, ORDERS_REJECTED);
}

static void accept(struct orders *orders, struct order_transport *transport, const struct soup_packet *packet)
{
    static const uint8_t queries[] = {0, 2, SOUP_UNSEQUENCED, 'Q', 0, 2, SOUP_UNSEQUENCED, 'Q'};
    char session[SOUP_SESSION + 1];
    uint64_t next;
    if (orders->state != ORDERS_LOGGING_IN || !soup_accepted(packet, session, &next)) {
        lose(orders, transport, EPROTO, "the exchange accepted a login in a way that is not SoupBinTCP");
        return;
    }
    bool first = orders->end == 0, other = !first && strcmp(session, orders->end_session) != 0;
    if (first || other) { /* or a session that began in between */
        strcpy(orders->end_session, session);
        orders->end = other ? 0 : next + (next == 0);
        if (other || next != orders->wanted) {
            leave(orders, transport, ORDERS_AGAIN); /* known now: where the session ends; what comes before that takes another login */
            return;
        }
    }
    orders->fresh = false;
    strcpy(orders->session, session);
    orders->next_sequence = next;
    ledger_session(orders->ledger, orders->session, orders->next_sequence);
    set_state(orders, ORDERS_SETTLING);
    if (orders->settings->version == OUCH_50)
        send_control(orders, transport, queries, sizeof queries);
}

/* --- answers --- */

static void tell_gone(void *context, const struct tw_update *update)
{
    struct orders *orders = context;
    orders->on_update(orders->context, update);
}

/* Everything the exchange had to tell has been told. */
static void settle(struct orders *orders)
{
    ledger_settle(orders->ledger, tell_gone, orders);
    set_state(orders, ORDERS_LIVE);
}

static void count_answer(struct orders *orders, const struct ledger_answer *answer)
{
    struct block *block = orders->block;
    switch (answer->kind) {
    case TW_ACCEPTED:
        BLOCK_COUNT(block, orders_accepted, 1);
        break;
    case TW_REPLACED:
        BLOCK_COUNT(block, orders_replaced, 1);
        break;
    case TW_EXECUTED:
        BLOCK_COUNT(block, orders_executed, 1);
        BLOCK_COUNT(block, shares_executed, answer->shares);
        break;
    case TW_CANCELED:
        BLOCK_COUNT(block, orders_canceled, 1);
        break;
    case TW_BROKEN:
        BLOCK_COUNT(block, orders_broken, 1);
        break;
    default:
        break;
    }
}

static void keep_reject(struct orders *orders, const struct ledger_answer *answer)
{
    static const uint8_t nameless[8] = "        ";
    const struct ledger_order *order = ledger_find(orders->ledger, answer->reference);
    block_add_reject(orders->block, answer->reference, answer->reason,
                     order != NULL ? orders->ledger->positions[order->instrument].symbol : nameless);
}

static void on_answer(struct orders *orders, const uint8_t *message, uint32_t length)
{
    struct ledger_answer answer;
    struct tw_update update;
    uint64_t sequence = orders->next_sequence++;
    if (!ouch_answer(orders->settings->version, message, length, &answer)) {
        BLOCK_COUNT(orders->block, answers_damaged, 1);
        return;
    }
    orders->heard = orders->heard || message[0] != 'S'; /* system events are the same in both versions */
    if (sequence > orders->ledger->answered) {
        count_answer(orders, &answer);
        if (answer.kind == TW_REJECTED)
            keep_reject(orders, &answer);
    }
    if (ledger_answer(orders->ledger, sequence, &answer, &update))
        orders->on_update(orders->context, &update);
    if (orders->settings->version == OUCH_50 && message[0] == 'Q') {
        ledger_skip_to(orders->ledger, get32(message + OUCH_OUT_Q_next_user_ref_num));
        if (orders->state == ORDERS_SETTLING && sequence > orders->end)
            settle(orders);
    }
}

static void on_heartbeat(struct orders *orders)
{
    BLOCK_COUNT(orders->block, heartbeats_in, 1);
    if (orders->state != ORDERS_SETTLING || orders->next_sequence < orders->end)
        return;
    orders->quiet++;
    if (orders->settings->version == OUCH_42 || orders->quiet >= ORDERS_QUIET_HEARTBEATS)
        settle(orders);
}

static void on_packet(struct orders *orders, struct order_transport *transport, const struct soup_packet *packet)
{
    switch (packet->type) {
    case SOUP_LOGIN_ACCEPTED:
        accept(orders, transport, packet);
        return;
    case SOUP_LOGIN_REJECTED:
        reject(orders, transport, packet);
        return;
    case SOUP_SEQUENCED:
        on_answer(orders, packet->payload, packet->length);
        return;
    case SOUP_SERVER_HEARTBEAT:
        on_heartbeat(orders);
        return;
    case SOUP_END_OF_SESSION:
        lose(orders, transport, ESHUTDOWN, "the exchange ended the order session");
        return;
    default: /* debug and whatever a later version brings */
        return;
    }
}

/* --- running --- */

static bool is_open(const struct orders *orders)
{
    return orders->state != ORDERS_CLOSED && orders->state != ORDERS_REJECTED && orders->state != ORDERS_AGAIN;
}

void orders_receive(struct orders *orders, struct order_transport *transport, uint64_t now_ns)
{
    if (!is_open(orders))
        return;
    int got = transport->receive(transport->self, orders->buffer + orders->held,
                                        (uint32_t)sizeof orders->buffer - orders->held);
    if (got == 0)
        return;
    if (got == -ECONNRESET && transport->why == NULL) {
        lose_connection(orders, transport, ECONNRESET, "was closed");
        return;
    }
    if (got < 0) {
        lose_broken(orders, transport, -got);
        return;
    }
    orders->last_received_ns = now_ns;
    orders->held += (uint32_t)got;
    uint32_t at = 0;
    while (is_open(orders)) {
        struct soup_packet packet;
        int32_t took = soup_next(orders->buffer + at, orders->held - at, &packet);
        if (took == 0)
            break;
        if (took < 0) {
            lose(orders, transport, EPROTO, "the exchange sent a packet that is not SoupBinTCP");
            return;
        }
        on_packet(orders, transport, &packet);
        at += (uint32_t)took;
    }
    orders->held -= at;
    memmove(orders->buffer, orders->buffer + at, orders->held);
}

void orders_tick(struct orders *orders, struct order_transport *transport, uint64_t now_ns)
{
    const struct orders_settings *settings = orders->settings;
    if (!is_open(orders))
        return;
    if (orders->sent) {
        orders->sent = false;
        orders->last_sent_ns = now_ns;
    }
    if (orders->state == ORDERS_LOGGING_IN) {
        if (now_ns - orders->opened_ns > ORDERS_LOGIN_TIMEOUT_MS * NS_PER_MS)
            lose(orders, transport, ETIMEDOUT, "no answer to the login of user %s within %d ms", settings->username,
                 ORDERS_LOGIN_TIMEOUT_MS);
        return;
    }
    if (now_ns - orders->last_received_ns > SOUP_SILENCE_S * NS_PER_S) {
        lose(orders, transport, ETIMEDOUT, "the exchange was silent for %d s", SOUP_SILENCE_S);
        return;
    }
    if (now_ns - orders->last_sent_ns >= settings->heartbeat_ms * NS_PER_MS) {
        uint8_t heartbeat[3];
        send_control(orders, transport, heartbeat, soup_empty(heartbeat, SOUP_CLIENT_HEARTBEAT));
        BLOCK_COUNT(orders->block, heartbeats_out, 1);
    }
}

void orders_logout(struct orders *orders, struct order_transport *transport)
{
    if (!is_open(orders))
        return;
    failure_set(&orders->failure, 0, "logged out");
    leave(orders, transport, ORDERS_CLOSED);
}

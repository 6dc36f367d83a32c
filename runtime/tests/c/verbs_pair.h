/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the whole verbs transport share: the transport as the engine opens it, the exchange's gateway on a thread of its own,
 * and both over the double of the RDMA libraries, with two lines and the bridge to an order server here. */
#ifndef TICKWIRE_TESTS_VERBS_PAIR_H
#define TICKWIRE_TESTS_VERBS_PAIR_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "clock.h"
#include "line.h"
#include "transport/gateway.h"
#include "transport/verbs.h"
#include "verbs_site.h"

#define PATIENCE_NS (20 * NS_PER_S)

static struct gateway gateway;
static struct gateway_settings gateway_settings;
static struct engine_settings settings;
static struct verbs verbs;
static struct feed_transport feed;
static struct order_transport orders;
static struct failure failure, gateway_failure;
static pthread_t gateway_thread;
static bool gateway_good;
static int server = -1, wake = -1;
static uint8_t request_buffer[MOLD_PACKET_MAX];

static inline int bound(int type, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0 && getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static inline uint16_t free_port(int type)
{
    uint16_t port;
    close(bound(type, &port));
    return port;
}

static inline void configure(void)
{
    site_second_device();
    server = bound(SOCK_STREAM, &gateway_settings.orders_port);
    CHECK(listen(server, 4) == 0);
    wake = dup(server);
    strcpy(gateway_settings.interface, "127.0.0.1");
    strcpy(gateway_settings.orders_host, "127.0.0.1");
    strcpy(gateway_settings.feed.group, "127.0.0.1");
    strcpy(gateway_settings.feed.interface, "127.0.0.1");
    strcpy(gateway_settings.feed.group_b, "127.0.0.1");
    gateway_settings.tos = 106;
    gateway_settings.priority = 5; /* not the precedence of 106 */
    gateway_settings.port = free_port(SOCK_STREAM);
    gateway_settings.feed.port = free_port(SOCK_DGRAM);
    gateway_settings.feed.port_b = free_port(SOCK_DGRAM);
    gateway_settings.verbs = settings.verbs = (struct verbs_settings){.roce_version = 2, .gid_index = -1};
    settings.cpu = -1;
    settings.feed = gateway_settings.feed;
    settings.feed.transport = settings.orders.transport = TRANSPORT_VERBS;
    strcpy(settings.feed.gateway, "127.0.0.1");
    settings.feed.gateway_port = settings.orders.port = gateway_settings.port;
    strcpy(settings.orders.host, "127.0.0.1");
    settings.orders.tos = 104;
}

static inline void *serve(void *unused)
{
    (void)unused;
    gateway_good = gateway_run(&gateway, &gateway_failure);
    gateway_close(&gateway);
    return NULL;
}

static inline void start_gateway(void)
{
    CHECK(gateway_open(&gateway, &gateway_settings, &places, &failure));
    CHECK(pthread_create(&gateway_thread, NULL, serve, NULL) == 0);
}

static inline void stop_gateway(void)
{
    gateway_stop(&gateway);
    CHECK(pthread_join(gateway_thread, NULL) == 0);
    gateway_release(&gateway);
}

static inline void open_engine(void)
{
    CHECK(verbs_open(&verbs, &settings, &places, request_buffer, &failure));
    feed = verbs_feed_interface(&verbs.feed);
    orders = verbs_orders_interface(&verbs.orders);
}

static inline bool within(bool (*there)(void))
{
    for (uint64_t until = clock_now() + PATIENCE_NS; clock_now() < until; poll(NULL, 0, 1))
        if (there())
            return true;
    return false;
}

static inline bool both_subscribed(void)
{
    return atomic_load(&gateway.counts.subscribers) == 2;
}

static inline bool nobody_subscribed(void)
{
    return atomic_load(&gateway.counts.subscribers) == 0;
}

static inline void say(int fd, uint16_t port, uint32_t number, uint32_t length)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t bytes[LINE_PACKET_MAX];
    memset(bytes, (int)number, sizeof bytes);
    put32(bytes, number);
    CHECK(sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)length);
}

static inline bool taken(void)
{
    return orders.take(orders.self);
}

/* The bridge's connection at the order server. */
static inline int connect_orders(void)
{
    CHECK(verbs_connect(&verbs, &settings.orders, -1, &failure) && within(taken));
    int fd = accept(server, NULL, NULL);
    CHECK(fd >= 0);
    return fd;
}

static inline int knock(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(gateway_settings.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* 0: subscribed; an errno: refused; -1: closed without an answer. */
static inline int answered(int fd)
{
    uint8_t answer[SUBSCRIPTION_ANSWER];
    ssize_t got = recv(fd, answer, sizeof answer, MSG_WAITALL);
    CHECK(got == (ssize_t)sizeof answer || got == 0 || (got < 0 && errno == ECONNRESET));
    return got > 0 ? (int)get32(answer) : -1;
}

static inline bool is_told(const char *words)
{
    char problem[256];
    gateway_problem(&gateway, problem, sizeof problem);
    return strstr(problem, words) != NULL;
}

/* Before and after all tests of a program. */
static inline void pair_open(const char *program)
{
    site_open(program);
    configure();
    gateway_init(&gateway);
    verbs_init(&verbs);
}

static inline void pair_close(void)
{
    CHECK(twin_of_rdma->objects <= 2); /* this program keeps the double loaded, and so its devices open */
    close(server);
    close(wake);
    site_close();
}

#endif

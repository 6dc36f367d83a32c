/* SPDX-License-Identifier: Apache-2.0
 *
 * A user's strategy: functions compiled elsewhere (numba.cfunc; tickwire/strategy.py makes them), called through the addresses in
 * settings->user. They see the records of strategy.h, their own state, and no interpreter.
 *
 * A function that fails (a Python exception, or more orders than there is room for) has left its state half changed. Its orders
 * are dropped and nothing of the strategy is called again before a restart: no order is better than a wrong one. Instruments that
 * strategy.symbols leaves out never reach it.
 *
 * A function that does not return cannot be ended from outside, but it can be told from an engine that waits for something else:
 * two stores around each call say where the thread is. */
#include <stdatomic.h>
#include <string.h>

#include "strategy.h"

struct user {
    struct tw_user_functions functions;
    uint32_t failures;
    struct tw_strategy_settings settings; /* for the symbols */
    _Alignas(64) uint8_t state[];
};

/* One of the process, which has one engine; on a cache line of its own. */
static struct {
    _Alignas(64) _Atomic uint64_t word;
} call;

uint64_t tw_user_call(void)
{
    return atomic_load_explicit(&call.word, memory_order_relaxed);
}

static inline void enter(enum tw_user_function function)
{
    uint64_t word = atomic_load_explicit(&call.word, memory_order_relaxed);
    atomic_store_explicit(&call.word, word + TW_CALLS + function, memory_order_relaxed);
}

static inline void leave(void)
{
    uint64_t word = atomic_load_explicit(&call.word, memory_order_relaxed);
    atomic_store_explicit(&call.word, word - word % TW_CALLS, memory_order_relaxed);
}

static size_t footprint(const struct tw_strategy_settings *settings)
{
    return sizeof(struct user) + settings->user.state_bytes;
}

static uint32_t tags(const struct tw_strategy_settings *settings)
{
    return settings->user.tags;
}

static uint32_t failed(struct user *user)
{
    user->failures = 1;
    return 0;
}

static void init(void *memory, const struct tw_strategy_settings *settings)
{
    struct user *user = memory;
    user->functions = settings->user;
    user->settings = *settings;
    if (user->functions.init == NULL)
        return;
    enter(TW_IN_INIT);
    uint32_t result = user->functions.init(user->state, settings);
    leave();
    if (result == TW_USER_FAILED)
        failed(user);
}

static void reset(void *memory)
{
    struct user *user = memory;
    if (user->failures != 0 || user->functions.reset == NULL)
        return;
    enter(TW_IN_RESET);
    uint32_t result = user->functions.reset(user->state);
    leave();
    if (result == TW_USER_FAILED)
        failed(user);
}

static uint32_t on_instrument(void *memory, uint16_t locate, const uint8_t stock[8])
{
    struct user *user = memory;
    uint64_t symbol;
    if (user->failures != 0 || !tw_strategy_names(&user->settings, stock))
        return 0;
    if (user->functions.on_instrument == NULL)
        return 1;
    memcpy(&symbol, stock, sizeof symbol);
    enter(TW_IN_ON_INSTRUMENT);
    uint32_t watched = user->functions.on_instrument(user->state, locate, symbol);
    leave();
    return watched == TW_USER_FAILED ? failed(user) : watched;
}

static uint32_t on_top(void *memory, const struct tw_event *event, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct user *user = memory;
    if (user->failures != 0)
        return 0;
    enter(TW_IN_ON_TOP);
    uint32_t count = user->functions.on_top(user->state, event, orders);
    leave();
    return count > TW_STRATEGY_ORDERS ? failed(user) : count;
}

static uint32_t on_update(void *memory, const struct tw_update *update, struct tw_order orders[TW_STRATEGY_ORDERS])
{
    struct user *user = memory;
    if (user->failures != 0 || user->functions.on_update == NULL)
        return 0;
    enter(TW_IN_ON_UPDATE);
    uint32_t count = user->functions.on_update(user->state, update, orders);
    leave();
    return count > TW_STRATEGY_ORDERS ? failed(user) : count;
}

uint32_t tw_user_failures(const void *state)
{
    return ((const struct user *)state)->failures;
}

const struct tw_strategy tw_strategy_user = {
    "user", TW_STRATEGY_ABI, footprint, tags, init, reset, on_instrument, on_top, on_update};

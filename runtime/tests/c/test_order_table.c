/* SPDX-License-Identifier: Apache-2.0
 *
 * The order table against a plain array: references that are neighbours, that share a slot of the window, and that are anything. */
#include "check.h"
#include "order_table.h"

#define MAX_ORDERS 600
#define REFERENCES 900
#define STEPS 300000

struct naive {
    uint64_t reference;
    uint32_t price, shares; /* 0 shares: not live */
    uint16_t locate;
    uint8_t side;
};

static struct naive orders[REFERENCES];
static struct order_table table;

static void compare(const struct naive *order)
{
    const struct order_slot *found = order_table_find(&table, order->reference);
    CHECK((found != NULL) == (order->shares > 0));
    if (found != NULL)
        CHECK(found->price == order->price && found->shares == order->shares && order_locate(found) == order->locate &&
              order_side(found) == order->side);
}

static void toggle(struct naive *order, uint64_t *seed)
{
    if (order->shares > 0) {
        order_table_erase(&table, order_table_find(&table, order->reference), order->reference);
        order->shares = 0;
        return;
    }
    order->price = (uint32_t)chance(seed);
    order->shares = 1 + (uint32_t)(chance(seed) % 1000);
    order->locate = (uint16_t)chance(seed);
    order->side = (uint8_t)(chance(seed) >> 63);
    order_table_put(&table, order->reference, 2u * order->locate + order->side, order->price, order->shares);
}

static void forgets_nothing(uint64_t seed)
{
    unsigned live = 0;
    for (int step = 0; step < STEPS; step++) {
        struct naive *order = &orders[chance(&seed) % REFERENCES];
        if (order->shares == 0 && live == MAX_ORDERS)
            continue;
        live += order->shares == 0 ? 1u : -1u;
        toggle(order, &seed);
        compare(order);
        compare(&orders[chance(&seed) % REFERENCES]);
    }
    CHECK(live > 0);
    for (unsigned i = 0; i < REFERENCES; i++) { /* the last ones are found to the last */
        compare(&orders[REFERENCES - 1]);
        compare(&orders[i]);
        if (orders[i].shares > 0)
            toggle(&orders[i], &seed);
        compare(&orders[i]);
    }
}

static void empty(uint64_t (*reference)(unsigned i))
{
    order_table_clear(&table);
    for (unsigned i = 0; i < REFERENCES; i++) {
        orders[i] = (struct naive){.reference = reference(i)};
        compare(&orders[i]);
    }
}

static uint64_t neighbours(unsigned i)
{
    return 1000000 + i;
}

static uint64_t one_slot(unsigned i) /* more orders elsewhere than are counted */
{
    return 7 + (uint64_t)i * ((uint64_t)table.window_mask + 1);
}

static uint64_t few_slots(unsigned i)
{
    return UINT64_MAX - i % 3 - (uint64_t)(i / 3) * ((uint64_t)table.window_mask + 1) * 5;
}

static uint64_t anything(unsigned i)
{
    uint64_t seed = 99 + i;
    chance(&seed);
    return chance(&seed) << 12 | i;
}

int main(void)
{
    struct arena arena;
    CHECK(arena_open(&arena, order_table_footprint(MAX_ORDERS)));
    CHECK(order_table_init(&table, &arena, MAX_ORDERS) && arena.used == order_table_footprint(MAX_ORDERS));
    uint64_t (*const kinds[])(unsigned) = {neighbours, one_slot, few_slots, anything};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        empty(kinds[i]);
        forgets_nothing(1 + i);
    }
    arena_close(&arena);
    return DONE();
}

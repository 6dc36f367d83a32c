/* SPDX-License-Identifier: Apache-2.0 */
#include "strategy.h"

#include <string.h>

const struct tw_strategy *tw_strategy_find(const char *name)
{
    static const struct tw_strategy *const built_in[] = {&tw_strategy_imbalance, &tw_strategy_market_maker, &tw_strategy_spread};
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (strcmp(built_in[i]->name, name) == 0)
            return built_in[i];
    return NULL;
}

uint32_t tw_strategy_names(const struct tw_strategy_settings *settings, const uint8_t stock[8])
{
    for (uint32_t i = 0; i < settings->symbol_count; i++)
        if (memcmp(settings->symbols[i], stock, 8) == 0)
            return 1;
    return settings->symbol_count == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "strategy.h"

#include <string.h>

const struct tw_strategy *tw_strategy_find(const char *name)
{
    static const struct tw_strategy *const built_in[] = {&tw_strategy_imbalance};
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (strcmp(built_in[i]->name, name) == 0)
            return built_in[i];
    return NULL;
}

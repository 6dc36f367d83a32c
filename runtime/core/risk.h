/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks every order passes before it is sent. There is no way around them and no switch to turn them off. */
#ifndef TICKWIRE_RISK_H
#define TICKWIRE_RISK_H

#include "book.h"
#include "strategy.h"

struct risk_limits {
    uint32_t max_size;   /* shares per order */
    uint32_t collar_bps; /* farthest from the mid of the book, in 1/100 percent of it */
};

enum risk_verdict {
    RISK_PASSED,
    RISK_SIZE,   /* no shares, or more than max_size */
    RISK_COLLAR, /* too far from the mid, or a one-sided book, which has none */
};

enum risk_verdict risk_check(const struct risk_limits *limits, const struct tw_order *order, const struct book_top *top);

#endif

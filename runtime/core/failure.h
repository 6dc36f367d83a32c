/* SPDX-License-Identifier: Apache-2.0
 *
 * What went wrong, for a person: an errno and a sentence that names the thing. Off the hot path only. */
#ifndef TICKWIRE_FAILURE_H
#define TICKWIRE_FAILURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct failure {
    int code; /* errno; 0: nothing failed */
    char text[384];
};

/* Always false, so that a failing function can `return failure_set(...)`. */
__attribute__((format(printf, 3, 4))) static inline bool failure_set(struct failure *failure, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    failure->code = code;
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return false;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Records found, and pages kept writable. What concerns the file is in journal_file.c. */
#include "journal.h"

const struct journal_record *journal_at(const struct journal *journal, uint64_t index)
{
    return journal->map != NULL && index < journal->count ? &journal->records[index] : NULL;
}

void journal_ahead(const struct journal *journal)
{
    enum { A_PAGE = 4096 / sizeof(struct journal_record) };
    if (journal->map == NULL || journal->fd < 0)
        return;
    uint64_t at = __atomic_load_n(&journal->count, __ATOMIC_RELAXED);
    for (unsigned page = 0; page < JOURNAL_AHEAD && at < journal->capacity; page++, at += A_PAGE)
        __atomic_fetch_add(&journal->records[at].reserved, 0, __ATOMIC_RELAXED);
}

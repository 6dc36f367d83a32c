/* SPDX-License-Identifier: Apache-2.0
 *
 * Records: written, checked, found. What concerns the file is in journal_file.c. */
#include "journal.h"

#include <stdatomic.h>

#define WORDS 7 /* before the checksum */

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t mix(const uint64_t w[WORDS])
{
    /* Any odd constants without a pattern would do: these are digits of pi. */
    uint64_t h = fold(w[0] ^ 0x243F6A8885A308D3u, w[1] ^ 0x13198A2E03707345u) ^
                 fold(w[2] ^ 0xA4093822299F31D1u, w[3] ^ 0x082EFA98EC4E6C89u) ^
                 fold(w[4] ^ 0x452821E638D01377u, w[5] ^ 0xBE5466CF34E90C6Du) ^ fold(w[6] ^ 0xC0AC29B7C97C50DDu, 0x3F84D5B5B5470917u);
    return (uint32_t)(h ^ h >> 32);
}

uint32_t journal_checksum(const struct journal_record *record)
{
    uint64_t words[WORDS];
    memcpy(words, record, sizeof words);
    return mix(words);
}

void journal_append(struct journal *journal, struct journal_record *record)
{
    if (journal->map == NULL)
        return;
    uint64_t count = journal->count, words[WORDS];
    struct journal_record *at = &journal->records[count];
    record->sequence = journal->generation + count + 1;
    memcpy(words, record, sizeof words);
    record->checksum = mix(words);
    memcpy((uint8_t *)at + sizeof words[0], &words[1], sizeof words - sizeof words[0]);
    at->checksum = record->checksum;
    __atomic_store_n(&at->sequence, record->sequence, __ATOMIC_RELEASE);
    __atomic_store_n(&journal->count, count + 1, __ATOMIC_RELAXED); /* journal_sync reads it from another thread */
}

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

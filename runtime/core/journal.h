/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: every change of order state, appended to a file before it takes effect outside.
 *
 * The file is allocated and mapped at start, so that appending is a store into memory: no system call on the hot path, and a
 * killed process loses nothing, because the pages belong to the kernel. (A host that loses power may lose what the kernel had not
 * written; the housekeeping thread calls journal_sync to keep that short.) When it is full no new order may go out: journal_room
 * says so.
 *
 * Layout: a header of one page, then records of 64 bytes. How many there are is not stored but found by scanning, so no counter can
 * disagree with the records. A record counts when its sequence is the one its place asks for and its checksum is right; the first
 * that does not count ends the journal. The sequence is stored last, with release order, so that a SIGKILL between any two
 * instructions leaves the whole record or none, and a reader beside the engine sees no half record.
 *
 * A record that has the right sequence and a wrong checksum, or records behind such a hole, are the work of a power loss. They are
 * never used: journal_open counts them in `lost` and appends a JOURNAL_TORN record, which says so for good and begins a new
 * generation. The generation is the upper half of every sequence behind it, so what still lies there can never be taken for a
 * continuation.
 *
 * Page faults: the kernel write-protects a page of a file when it writes it back, and the next store into it faults (about a
 * microsecond, and it may wait for the file system). So the pages the engine will reach next are made writable ahead of it: an
 * atomic addition of 0 to a word of each, which changes nothing and races with nothing. The housekeeping thread does it many times
 * a second (journal_ahead), and journal_sync ends with it; on tmpfs there is no write-back and the question does not arise. A store during the milliseconds of the write-back itself may still fault.
 *
 * One file a trading day (`name` in its header); a file of another day or user is refused with a message, not overwritten. One
 * engine a file: it is locked as long as it is open. */
#ifndef TICKWIRE_JOURNAL_H
#define TICKWIRE_JOURNAL_H

#include "failure.h"
#include "wire.h"

#define JOURNAL_MAGIC "TWJOURNL"
#define JOURNAL_VERSION 1u
#define JOURNAL_NAME 32
#define JOURNAL_HEADER_BYTES 4096u
#define JOURNAL_RECORDS_LIMIT (1ull << 31)
#define JOURNAL_AHEAD 64u /* pages kept writable before the engine: 4096 records between two journal_ahead */
#define JOURNAL_PREFETCH 8   /* records */
#define JOURNAL_GENERATION (1ull << 32)

enum journal_kind {
    JOURNAL_ENTER = 'O',    /* about to be sent */
    JOURNAL_REPLACE = 'U',  /* about to be sent: reference replaces original */
    JOURNAL_CANCEL = 'X',   /* about to be sent */
    JOURNAL_UNSENT = 'N',   /* none of it was sent, or the exchange never saw it: as if it had not been. answer: tw_action */
    JOURNAL_ANSWER = 'A',   /* one sequenced message of the exchange, normalised; tag holds its reason */
    JOURNAL_SESSION = 'S',  /* logged in to this session: symbol, side and time_in_force hold the ten characters of its id */
    JOURNAL_TORN = 'T',     /* `shares` records behind this place were lost; reference: the highest in them that can be read */
};

struct journal_record {
    uint64_t sequence;       /* of the record, from 1; the upper half is the generation */
    uint64_t answer_sequence;/* of the SoupBinTCP session, for JOURNAL_ANSWER; JOURNAL_SESSION: the next; else 0 */
    uint64_t match_number;
    uint8_t symbol[8];
    uint32_t reference;
    uint32_t original;       /* the reference replaced; else 0 */
    uint32_t price;
    uint32_t shares;
    uint32_t tag;
    uint8_t kind;            /* journal_kind */
    uint8_t answer;          /* tw_update_kind of an answer, else 0 */
    uint8_t side;
    uint8_t time_in_force;
    uint32_t checksum;       /* of all before it */
    uint32_t reserved;       /* 0; the word by which pages are made writable */
};
_Static_assert(sizeof(struct journal_record) == 64, "one cache line a record");

struct journal {
    struct journal_record *records;
    uint64_t count;
    uint64_t capacity;
    uint64_t generation;     /* what is added to the sequences: a multiple of JOURNAL_GENERATION */
    uint64_t lost;           /* records found torn or behind a hole when it was opened */
    void *map;               /* NULL: no journal (replay in memory); appending does nothing */
    uint64_t map_bytes;
    int fd;                  /* -1: opened for reading only */
    char name[JOURNAL_NAME];
};

/* Open or make `path` with room for `capacity` records behind those it has, all of it allocated on disk (ENOSPC names path, bytes
 * needed and bytes free). Records of before are in place: walk them with journal_at. `name`: who and which day, up to 31
 * characters. */
bool journal_open(struct journal *journal, const char *path, const char *name, uint64_t capacity, struct failure *failure);
void journal_close(struct journal *journal);

/* Map `path` for reading, also beside the engine that writes it: what it held at this moment. */
bool journal_open_read(struct journal *journal, const char *path, struct failure *failure);

static inline uint64_t journal_room(const struct journal *journal)
{
    return journal->map == NULL ? UINT64_MAX : journal->capacity - journal->count;
}

#define JOURNAL_WORDS 7 /* before the checksum */
typedef uint64_t __attribute__((may_alias)) journal_word; /* of a record */

static inline uint64_t journal_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Four independent 64 by 64 bit multiplications over the seven words, folded: short, and no chain. It finds accidents, not forgers.
 * Any constants without a pattern would do: these are digits of pi. */
static inline uint32_t journal_mix(const uint64_t w[JOURNAL_WORDS])
{
    uint64_t h = journal_fold(w[0] ^ 0x243F6A8885A308D3u, w[1] ^ 0x13198A2E03707345u) ^
                 journal_fold(w[2] ^ 0xA4093822299F31D1u, w[3] ^ 0x082EFA98EC4E6C89u) ^
                 journal_fold(w[4] ^ 0x452821E638D01377u, w[5] ^ 0xBE5466CF34E90C6Du) ^
                 journal_fold(w[6] ^ 0xC0AC29B7C97C50DDu, 0x3F84D5B5B5470917u);
    return (uint32_t)(h ^ h >> 32);
}

/* `record` gets its sequence and checksum. The caller has checked journal_room. Inline, and the words are put together from the
 * fields, so that a record just filled in goes from registers to its place: reading it back in words would wait for the narrower
 * stores. The lines of the records to come are fetched meanwhile. */
__attribute__((always_inline)) static inline void journal_append(struct journal *journal, struct journal_record *record)
{
    uint64_t count = journal->count, w[JOURNAL_WORDS];
    if (journal->map == NULL)
        return;
    struct journal_record *at = &journal->records[count];
    w[0] = record->sequence = journal->generation + count + 1;
    w[1] = record->answer_sequence;
    w[2] = record->match_number;
    memcpy(&w[3], record->symbol, sizeof w[3]);
    w[4] = record->reference | (uint64_t)record->original << 32;
    w[5] = record->price | (uint64_t)record->shares << 32;
    w[6] = record->tag | (uint64_t)record->kind << 32 | (uint64_t)record->answer << 40 | (uint64_t)record->side << 48 |
           (uint64_t)record->time_in_force << 56;
    record->checksum = journal_mix(w);
    journal_word *words = (journal_word *)at;
    for (unsigned i = 1; i < JOURNAL_WORDS; i++) /* atomic: else the compiler makes pairs of them, and those by way of memory */
        __atomic_store_n(&words[i], w[i], __ATOMIC_RELAXED);
    at->checksum = record->checksum;
    __atomic_store_n(&at->sequence, w[0], __ATOMIC_RELEASE);
    __atomic_store_n(&journal->count, count + 1, __ATOMIC_RELAXED); /* journal_sync reads it from another thread */
    __builtin_prefetch(at + JOURNAL_PREFETCH, 1);
}

/* Of a record in the file. */
static inline uint32_t journal_checksum(const struct journal_record *record)
{
    uint64_t words[JOURNAL_WORDS];
    memcpy(words, record, sizeof words);
    return journal_mix(words);
}

/* NULL behind the last. */
const struct journal_record *journal_at(const struct journal *journal, uint64_t index);

/* From the housekeeping thread: have the kernel write what it has, and return when it has; then journal_ahead. */
bool journal_sync(const struct journal *journal, struct failure *failure);

/* Make the next JOURNAL_AHEAD pages writable again, see above. From any thread, as often as wanted. */
void journal_ahead(const struct journal *journal);

#endif

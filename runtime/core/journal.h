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
 * atomic addition of 0 to a word of each, which changes nothing and races with nothing. journal_sync ends with it; on tmpfs there
 * is no write-back and the question does not arise. A store during the milliseconds of the write-back itself may still fault.
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
#define JOURNAL_AHEAD 64u /* pages kept writable before the engine: 4096 records between two journal_sync */
#define JOURNAL_GENERATION (1ull << 32)

enum journal_kind {
    JOURNAL_ENTER = 'O',    /* about to be sent */
    JOURNAL_REPLACE = 'U',  /* about to be sent: reference replaces original */
    JOURNAL_CANCEL = 'X',   /* about to be sent */
    JOURNAL_UNSENT = 'N',   /* the transport took none of it, or the exchange never saw it: as if it had not been. answer: tw_action */
    JOURNAL_ANSWER = 'A',   /* one sequenced message of the exchange, normalised; tag holds its reason */
    JOURNAL_SESSION = 'S',  /* logged in to this session: symbol, side and time_in_force hold the ten characters of its id */
    JOURNAL_TORN = 'T',     /* `shares` records behind this place were lost; reference: the highest in them that can be read */
};

struct journal_record {
    uint64_t sequence;       /* of the record, from 1; the upper half is the generation */
    uint64_t answer_sequence;/* of the SoupBinTCP session, for JOURNAL_ANSWER; JOURNAL_SESSION: the next; else 0 */
    uint64_t match_number;
    uint32_t reference;
    uint32_t original;       /* the reference replaced; else 0 */
    uint32_t price;
    uint32_t shares;
    uint32_t tag;
    uint8_t symbol[8];
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

/* `record` gets its sequence and checksum. The caller has checked journal_room. */
void journal_append(struct journal *journal, struct journal_record *record);

/* NULL behind the last. */
const struct journal_record *journal_at(const struct journal *journal, uint64_t index);

/* From the housekeeping thread: have the kernel write what it has, and return when it has; then journal_ahead. */
bool journal_sync(const struct journal *journal, struct failure *failure);

/* Make the next JOURNAL_AHEAD pages writable again, see above. From any thread, as often as wanted. */
void journal_ahead(const struct journal *journal);

/* Four independent 64 by 64 bit multiplications over the seven words before it, folded: short, and no chain. It finds accidents,
 * not forgers. */
uint32_t journal_checksum(const struct journal_record *record);

#endif

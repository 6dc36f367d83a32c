/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: every change of order state, appended to a file before it takes effect outside.
 *
 * The file is allocated and mapped at start, so that appending is a store into memory: no system call on the hot path, and a
 * killed process loses nothing, because the pages belong to the kernel. (A host that loses power may lose what the kernel had not
 * written; the housekeeping thread calls journal_sync to keep that short.) Records are 64 bytes with their own sequence and
 * checksum; the first that does not check ends the journal. When it is full no new order may go out: journal_room says so.
 *
 * One file a trading day (`name` in its header); a file of another day or user is refused with a message, not overwritten. */
#ifndef TICKWIRE_JOURNAL_H
#define TICKWIRE_JOURNAL_H

#include "failure.h"
#include "wire.h"

#define JOURNAL_MAGIC "TWJOURNL"
#define JOURNAL_VERSION 1u

enum journal_kind {
    JOURNAL_ENTER = 'O',    /* about to be sent */
    JOURNAL_REPLACE = 'U',  /* about to be sent: reference replaces original */
    JOURNAL_CANCEL = 'X',   /* about to be sent */
    JOURNAL_UNSENT = 'N',   /* the transport took none of it: as if it had not been */
    JOURNAL_ANSWER = 'A',   /* one sequenced message of the exchange, normalised; sequence is of its session */
    JOURNAL_SESSION = 'S',  /* logged in to this session: symbol and rest hold its id */
};

struct journal_record {
    uint64_t sequence;       /* of the record, from 1 */
    uint64_t answer_sequence;/* of the SoupBinTCP session, for JOURNAL_ANSWER; else 0 */
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
    uint32_t reserved;
};

struct journal {
    struct journal_record *records;
    uint64_t count;
    uint64_t capacity;
    void *map;               /* NULL: no journal (replay in memory); appending does nothing */
    uint64_t map_bytes;
    int fd;
};

/* Open or make `path` with room for `capacity` records, all of it allocated on disk (ENOSPC names path and bytes). Records of
 * before are in place: walk them with journal_at. `name`: who and which day, up to 31 characters. */
bool journal_open(struct journal *journal, const char *path, const char *name, uint64_t capacity, struct failure *failure);
void journal_close(struct journal *journal);

static inline uint64_t journal_room(const struct journal *journal)
{
    return journal->map == NULL ? UINT64_MAX : journal->capacity - journal->count;
}

/* `record` gets its sequence and checksum. The caller has checked journal_room. */
void journal_append(struct journal *journal, struct journal_record *record);
const struct journal_record *journal_at(const struct journal *journal, uint64_t index);

/* From the housekeeping thread: have the kernel write what it has. */
bool journal_sync(const struct journal *journal, struct failure *failure);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The control block: a file beside the shared block through which limits change and trading is stopped while the engine runs.
 *
 * The engine maps it and only reads; `tickwire limits`, `tickwire kill` and the engine's own housekeeping thread write. Limits and
 * the restricted list are written between two increments of `lock`, odd while a change is under way; the engine takes a new
 * version when `lock` is even and not the one it has. `killed` is a word of its own, so that stopping never waits for anything. */
#ifndef TICKWIRE_CONTROL_H
#define TICKWIRE_CONTROL_H

#include <stdatomic.h>

#include "failure.h"
#include "risk.h"

#define CONTROL_MAGIC "TWCONTRL"
#define CONTROL_VERSION 1u

enum control_kill_bits {
    CONTROL_KILLED = 1, /* until revived */
    CONTROL_HELD = 2,   /* the kill file is there: cannot be revived */
};

struct control {
    char magic[8];
    uint32_t version;
    uint32_t bytes;
    _Atomic uint64_t lock;
    _Atomic uint32_t killed;   /* of enum control_kill_bits; not 0: no order goes out, whatever else is set */
    uint32_t restricted_count;
    struct risk_limits limits;
    uint8_t restricted[RISK_RESTRICTED_MAX][8];
    char reason[64];           /* of the kill: who and why, for the log */
};

/* Make it at `path` with these contents, or (`path` empty) in anonymous memory. NULL with `failure`. A file that is there from an
 * engine before is filled anew, except that its kill stays: restarting is no way around a kill switch. Nor is a file that cannot be
 * read as one: it is refused. The restricted list is empty. */
struct control *control_create(const char *path, const struct risk_limits *limits, struct failure *failure);

/* Map an existing one for writing by another process. NULL with `failure`; EBADMSG when it is none of this version. */
struct control *control_map(const char *path, struct failure *failure);
void control_unmap(struct control *control);

/* Writers, one at a time: those of several processes hold this lock of the open file around a change (what concerns kills need not).
 * False with `failure` (ETIMEDOUT) when another has it for a second. The engine has it only while it creates. */
bool control_lock(int fd, const char *path, struct failure *failure);
void control_unlock(int fd);

/* A list of more than RISK_RESTRICTED_MAX is refused. */
void control_put_limits(struct control *control, const struct risk_limits *limits);
bool control_put_restricted(struct control *control, const uint8_t symbols[][8], uint32_t count);
void control_kill(struct control *control, const char *reason);
/* Whether the kill file is there: a kill is held as long as it is. */
void control_hold(struct control *control, bool held);
/* False: it is held, and stays killed. */
bool control_revive(struct control *control);

/* Limits, list, lock, kill and reason of one version; false when a change was under way (try again). */
bool control_copy(const struct control *control, struct control *copy);

/* The engine, between packets: put what has changed into `risk`. `seen` is the lock of the version it has; returns true when there
 * was something new. Never waits: a change under way is taken next time. The kill word is always looked at. What the block shows as
 * limits_version is the low half of `seen`. */
bool control_take(const struct control *control, struct risk *risk, uint64_t *seen);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "mapped.h"
#include "wire.h"

#define WHAT "control file"
#define PATIENCE_MS 1000 /* for another writer; a change takes microseconds */

_Static_assert(sizeof(struct control) % 8 == 0, "a file of whole words");
_Static_assert(offsetof(struct control, limits) % 8 == 0 && sizeof(struct risk_limits) % 8 == 0, "copied word by word");
_Static_assert(offsetof(struct control, restricted) % 8 == 0 && offsetof(struct control, reason) % 8 == 0, "copied word by word");

/* --- words under the lock ---
 * Readers may copy while a writer writes, and then throw the copy away; so every word is an atomic access. Its order does what
 * fences would: no word is written before `lock` is odd, none is read after `lock` is read again. */

static void put_words(void *to, const void *from, size_t bytes)
{
    uint64_t *words = to;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + 8 * i, 8);
        __atomic_store_n(&words[i], word, __ATOMIC_RELEASE);
    }
}

static void get_words(void *to, const void *from, size_t bytes)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t word = __atomic_load_n(&words[i], __ATOMIC_ACQUIRE);
        memcpy((uint8_t *)to + 8 * i, &word, 8);
    }
}

/* Odd, and other than before: also when the writer before was killed within its change and left it odd. */
static void begin_change(struct control *control)
{
    uint64_t lock = atomic_load_explicit(&control->lock, memory_order_relaxed);
    atomic_store_explicit(&control->lock, lock + 1 + lock % 2, memory_order_relaxed);
}

static void end_change(struct control *control)
{
    uint64_t lock = atomic_load_explicit(&control->lock, memory_order_relaxed);
    atomic_store_explicit(&control->lock, lock + 1, memory_order_release);
}

/* --- the file --- */

static bool check_header(const struct control *control, const char *path, struct failure *failure)
{
    uint32_t count = __atomic_load_n(&control->restricted_count, __ATOMIC_RELAXED);
    if (memcmp(control->magic, CONTROL_MAGIC, sizeof control->magic) != 0)
        return failure_set(failure, EBADMSG, WHAT " %s: not a tickwire control block", path);
    if (control->version != CONTROL_VERSION)
        return failure_set(failure, EBADMSG, WHAT " %s: version %u, this release has version %u", path, control->version,
                           CONTROL_VERSION);
    if (control->bytes != sizeof *control || count > RISK_RESTRICTED_MAX)
        return failure_set(failure, EBADMSG, WHAT " %s: damaged: says %u bytes and %u restricted symbols", path,
                           control->bytes, count);
    return true;
}

/* Open what is there, and leave it open in `fd`. NULL with `failure`; its code is ENOENT when there is nothing. */
static struct control *open_existing(const char *path, int *fd, struct failure *failure)
{
    size_t bytes;
    struct control *control = mapped_open(WHAT, path, sizeof *control, sizeof *control, &bytes, fd, failure);
    if (control == NULL || check_header(control, path, failure))
        return control;
    control_unmap(control);
    close(*fd);
    return NULL;
}

static struct control *make(const char *path, const struct risk_limits *limits, struct failure *failure)
{
    struct control *control = mapped_make(WHAT, path, sizeof *control, failure);
    if (control == NULL)
        return NULL;
    memcpy(control->magic, CONTROL_MAGIC, sizeof control->magic);
    control->version = CONTROL_VERSION;
    control->bytes = sizeof *control;
    control_put_limits(control, limits);
    return mapped_publish(WHAT, path, control, sizeof *control, failure) ? control : NULL;
}

struct control *control_create(const char *path, const struct risk_limits *limits, struct failure *failure)
{
    int fd = -1;
    if (path[0] == '\0')
        return make(path, limits, failure);
    struct control *control = open_existing(path, &fd, failure);
    if (control == NULL && failure->code == ENOENT)
        return make(path, limits, failure);
    if (control == NULL) {
        /* Whether it says "killed" cannot be known, so a person must look. */
        size_t said = strlen(failure->text);
        snprintf(failure->text + said, sizeof failure->text - said, "; remove it when trading may start");
        return NULL;
    }
    /* The same file is filled anew: who has it mapped, to stop trading, say, still reaches this engine. */
    bool mine = control_lock(fd, path, failure);
    if (mine) {
        control_put_limits(control, limits);
        control_put_restricted(control, NULL, 0);
        control_unlock(fd); /* closing is not enough: the mapping keeps the open file, and with it the lock */
    } else {
        control_unmap(control);
        control = NULL;
    }
    close(fd);
    return control;
}

struct control *control_map(const char *path, struct failure *failure)
{
    int fd;
    struct control *control = open_existing(path, &fd, failure);
    if (control != NULL)
        close(fd);
    return control;
}

void control_unmap(struct control *control)
{
    if (control != NULL)
        munmap(control, sizeof *control);
}

/* --- writers --- */

bool control_lock(int fd, const char *path, struct failure *failure)
{
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return failure_set(failure, errno, WHAT " %s: flock: %s", path, strerror(errno));
        if (waited == PATIENCE_MS)
            return failure_set(failure, ETIMEDOUT, WHAT " %s: another process has held it for %d ms; see which with fuser",
                               path, PATIENCE_MS);
        clock_sleep_until(clock_now() + NS_PER_MS);
    }
    return true;
}

void control_unlock(int fd)
{
    flock(fd, LOCK_UN);
}

void control_put_limits(struct control *control, const struct risk_limits *limits)
{
    begin_change(control);
    put_words(&control->limits, limits, sizeof *limits);
    end_change(control);
}

bool control_put_restricted(struct control *control, const uint8_t symbols[][8], uint32_t count)
{
    if (count > RISK_RESTRICTED_MAX)
        return false;
    begin_change(control);
    __atomic_store_n(&control->restricted_count, count, __ATOMIC_RELEASE);
    put_words(control->restricted, symbols, 8 * (size_t)count);
    end_change(control);
    return true;
}

void control_kill(struct control *control, const char *reason)
{
    uint8_t text[sizeof control->reason] = {0};
    atomic_fetch_or(&control->killed, CONTROL_KILLED); /* first: the text is only for people */
    memcpy(text, reason, strnlen(reason, sizeof text - 1));
    put_words(control->reason, text, sizeof text);
}

void control_hold(struct control *control, bool held)
{
    bool holds = (atomic_load(&control->killed) & CONTROL_HELD) != 0;
    if (holds == held) /* asked many times a second: the engine keeps this line, which a write would take from it */
        return;
    if (held)
        atomic_fetch_or(&control->killed, CONTROL_KILLED | CONTROL_HELD);
    else
        atomic_fetch_and(&control->killed, ~(uint32_t)CONTROL_HELD);
}

bool control_revive(struct control *control)
{
    static const uint8_t nothing[sizeof control->reason];
    uint32_t killed = atomic_load(&control->killed);
    do {
        if ((killed & CONTROL_HELD) != 0)
            return false;
    } while (!atomic_compare_exchange_weak(&control->killed, &killed, 0));
    put_words(control->reason, nothing, sizeof nothing);
    return true;
}

/* --- readers --- */

bool control_copy(const struct control *control, struct control *copy)
{
    uint64_t before = atomic_load_explicit(&control->lock, memory_order_acquire);
    memset(copy, 0, sizeof *copy);
    copy->restricted_count = __atomic_load_n(&control->restricted_count, __ATOMIC_ACQUIRE);
    get_words(&copy->limits, &control->limits, sizeof copy->limits);
    get_words(copy->restricted, control->restricted, sizeof copy->restricted);
    get_words(copy->reason, control->reason, sizeof copy->reason);
    atomic_init(&copy->killed, atomic_load(&control->killed));
    atomic_init(&copy->lock, before);
    return before % 2 == 0 && before == atomic_load_explicit(&control->lock, memory_order_relaxed) &&
           copy->restricted_count <= RISK_RESTRICTED_MAX;
}

bool control_take(const struct control *control, struct risk *risk, uint64_t *seen)
{
    risk_set_killed(risk, atomic_load_explicit(&control->killed, memory_order_relaxed) != 0);
    uint64_t lock = atomic_load_explicit(&control->lock, memory_order_relaxed);
    if (LIKELY(lock == *seen) || lock % 2 != 0)
        return false;
    struct control copy;
    if (!control_copy(control, &copy))
        return false;
    risk_set_limits(risk, &copy.limits);
    risk_set_restricted(risk, (const uint8_t(*)[8])copy.restricted, copy.restricted_count);
    *seen = atomic_load_explicit(&copy.lock, memory_order_relaxed);
    return true;
}

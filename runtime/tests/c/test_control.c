/* SPDX-License-Identifier: Apache-2.0
 *
 * The control block: what is written is taken, a kill outlives the engine, other files are refused, and a reader beside a busy
 * writer sees only whole versions. Build it with -fsanitize=thread as well: test_core_control.py does where the compiler can. */
#include "check.h"
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static char path[256];

static struct risk_limits limits_of(uint32_t n)
{
    return (struct risk_limits){n * 0x100000001ULL, n, n, n, n, n, n};
}

static void fill(uint8_t symbols[RISK_RESTRICTED_MAX][8], uint32_t n)
{
    for (uint32_t i = 0; i < RISK_RESTRICTED_MAX; i++) {
        memcpy(symbols[i], &n, 4);
        memcpy(symbols[i] + 4, &n, 4);
    }
}

/* What a risk with one instrument called `stock` says to an order of so many shares. */
static enum risk_verdict asked(struct risk *risk, const char *stock, uint32_t shares)
{
    const struct risk_view view = {.top = {.bid = 100, .ask = 100}, .trading_state = 'T'};
    const struct tw_order order = {.price = 100, .shares = shares, .side = 'B', .action = TW_ENTER};
    risk_name(risk, 0, (const uint8_t *)stock);
    return risk_check(risk, &order, &view);
}

static void changes_are_taken(void)
{
    struct failure failure;
    struct arena arena;
    const struct risk_limits first = {1000000, 100, 100, 1000, 10, 10, 0};
    struct control *control = control_create("", &first, &failure);
    CHECK(control != NULL && arena_open(&arena, risk_footprint(1)));
    struct risk *risk = risk_init(&arena, &(struct risk_limits){0}, 1);
    uint64_t seen = 0;
    CHECK(asked(risk, "TICK    ", 100) == RISK_size);
    CHECK(control_take(control, risk, &seen) && seen == 2);
    risk_tick(risk, 1), risk_tick(risk, 1 + 1000000000);
    CHECK(asked(risk, "TICK    ", 100) == RISK_PASSED && asked(risk, "TICK    ", 101) == RISK_size);
    CHECK(!control_take(control, risk, &seen));
    control_put_limits(control, &(struct risk_limits){1000000, 101, 100, 1000, 10, 10, 0});
    CHECK(asked(risk, "TICK    ", 101) == RISK_size);
    CHECK(control_take(control, risk, &seen) && seen == 4 && asked(risk, "TICK    ", 101) == RISK_PASSED);
    CHECK(control_put_restricted(control, (const uint8_t(*)[8])"TICK    TOCK    ", 2) && control_take(control, risk, &seen));
    CHECK(asked(risk, "TICK    ", 100) == RISK_restricted && asked(risk, "TOCK    ", 100) == RISK_restricted);
    CHECK(asked(risk, "CLOCK   ", 100) == RISK_PASSED);
    CHECK(!control_put_restricted(control, NULL, RISK_RESTRICTED_MAX + 1) && !control_take(control, risk, &seen));
    CHECK(control_put_restricted(control, NULL, 0) && control_take(control, risk, &seen));
    CHECK(asked(risk, "TICK    ", 100) == RISK_PASSED);

    control_kill(control, "a reason that is longer than the sixty-three characters which there is room for");
    CHECK(!control_take(control, risk, &seen)); /* no new version, and yet: */
    CHECK(asked(risk, "TICK    ", 100) == RISK_killed);
    CHECK(strcmp(control->reason, "a reason that is longer than the sixty-three characters which t") == 0);
    atomic_fetch_add(&control->lock, 1); /* a change under way, or a writer that died in it, does not hold the kill switch up */
    control_revive(control);
    CHECK(!control_take(control, risk, &seen) && asked(risk, "TICK    ", 100) == RISK_PASSED && control->reason[0] == '\0');
    struct control copy;
    CHECK(!control_copy(control, &copy));
    control_put_limits(control, &first);
    CHECK(control_take(control, risk, &seen) && seen % 2 == 0 && asked(risk, "TICK    ", 101) == RISK_size);
    arena_close(&arena);
    control_unmap(control);
}

static void a_kill_outlives_the_engine(void)
{
    struct failure failure;
    struct control copy;
    const struct risk_limits one = limits_of(1), two = limits_of(2);
    unlink(path);
    CHECK(control_map(path, &failure) == NULL && failure.code == ENOENT);
    struct control *engine = control_create(path, &one, &failure);
    struct control *tool = control_map(path, &failure);
    CHECK(engine != NULL && tool != NULL);
    CHECK(control_put_restricted(tool, (const uint8_t(*)[8])"TICK    ", 1));
    control_kill(tool, "test");
    CHECK(atomic_load(&engine->killed) == 1 && strcmp(engine->reason, "test") == 0);
    uint64_t lock = atomic_load(&engine->lock);
    control_unmap(engine);

    engine = control_create(path, &two, &failure);
    CHECK(engine != NULL && control_copy(engine, &copy));
    CHECK(copy.limits.max_size == 2 && copy.restricted_count == 0 && atomic_load(&copy.lock) > lock);
    CHECK(atomic_load(&copy.killed) == 1 && strcmp(copy.reason, "test") == 0);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && control_lock(fd, path, &failure)); /* the engine does not keep it */
    CHECK(control_create(path, &one, &failure) == NULL && failure.code == ETIMEDOUT && strstr(failure.text, "fuser") != NULL);
    CHECK(atomic_load(&engine->lock) == atomic_load(&copy.lock)); /* and changes nothing without it */
    control_unlock(fd);
    close(fd);
    control_revive(tool); /* mapped before the restart, and still the same block */
    CHECK(atomic_load(&engine->killed) == 0);
    control_unmap(engine);
    control_unmap(tool);
}

static void spoil(long offset, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, offset, SEEK_SET) == 0 && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
}

static void refused(const char *because)
{
    struct failure failure = {0};
    const struct risk_limits one = limits_of(1);
    CHECK(control_map(path, &failure) == NULL && failure.code == EBADMSG);
    CHECK(strstr(failure.text, because) != NULL && strstr(failure.text, path) != NULL);
    CHECK(control_create(path, &one, &failure) == NULL && failure.code == EBADMSG);
    CHECK(strstr(failure.text, because) != NULL && strstr(failure.text, "; remove it when trading may start") != NULL);
    CHECK(unlink(path) == 0);
    struct control *fresh = control_create(path, &one, &failure);
    CHECK(fresh != NULL);
    control_unmap(fresh);
}

static void other_files_are_refused(void)
{
    const uint32_t three = 3, many = RISK_RESTRICTED_MAX + 1;
    spoil(0, "OTHER", 5);
    refused("not a tickwire control block");
    spoil(offsetof(struct control, version), &three, 4);
    refused("version 3, this release has version 1");
    spoil(offsetof(struct control, bytes), &three, 4);
    refused("damaged: says 3 bytes");
    spoil(offsetof(struct control, restricted_count), &many, 4);
    refused("257 restricted symbols");
    CHECK(truncate(path, sizeof(struct control) - 1) == 0);
    refused("bytes, where one of this release has ");
    CHECK(truncate(path, 0) == 0);
    refused("has 0 bytes, where one of this release has ");
    struct failure failure;
    const struct risk_limits one = limits_of(1);
    CHECK(control_create("/nonexistent/control", &one, &failure) == NULL && failure.code == ENOENT);
    CHECK(strstr(failure.text, "must exist and be writable") != NULL);
    CHECK(unlink(path) == 0);
}

/* --- a writer beside readers --- */

#define VERSIONS 20000u

static struct control *shared;

static void *write_versions(void *unused)
{
    static uint8_t symbols[RISK_RESTRICTED_MAX][8];
    for (uint32_t n = 1; n <= VERSIONS; n++) {
        struct risk_limits limits = limits_of(n);
        control_put_limits(shared, &limits);
        fill(symbols, n);
        control_put_restricted(shared, (const uint8_t(*)[8])symbols, n % (RISK_RESTRICTED_MAX + 1));
        if (n % 64 == 0)
            control_kill(shared, "now");
        else if (n % 64 == 32)
            control_revive(shared);
    }
    return unused;
}

static void *read_versions(void *result)
{
    uint64_t *whole = result;
    struct control copy;
    uint64_t last = 0;
    uint32_t n = 0;
    while (n < VERSIONS) {
        if (!control_copy(shared, &copy))
            continue;
        uint64_t lock = atomic_load(&copy.lock);
        struct risk_limits expected;
        n = copy.limits.max_size;
        expected = limits_of(n);
        if (memcmp(&copy.limits, &expected, sizeof expected) != 0 || lock < last)
            return NULL;
        /* The list is this version's or, between the two writes, the one before; never of two. */
        uint32_t of = (uint32_t)(lock / 2 - 1) / 2, word;
        if (copy.restricted_count != of % (RISK_RESTRICTED_MAX + 1))
            return NULL;
        for (uint32_t i = 0; i < 2 * copy.restricted_count; i++) {
            memcpy(&word, (const uint8_t *)copy.restricted + 4 * i, 4);
            if (word != of)
                return NULL;
        }
        last = lock;
        ++*whole;
    }
    return result;
}

static void readers_see_whole_versions(void)
{
    struct failure failure;
    const struct risk_limits none = limits_of(0);
    pthread_t writer, readers[2];
    uint64_t whole[2] = {0};
    shared = control_create("", &none, &failure);
    CHECK(shared != NULL);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&readers[i], NULL, read_versions, &whole[i]) == 0);
    CHECK(pthread_create(&writer, NULL, write_versions, NULL) == 0 && pthread_join(writer, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        void *result;
        CHECK(pthread_join(readers[i], &result) == 0 && result != NULL);
        CHECK(whole[i] > 0);
    }
    control_unmap(shared);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/tickwire-test-control-%d", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (int)getpid());
    changes_are_taken();
    a_kill_outlives_the_engine();
    struct failure failure;
    const struct risk_limits one = limits_of(1);
    control_unmap(control_create(path, &one, &failure));
    other_files_are_refused();
    readers_see_whole_versions();
    return DONE();
}

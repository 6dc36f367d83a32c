/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "check.h"
#include "journal.h"

#define HEADER JOURNAL_HEADER_BYTES
#define RECORD ((off_t)sizeof(struct journal_record))

static struct failure failure;
static char directory[] = "/tmp/tickwire-journal-XXXXXX", path[64];

static struct journal opened(uint64_t capacity)
{
    struct journal journal;
    bool good = journal_open(&journal, path, "t 1", capacity, &failure);
    if (!good)
        fprintf(stderr, "%s\n", failure.text);
    CHECK(good);
    return journal;
}

static void append(struct journal *journal, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct journal_record record = {.reference = first + i, .price = ~i, .kind = JOURNAL_ENTER};
        journal_append(journal, &record);
    }
}

static struct journal begin(uint64_t capacity, uint32_t records)
{
    unlink(path);
    struct journal journal = opened(capacity);
    append(&journal, 1, records);
    return journal;
}

static void damage(off_t at, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, bytes, length, at) == (ssize_t)length);
    close(fd);
}

static void references_are(const struct journal *journal, uint32_t first, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        CHECK(journal_at(journal, i)->reference == first + i && journal_at(journal, i)->price == ~(uint32_t)i);
}

static void what_was_appended_is_there_again_and_room_grows(void)
{
    struct journal journal = begin(10, 7);
    CHECK(journal_room(&journal) == 3 && journal_at(&journal, 7) == NULL && journal_at(&journal, 6)->sequence == 7);
    journal_close(&journal);
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size == HEADER + 10 * RECORD && status.st_blocks * 512 >= status.st_size);
    journal = opened(10); /* as many free ones as asked for, behind those it has */
    CHECK(journal.count == 7 && journal_room(&journal) == 10 && journal.lost == 0);
    references_are(&journal, 1, 0, 7);
    append(&journal, 8, 10);
    CHECK(journal_room(&journal) == 0);
    journal_close(&journal);
    journal = opened(1); /* full, and still opened */
    CHECK(journal.count == 17 && journal_room(&journal) == 1 && journal.lost == 0);
    journal_close(&journal);
    journal = opened(1); /* enough is free: stays as it is */
    CHECK(journal.capacity == 18);
    journal_close(&journal);
}

static void without_a_file_appending_does_nothing(void)
{
    struct journal journal = {0};
    struct journal_record record = {.reference = 1};
    journal_append(&journal, &record);
    CHECK(journal.count == 0 && journal_room(&journal) == UINT64_MAX && journal_at(&journal, 0) == NULL);
    CHECK(journal_sync(&journal, &failure));
    journal_close(&journal); /* does not close file 0 */
    CHECK(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
}

static void any_damaged_bit_is_found(void)
{
    struct journal_record record = {.sequence = 5, .reference = 77, .price = 1, .kind = JOURNAL_ANSWER};
    uint32_t checksum = journal_checksum(&record);
    for (unsigned bit = 0; bit < 56 * 8; bit++) {
        struct journal_record damaged = record;
        ((uint8_t *)&damaged)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(journal_checksum(&damaged) != checksum);
    }
    uint64_t state = 1;
    for (unsigned i = 0; i < 20000; i++) { /* bytes from one place on are old ones, as in a torn write */
        struct journal_record old, new;
        for (size_t j = 0; j < sizeof old; j++) {
            ((uint8_t *)&old)[j] = (uint8_t)chance(&state);
            ((uint8_t *)&new)[j] = (uint8_t)chance(&state);
        }
        new.checksum = journal_checksum(&new);
        size_t from = 1 + chance(&state) % 55;
        memcpy((uint8_t *)&new + from, (uint8_t *)&old + from, 56 - from);
        CHECK(journal_checksum(&new) != new.checksum || memcmp((uint8_t *)&new + from, (uint8_t *)&old + from, 1) == 0);
    }
}

/* A hole at record 4 of 9: five are lost, and what lies behind never comes back, whatever is appended later. */
static void what_lies_behind_a_hole_is_reported_and_never_used(void)
{
    struct journal journal = begin(40, 9);
    const uint64_t zero = 0;
    journal_close(&journal);
    damage(HEADER + 4 * RECORD + (off_t)offsetof(struct journal_record, reference), &zero, 8);
    CHECK(journal_open_read(&journal, path, &failure) && journal.count == 4 && journal.lost == 5);
    journal_close(&journal);
    for (unsigned round = 0; round < 6; round++) {
        journal = opened(20);
        CHECK(journal.count == 5 + round && journal.lost == (round == 0 ? 5u : 0u));
        references_are(&journal, 1, 0, 4);
        const struct journal_record *torn = journal_at(&journal, 4);
        CHECK(torn->kind == JOURNAL_TORN && torn->shares == 5 && torn->reference == 9);
        CHECK(torn->sequence == JOURNAL_GENERATION + 5);
        append(&journal, 100 + round, 1);
        CHECK(journal_at(&journal, 5 + round)->reference == 100 + round);
        journal_close(&journal);
    }
    /* Once more, behind the first: records of both generations lie about. */
    damage(HEADER + 2 * RECORD, &zero, 8);
    journal = opened(20);
    CHECK(journal.count == 3 && journal_at(&journal, 2)->kind == JOURNAL_TORN && journal_at(&journal, 2)->shares == 9);
    CHECK(journal.generation == 2 * JOURNAL_GENERATION && journal_at(&journal, 2)->reference == 105);
    for (unsigned i = 0; i < 10; i++) {
        CHECK(journal.count == 3 + i && (i == 0 || journal.lost == 0));
        append(&journal, 200 + i, 1);
        journal_close(&journal);
        journal = opened(20);
    }
    journal_close(&journal);
}

static void a_file_cut_short_says_how_many_may_be_lost(void)
{
    for (off_t bytes = HEADER; bytes < HEADER + 6 * RECORD; bytes += 13) {
        struct journal journal = begin(8, 5);
        journal_close(&journal);
        uint64_t whole = (uint64_t)((bytes - HEADER) / RECORD), part = (uint64_t)((bytes - HEADER) % RECORD);
        CHECK(truncate(path, bytes) == 0);
        journal = opened(8);
        if (whole >= 5) { /* an empty place was still there, so nothing came behind it */
            CHECK(journal.count == 5 && journal.lost == 0);
        } else {
            CHECK(journal.count == whole + (journal.lost > 0) && (journal.lost > 0 || part > 0));
            CHECK(part > 0 || journal.lost == 8 - whole);
        }
        references_are(&journal, 1, 0, whole < 5 ? whole : 5);
        journal_close(&journal);
    }
    CHECK(truncate(path, 0) == 0); /* empty: a new one */
    struct journal journal = opened(8);
    CHECK(journal.count == 0 && journal.capacity == 8);
    journal_close(&journal);
    CHECK(truncate(path, 0) == 0 && truncate(path, 999999) == 0); /* nothing but a hole: its making was cut off */
    journal = opened(8);
    CHECK(journal.count == 0 && journal_room(&journal) >= 8);
    journal_close(&journal);
}

static void holes_in_the_file_are_filled_at_start(void)
{
    struct journal journal = begin(1000, 3);
    struct stat status;
    journal_close(&journal);
    CHECK(truncate(path, HEADER + 3 * RECORD) == 0 && truncate(path, HEADER + 1000 * RECORD) == 0);
    CHECK(stat(path, &status) == 0 && status.st_blocks * 512 < status.st_size); /* sparse now */
    journal = opened(900);
    CHECK(stat(path, &status) == 0 && status.st_blocks * 512 >= status.st_size && journal.count == 3 && journal.lost == 0);
    journal_close(&journal);
}

static bool refused(const char *name, const char *text)
{
    struct journal journal;
    bool good = journal_open(&journal, path, name, 8, &failure);
    CHECK(!good && journal.map == NULL && journal.fd == -1);
    if (strstr(failure.text, text) == NULL)
        fprintf(stderr, "%s\n", failure.text);
    return strstr(failure.text, text) != NULL && strstr(failure.text, path) != NULL;
}

static void what_is_none_of_ours_is_refused_and_left_alone(void)
{
    struct journal journal = begin(8, 3);
    CHECK(refused("t 1", "another engine"));
    journal_close(&journal);
    CHECK(refused("t 2", "belongs to \"t 1\", not to \"t 2\""));
    CHECK(refused("a name of more than thirty-one characters", "31 characters"));
    const uint32_t version = 99;
    damage(24, "x", 1);
    CHECK(refused("t 1", "header is damaged"));
    damage(8, &version, 4);
    CHECK(refused("t 1", "version 99"));
    damage(0, "# notes ", 8);
    CHECK(refused("t 1", "not a tickwire journal") && failure.code == EBADMSG);
    const uint8_t none[64] = {0};
    damage(0, none, sizeof none);
    CHECK(refused("t 1", "not a tickwire journal")); /* no header, but records: not taken for a new one */
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size == HEADER + 8 * RECORD);
}

static void more_than_the_disk_has_is_refused_before_it_is_filled(void)
{
    struct journal journal;
    struct statvfs disk;
    unlink(path);
    CHECK(statvfs(directory, &disk) == 0);
    if ((uint64_t)disk.f_bavail * disk.f_frsize < JOURNAL_RECORDS_LIMIT * sizeof(struct journal_record)) { /* else it would fit */
        CHECK(!journal_open(&journal, path, "t 1", JOURNAL_RECORDS_LIMIT, &failure));
        CHECK(failure.code == ENOSPC && strstr(failure.text, "no room for 137438957568 bytes, ") != NULL);
        CHECK(strstr(failure.text, path) != NULL);
    }
    journal = opened(4); /* what the attempt left is no obstacle */
    journal_close(&journal);
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/* Read first: the sanitizer's own memory for these pages is faulted in then. */
static long faults_of_appending(struct journal *journal, uint32_t count)
{
    uint64_t seen = 0;
    for (uint64_t i = journal->count; i < journal->count + count; i++)
        seen += ((volatile struct journal_record *)journal->records)[i].sequence;
    CHECK(seen == 0);
    append(journal, 1, 1);
    long before = faults();
    append(journal, 2, count - 1);
    return faults() - before;
}

static void appending_after_a_sync_does_not_fault(void)
{
    unlink(path);
    struct journal journal = opened(200000);
    CHECK(faults_of_appending(&journal, 4000) == 0); /* the first pages after the start */
    for (unsigned round = 0; round < 5; round++) {
        CHECK(journal_sync(&journal, &failure));
        CHECK(faults_of_appending(&journal, 4000) == 0);
    }
    journal_close(&journal);
}

static void a_reader_sees_whole_records_only(void)
{
    struct journal journal = begin(100, 3), seen;
    CHECK(journal_open_read(&seen, path, &failure));
    CHECK(seen.count == 3 && seen.lost == 0 && strcmp(seen.name, "t 1") == 0);
    append(&journal, 4, 2);
    CHECK(seen.count == 3 && journal_at(&seen, 2)->reference == 3);
    journal_close(&seen);
    CHECK(journal_open_read(&seen, path, &failure) && seen.count == 5);
    journal_close(&seen);
    journal_close(&journal);
    unlink(path);
    CHECK(!journal_open_read(&seen, path, &failure) && failure.code == ENOENT);
}

int main(void)
{
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/j", directory);
    what_was_appended_is_there_again_and_room_grows();
    without_a_file_appending_does_nothing();
    any_damaged_bit_is_found();
    what_lies_behind_a_hole_is_reported_and_never_used();
    a_file_cut_short_says_how_many_may_be_lost();
    holes_in_the_file_are_filled_at_start();
    what_is_none_of_ours_is_refused_and_left_alone();
    more_than_the_disk_has_is_refused_before_it_is_filled();
    appending_after_a_sync_does_not_fault();
    a_reader_sees_whole_records_only();
    unlink(path);
    rmdir(directory);
    return DONE();
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's file: made, grown, locked, mapped, looked through at start. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct header {
    char magic[8];
    uint32_t version;
    uint32_t record_bytes;
    uint64_t capacity;
    char name[JOURNAL_NAME];
    uint64_t check; /* of all before it: its sum, so that a torn header is told from a strange one */
};

static uint64_t sum_of(const struct header *header)
{
    uint64_t words[offsetof(struct header, check) / 8], sum = 0x9E3779B97F4A7C15u;
    memcpy(words, header, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        sum = (sum ^ words[i]) * 0x9E3779B97F4A7C15u;
    return sum;
}

static uint64_t file_bytes(uint64_t capacity)
{
    return JOURNAL_HEADER_BYTES + capacity * sizeof(struct journal_record);
}

static bool system_failure(struct failure *failure, const char *path, const char *what)
{
    return failure_set(failure, errno, "journal %s: %s: %s", path, what, strerror(errno));
}

/* What is wrong with a header that is not all zeros. */
static bool check_header(const struct header *header, const char *path, struct failure *failure)
{
    if (memcmp(header->magic, JOURNAL_MAGIC, sizeof header->magic) != 0)
        return failure_set(failure, EBADMSG, "journal %s: not a tickwire journal; move it away or change engine.journal_dir", path);
    if (header->version != JOURNAL_VERSION || header->record_bytes != sizeof(struct journal_record))
        return failure_set(failure, EBADMSG,
                           "journal %s: version %u with records of %u bytes, this release has version %u with %zu; start the "
                           "release that wrote it, or move it away",
                           path, header->version, header->record_bytes, JOURNAL_VERSION, sizeof(struct journal_record));
    if (header->check != sum_of(header) || header->capacity > JOURNAL_RECORDS_LIMIT || header->name[JOURNAL_NAME - 1] != '\0')
        return failure_set(failure, EBADMSG, "journal %s: its header is damaged; move it away, and ask the exchange what is open",
                           path);
    return true;
}

/* All of it on disk now: a full disk is a message here and not a bus error on the hot path. Asked before it is tried, because a
 * file system may fill itself up to the last block before it says no. */
static bool allocate(int fd, const char *path, uint64_t from, uint64_t bytes, struct failure *failure)
{
    struct statvfs disk;
    struct stat status;
    if (fstatvfs(fd, &disk) != 0 || fstat(fd, &status) != 0)
        return system_failure(failure, path, "free space");
    uint64_t has = (uint64_t)status.st_blocks * 512, spare = (uint64_t)disk.f_bavail * disk.f_frsize;
    bool known = disk.f_blocks > 0; /* ramfs and the like do not say */
    int code = known && bytes > has && bytes - has > spare ? ENOSPC : posix_fallocate(fd, 0, (off_t)bytes);
    if (code == 0)
        return true;
    if (from < bytes && ftruncate(fd, (off_t)from) != 0)
        return system_failure(failure, path, "giving room back");
    return failure_set(failure, code,
                       "journal %s: no room for %llu bytes, %llu free: %s; free some, lower engine.journal_records, or change "
                       "engine.journal_dir",
                       path, (unsigned long long)bytes, (unsigned long long)spare, strerror(code));
}

static bool put_header(int fd, const char *path, const char *name, uint64_t capacity, struct failure *failure)
{
    struct header header = {.version = JOURNAL_VERSION, .record_bytes = sizeof(struct journal_record), .capacity = capacity};
    memcpy(header.magic, JOURNAL_MAGIC, sizeof header.magic);
    memcpy(header.name, name, strlen(name));
    header.check = sum_of(&header);
    errno = EIO;
    if (pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || fsync(fd) != 0)
        return system_failure(failure, path, "writing its header");
    return true;
}

/* Is everything in the first `bytes` of the file zero? Of a file whose making was cut off. */
static bool blank(int fd, uint64_t bytes)
{
    uint64_t words[512];
    for (uint64_t at = 0; at < bytes; at += sizeof words) {
        memset(words, 0, sizeof words);
        if (pread(fd, words, sizeof words, (off_t)at) < 0)
            return false;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (words[i] != 0)
                return false;
    }
    return true;
}

/* The one place where a generation may end is a JOURNAL_TORN record, which begins a later one. */
static bool counts(const struct journal *journal, uint64_t index)
{
    const struct journal_record *record = &journal->records[index];
    uint64_t sequence = __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE), expected = journal->generation + index + 1;
    bool follows = sequence == expected;
    if (record->kind == JOURNAL_TORN)
        follows = sequence > expected && (sequence - expected) % JOURNAL_GENERATION == 0;
    return follows && record->checksum == journal_checksum(record);
}

static void scan(struct journal *journal)
{
    while (journal->count < journal->capacity && counts(journal, journal->count)) {
        journal->generation = journal->records[journal->count].sequence / JOURNAL_GENERATION * JOURNAL_GENERATION;
        journal->count++;
    }
}

/* What was written behind the end, and is of no older generation: `lost` counts from the end to the last of it, with what is
 * missing in between; `reference` and `generation` are the highest that can be read there. Slots from `present` on were cut off the
 * file: all of them may have been used when the last one left was. */
struct behind {
    uint64_t lost;
    uint64_t generation;
    uint32_t reference;
};

static struct behind look_behind(const struct journal *journal, uint64_t present)
{
    struct behind behind = {.generation = journal->generation};
    if (journal->count >= present)
        behind.lost = journal->capacity - present;
    for (uint64_t i = journal->count; i < present; i++) {
        const struct journal_record *record = &journal->records[i];
        uint64_t generation = record->sequence / JOURNAL_GENERATION * JOURNAL_GENERATION;
        if (record->sequence - generation != i + 1 || generation < journal->generation)
            continue;
        behind.lost = i + 1 - journal->count;
        if (record->checksum != journal_checksum(record))
            continue;
        if (record->reference > behind.reference)
            behind.reference = record->reference;
        if (generation > behind.generation)
            behind.generation = generation;
    }
    return behind;
}

static void begin_generation(struct journal *journal, const struct behind *behind)
{
    struct journal_record torn = {
        .kind = JOURNAL_TORN, .reference = behind->reference, .shares = (uint32_t)behind->lost};
    journal->generation = behind->generation + JOURNAL_GENERATION;
    journal_append(journal, &torn);
}

static bool map(struct journal *journal, const char *path, int protection, struct failure *failure)
{
    journal->map_bytes = file_bytes(journal->capacity);
    void *base = mmap(NULL, journal->map_bytes, protection, MAP_SHARED | MAP_POPULATE, journal->fd, 0);
    if (base == MAP_FAILED)
        return system_failure(failure, path, "mmap");
    journal->map = base;
    journal->records = (struct journal_record *)((uint8_t *)base + JOURNAL_HEADER_BYTES);
    scan(journal);
    return true;
}

/* How many records it has and how many it may have is found on the way: first what is there, then the growth. */
static bool open_locked(struct journal *journal, const char *path, const char *name, uint64_t capacity, struct failure *failure)
{
    struct header header = {0};
    struct stat status;
    if (fstat(journal->fd, &status) != 0 || pread(journal->fd, &header, sizeof header, 0) < 0)
        return system_failure(failure, path, "reading");
    uint64_t size = (uint64_t)status.st_size, present = 0;
    const struct header none = {0};
    if (memcmp(&header, &none, sizeof header) == 0 && blank(journal->fd, size)) {
        journal->capacity = capacity;
        if (!allocate(journal->fd, path, size, file_bytes(capacity), failure) ||
            !put_header(journal->fd, path, name, capacity, failure))
            return false;
        present = capacity;
    } else {
        if (!check_header(&header, path, failure))
            return false;
        if (strcmp(header.name, name) != 0)
            return failure_set(failure, EBADMSG,
                               "journal %s: belongs to \"%s\", not to \"%s\"; move it away when that day or user is done", path,
                               header.name, name);
        journal->capacity = header.capacity;
        if (size > JOURNAL_HEADER_BYTES)
            present = (size - JOURNAL_HEADER_BYTES + sizeof(struct journal_record) - 1) / sizeof(struct journal_record);
        if (present > header.capacity)
            present = header.capacity;
        if (!allocate(journal->fd, path, size, file_bytes(header.capacity), failure))
            return false;
    }
    if (!map(journal, path, PROT_READ | PROT_WRITE, failure))
        return false;
    uint64_t wanted = journal->count + capacity, count = journal->count;
    struct behind behind = look_behind(journal, present);
    journal->lost = behind.lost;
    if (wanted > JOURNAL_RECORDS_LIMIT)
        wanted = JOURNAL_RECORDS_LIMIT;
    if (wanted > journal->capacity) {
        munmap(journal->map, journal->map_bytes);
        journal->map = NULL;
        if (!allocate(journal->fd, path, file_bytes(journal->capacity), file_bytes(wanted), failure) ||
            !put_header(journal->fd, path, name, wanted, failure))
            return false;
        journal->capacity = wanted;
        journal->count = 0;
        journal->generation = 0;
        if (!map(journal, path, PROT_READ | PROT_WRITE, failure))
            return false;
    }
    if (journal->count != count)
        return failure_set(failure, EIO, "journal %s: reads %llu records and then %llu; check the disk", path,
                           (unsigned long long)count, (unsigned long long)journal->count);
    if (journal->count == journal->capacity)
        return failure_set(failure, ENOSPC, "journal %s: all of its %llu records are used; move it away", path,
                           (unsigned long long)journal->capacity);
    if (journal->lost > 0)
        begin_generation(journal, &behind);
    memcpy(journal->name, name, strlen(name) + 1);
    journal_ahead(journal);
    return true;
}

bool journal_open(struct journal *journal, const char *path, const char *name, uint64_t capacity, struct failure *failure)
{
    memset(journal, 0, sizeof *journal);
    journal->fd = -1;
    if (strlen(name) >= JOURNAL_NAME || capacity < 1 || capacity > JOURNAL_RECORDS_LIMIT)
        return failure_set(failure, EINVAL, "journal %s: name \"%s\" may have 31 characters, capacity %llu must be 1 to %llu", path,
                           name, (unsigned long long)capacity, (unsigned long long)JOURNAL_RECORDS_LIMIT);
    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (journal->fd < 0)
        return system_failure(failure, path, "cannot be opened; its directory must exist and be writable");
    bool good = false;
    if (flock(journal->fd, LOCK_EX | LOCK_NB) == 0)
        good = open_locked(journal, path, name, capacity, failure);
    else if (errno == EWOULDBLOCK)
        failure_set(failure, EBUSY, "journal %s: another engine has it open; stop that one, or give this one another name", path);
    else
        system_failure(failure, path, "flock");
    if (!good)
        journal_close(journal);
    return good;
}

bool journal_open_read(struct journal *journal, const char *path, struct failure *failure)
{
    struct header header = {0};
    struct stat status;
    memset(journal, 0, sizeof *journal);
    journal->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (journal->fd < 0)
        return system_failure(failure, path, "cannot be opened");
    bool good = false;
    if (fstat(journal->fd, &status) != 0 || pread(journal->fd, &header, sizeof header, 0) < 0)
        system_failure(failure, path, "reading");
    else if (check_header(&header, path, failure)) {
        uint64_t size = (uint64_t)status.st_size;
        uint64_t present = size < JOURNAL_HEADER_BYTES ? 0 : (size - JOURNAL_HEADER_BYTES) / sizeof(struct journal_record);
        memcpy(journal->name, header.name, sizeof header.name);
        journal->capacity = present < header.capacity ? present : header.capacity;
        good = map(journal, path, PROT_READ, failure);
        for (uint64_t count = UINT64_MAX; good && count != journal->count; scan(journal)) { /* the engine may be appending */
            count = journal->count;
            journal->lost = look_behind(journal, journal->capacity).lost;
        }
        if (good && journal->count == journal->capacity)
            journal->lost = header.capacity - journal->capacity;
    }
    close(journal->fd);
    journal->fd = -1;
    if (!good)
        journal_close(journal);
    return good;
}

void journal_close(struct journal *journal)
{
    if (journal->map != NULL)
        munmap(journal->map, journal->map_bytes);
    if (journal->fd > 0) /* 0 in one that was never opened */
        close(journal->fd);
    memset(journal, 0, sizeof *journal);
    journal->fd = -1;
}

bool journal_sync(const struct journal *journal, struct failure *failure)
{
    if (journal->map == NULL || journal->fd < 0)
        return true;
    bool good = fdatasync(journal->fd) == 0 || failure_set(failure, errno, "journal: fdatasync: %s", strerror(errno));
    journal_ahead(journal);
    return good;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "mapped.h"

#define BYTES ((size_t)8192)

static char directory[] = "/tmp/tickwire-mapped-XXXXXX";
static char path[64], unfinished[72];

static void a_file_is_seen_whole_or_not_at_all(void)
{
    struct failure failure;
    struct stat status;
    size_t bytes;
    uint8_t *mine = mapped_make("thing", path, BYTES, &failure);
    CHECK(mine != NULL && access(path, F_OK) != 0);
    for (size_t i = 0; i < BYTES; i++)
        CHECK(mine[i] == 0);
    mine[BYTES - 1] = 7;
    CHECK(mapped_publish("thing", path, mine, BYTES, &failure) && access(unfinished, F_OK) != 0);
    CHECK(stat(path, &status) == 0 && status.st_size == (off_t)BYTES && (size_t)status.st_blocks * 512 >= BYTES);

    const uint8_t *seen = mapped_open("thing", path, 1, SIZE_MAX, &bytes, NULL, &failure);
    int fd;
    uint8_t *written = mapped_open("thing", path, BYTES, BYTES, &bytes, &fd, &failure);
    CHECK(seen != NULL && written != NULL && bytes == BYTES && seen[BYTES - 1] == 7);
    written[0] = 9;
    CHECK(seen[0] == 9 && mine[0] == 9 && fcntl(fd, F_GETFD) >= 0);
    close(fd);

    /* The next one takes the name; who has this one keeps it. */
    uint8_t *next = mapped_make("thing", path, BYTES, &failure);
    CHECK(next != NULL && mapped_publish("thing", path, next, BYTES, &failure) && next[0] == 0 && seen[0] == 9);
    munmap(mine, BYTES);
    munmap((void *)seen, BYTES);
    munmap(written, BYTES);
    munmap(next, BYTES);
}

static void what_is_wrong_is_named(void)
{
    struct failure failure;
    size_t bytes;
    int fd = -1;
    CHECK(mapped_open("thing", path, BYTES + 1, SIZE_MAX, &bytes, NULL, &failure) == NULL && failure.code == EBADMSG);
    CHECK(strstr(failure.text, "has 8192 bytes, where one of this release has 8193 or more") != NULL);
    CHECK(mapped_open("thing", path, 1, BYTES - 1, &bytes, &fd, &failure) == NULL && failure.code == EBADMSG && fd == -1);
    CHECK(mapped_open("thing", directory, 1, SIZE_MAX, &bytes, NULL, &failure) == NULL && failure.code == EBADMSG);
    CHECK(mapped_open("thing", unfinished, 1, SIZE_MAX, &bytes, NULL, &failure) == NULL && failure.code == ENOENT);
    CHECK(mapped_make("thing", "/nowhere/at/all", BYTES, &failure) == NULL && failure.code == ENOENT);
    CHECK(strstr(failure.text, "thing /nowhere/at/all.new: ") == failure.text);
    char longest[600];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(mapped_make("thing", longest, BYTES, &failure) == NULL && failure.code == ENAMETOOLONG);
    CHECK(mapped_make("thing", path, SIZE_MAX / 4, &failure) == NULL && failure.code != 0 && access(unfinished, F_OK) != 0);
}

static void without_a_path_it_is_memory(void)
{
    struct failure failure;
    uint8_t *mine = mapped_make("thing", "", BYTES, &failure);
    CHECK(mine != NULL && mapped_publish("thing", "", mine, BYTES, &failure) && mine[BYTES - 1] == 0);
    munmap(mine, BYTES);
}

int main(void)
{
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/file", directory);
    snprintf(unfinished, sizeof unfinished, "%s.new", path);
    a_file_is_seen_whole_or_not_at_all();
    what_is_wrong_is_named();
    without_a_path_it_is_memory();
    unlink(path);
    CHECK(rmdir(directory) == 0);
    return DONE();
}

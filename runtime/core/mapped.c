/* SPDX-License-Identifier: Apache-2.0 */
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512

static bool other_name(const char *what, const char *path, char out[PATH_BYTES], struct failure *failure)
{
    if ((size_t)snprintf(out, PATH_BYTES, "%s.new", path) < PATH_BYTES)
        return true;
    return failure_set(failure, ENAMETOOLONG, "%s %s: path too long", what, path);
}

static void *make_file(const char *what, const char *path, size_t bytes, struct failure *failure)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        failure_set(failure, errno, "%s %s: %s; its directory must exist and be writable", what, path, strerror(errno));
        return NULL;
    }
    void *base = MAP_FAILED;
    int full = posix_fallocate(fd, 0, (off_t)bytes); /* not ftruncate, which takes no room */
    if (full != 0)
        failure_set(failure, full, "%s %s: no room for %zu bytes: %s", what, path, bytes, strerror(full));
    else if ((base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)) == MAP_FAILED)
        failure_set(failure, errno, "%s %s: mmap of %zu bytes: %s", what, path, bytes, strerror(errno));
    close(fd);
    if (base == MAP_FAILED) {
        unlink(path);
        return NULL;
    }
    /* MAP_POPULATE only reads shared pages in; on a file system that watches writes the first one to each would fault. */
    for (size_t at = 0; at < bytes; at += 4096)
        ((volatile uint8_t *)base)[at] = 0;
    return base;
}

void *mapped_make(const char *what, const char *path, size_t bytes, struct failure *failure)
{
    char temporary[PATH_BYTES];
    if (path[0] != '\0')
        return other_name(what, path, temporary, failure) ? make_file(what, temporary, bytes, failure) : NULL;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (base != MAP_FAILED)
        return base;
    failure_set(failure, errno, "%s: %zu bytes of memory: %s", what, bytes, strerror(errno));
    return NULL;
}

bool mapped_publish(const char *what, const char *path, void *base, size_t bytes, struct failure *failure)
{
    char temporary[PATH_BYTES];
    if (path[0] == '\0')
        return true;
    if (other_name(what, path, temporary, failure)) {
        if (rename(temporary, path) == 0)
            return true;
        failure_set(failure, errno, "%s %s: %s", what, path, strerror(errno));
        unlink(temporary);
    }
    munmap(base, bytes);
    return false;
}

void *mapped_open(const char *what, const char *path, size_t least, size_t most, size_t *bytes, int *fd, struct failure *failure)
{
    struct stat status;
    void *base = MAP_FAILED;
    int file = open(path, (fd != NULL ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file < 0) {
        failure_set(failure, errno, "%s %s: %s", what, path, strerror(errno));
        return NULL;
    }
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        failure_set(failure, EBADMSG, "%s %s: is no regular file", what, path);
    else if ((uint64_t)status.st_size < least || (uint64_t)status.st_size > most)
        failure_set(failure, EBADMSG, "%s %s: has %lld bytes, where one of this release has %zu%s", what, path,
                    (long long)status.st_size, least, most > least ? " or more" : "");
    else if ((base = mmap(NULL, (size_t)status.st_size, fd != NULL ? PROT_READ | PROT_WRITE : PROT_READ,
                          fd != NULL ? MAP_SHARED | MAP_POPULATE : MAP_SHARED, file, 0)) == MAP_FAILED)
        failure_set(failure, errno, "%s %s: mmap of %lld bytes: %s", what, path, (long long)status.st_size, strerror(errno));
    if (base == MAP_FAILED || fd == NULL)
        close(file);
    if (base == MAP_FAILED)
        return NULL;
    *bytes = (size_t)status.st_size;
    if (fd != NULL)
        *fd = file;
    return base;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into a process under test (LD_PRELOAD): the wall clock steps, the disk fails and a network card stamps, as the file
 * that TICKWIRE_SHIM names says, without touching any of the machine's. The file holds two numbers of 64 bits, read at every call:
 * what is added to CLOCK_REALTIME, in seconds, and the error fdatasync reports, 0 for none. Every other clock is left alone, the
 * kernel's stamps too. Behind them comes a struct fake_card, with its setting as the process leaves it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fake_card.h"

struct orders {
    volatile int64_t shift_s;
    volatile int64_t disk_error;
    struct fake_card card;
};

static struct orders *orders;

/* Before main, and so before any call that it changes comes from another thread. */
__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("TICKWIRE_SHIM");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        abort();
    orders = map;
}

/* Constructors of other libraries may ask for the time before ours has run. */
static int64_t shift(void)
{
    return orders != NULL ? orders->shift_s : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return result;
}

time_t time(time_t *out)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (out != NULL)
        *out = precise.tv_sec;
    return precise.tv_sec;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (orders == NULL || orders->disk_error == 0)
        return real(fd);
    errno = (int)orders->disk_error;
    return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    return orders != NULL ? fake_card_ioctl(&orders->card, 1, fd, request, data) : (int)syscall(SYS_ioctl, fd, request, data);
}

/* Of the engine's thread: no other one has sockets that a card stamps. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static struct fake_queue queue;
    if (orders == NULL)
        return syscall(SYS_recvmsg, fd, message, flags);
    return fake_card_recvmsg(&orders->card, &queue, fd, message, flags);
}

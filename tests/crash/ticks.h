/*
 * The clock of a crash test: one counter in a file that all its processes have mapped. Each event takes a number from it,
 * so that events of different processes have one order: whoever has seen the effect of an event takes a later number.
 *
 * Any thread.
 */
#ifndef TESTS_CRASH_TICKS_H
#define TESTS_CRASH_TICKS_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct ticks {
	_Atomic uint64_t *counter;
};

/* Makes the file if it is not there. 0 or -errno. */
static inline int ticks_open(const char *path, struct ticks *ret_ticks)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *address = MAP_FAILED;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(*ret_ticks->counter)) == 0)
		address = mmap(NULL, sizeof(*ret_ticks->counter), PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		r = -errno;
	else
		ret_ticks->counter = address;
	(void)close(fd);
	return r;
}

/* 1, 2, 3 ... */
static inline uint64_t ticks_take(struct ticks *ticks)
{
	return atomic_fetch_add(ticks->counter, 1) + 1;
}

#endif

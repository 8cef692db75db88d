#include "backend/util/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How long those who only probe the lock may be in the way, and how often we look. */
#define PROBERS_MS 1000
#define PAUSE_MS   5

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The previous holder may have removed the file between our open and our lock. */
static bool is_still_there(const struct pidfile *pidfile)
{
	struct stat ours, there;

	return fstat(pidfile->fd, &ours) == 0 && stat(pidfile->path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/*
 * Who asks whether a worker lives does so with a shared lock, and holds it for an instant. A worker
 * holds an exclusive one: when a shared lock is to be had there is none, and -EINTR says so.
 */
static int lock(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	return flock(fd, LOCK_SH | LOCK_NB) == 0 ? -EINTR : -EBUSY;
}

/* 0, -EAGAIN when the file was removed, -EINTR when it is being probed, or another -errno. */
static int try_once(struct pidfile *pidfile)
{
	int r;

	pidfile->fd = open(pidfile->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (pidfile->fd < 0)
		return -errno;
	r = lock(pidfile->fd);
	if (r == 0 && !is_still_there(pidfile))
		r = -EAGAIN;
	if (r) {
		(void)close(pidfile->fd);
		pidfile->fd = -1;
	}
	return r;
}

/* No event tells when a lock is free that must not be waited for in line: hence the pauses. */
static int try_for_a_while(struct pidfile *pidfile)
{
	uint64_t deadline = now_ms() + PROBERS_MS;
	int r;

	do {
		r = try_once(pidfile);
		if (r == -EINTR && now_ms() >= deadline)
			r = -EBUSY;
		if (r == -EINTR)
			(void)poll(NULL, 0, PAUSE_MS);
	} while (r == -EAGAIN || r == -EINTR);
	return r;
}

static int write_pid(const struct pidfile *pidfile)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t written;

	if (ftruncate(pidfile->fd, 0) < 0)
		return -errno;
	written = pwrite(pidfile->fd, text, (size_t)n, 0);
	if (written < 0)
		return -errno;
	return written == n ? 0 : -ENOSPC;
}

int pidfile_take(
	const char *dir, const char *name, struct pidfile *ret_pidfile, struct problem *ret_problem)
{
	struct pidfile pidfile = {.fd = -1};
	int n = snprintf(pidfile.path, sizeof(pidfile.path), "%s/%s.pid", dir, name);
	int r;

	*ret_pidfile = pidfile;
	if (n < 0 || (size_t)n >= sizeof(pidfile.path))
		return problem_set(
			ret_problem, -ENAMETOOLONG, "'%s': too long for a run directory", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return problem_set(ret_problem, -errno, "run directory '%s' cannot be made: %s",
			dir, strerror(errno));
	r = try_for_a_while(&pidfile);
	if (r == -EBUSY)
		return problem_set(ret_problem, r,
			"another process serves it already ('%s' is locked)", pidfile.path);
	if (r == 0)
		r = write_pid(&pidfile);
	if (r)
		pidfile_release(&pidfile);
	if (r)
		return problem_set(
			ret_problem, r, "'%s' cannot be written: %s", pidfile.path, strerror(-r));
	*ret_pidfile = pidfile;
	return 0;
}

void pidfile_release(struct pidfile *pidfile)
{
	if (pidfile->fd < 0)
		return;
	/* Remove first: whoever opens the old file meanwhile notices that it is gone. */
	(void)unlink(pidfile->path);
	(void)close(pidfile->fd);
	pidfile->fd = -1;
}

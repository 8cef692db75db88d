#include "backend/util/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The previous holder may have removed the file between our open and our lock. */
static bool is_still_there(const struct pidfile *pidfile)
{
	struct stat ours, there;

	return fstat(pidfile->fd, &ours) == 0 && stat(pidfile->path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* 0, -EAGAIN to try again, or another -errno. */
static int try_once(struct pidfile *pidfile)
{
	int r = 0;

	pidfile->fd = open(pidfile->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (pidfile->fd < 0)
		return -errno;
	if (flock(pidfile->fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (!is_still_there(pidfile))
		r = -EAGAIN;
	if (r) {
		(void)close(pidfile->fd);
		pidfile->fd = -1;
	}
	return r;
}

static int write_pid(const struct pidfile *pidfile)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(pidfile->fd, 0) < 0)
		return -errno;
	return pwrite(pidfile->fd, text, (size_t)n, 0) == n ? 0 : -EIO;
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
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return problem_set(ret_problem, -errno, "run directory '%s' cannot be made: %s",
			dir, strerror(errno));
	do {
		r = try_once(&pidfile);
	} while (r == -EAGAIN);
	if (r == -EBUSY)
		return problem_set(ret_problem, r,
			"another process serves it already ('%s' is locked)", pidfile.path);
	if (r == 0)
		r = write_pid(&pidfile);
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

/* See sysfs.h. */
/* What else is here must reach the C library's own stdio, see procxen.c. */
#undef _FORTIFY_SOURCE

#include "frontend-shim/preload/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSFS_BUS "/sys/bus/xen-backend/"

bool sysfs_is(const char *path)
{
	return path && !strncmp(path, SYSFS_BUS, sizeof(SYSFS_BUS) - 1);
}

bool sysfs_path(const char *path, char *ret_path, size_t room)
{
	const char *dir = getenv("XENSIM_DIR");

	if (!dir || !*dir || (size_t)snprintf(ret_path, room, "%s%s", dir, path) >= room) {
		errno = ENOENT;
		return false;
	}
	return true;
}

bool sysfs_acts(const char *host_path)
{
	struct stat st;

	return stat(host_path, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* ---- the stream -------------------------------------------------------------------------------- */

struct sysfs_file {
	char order[PATH_MAX];
	char answer[PATH_MAX + 8];
};

/* The number that the test answers, or EIO. */
static int sysfs_answer(const struct sysfs_file *file)
{
	char text[16] = "";
	int fd = open(file->answer, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	return n > 0 ? (int)strtol(text, NULL, 10) : EIO;
}

static ssize_t sysfs_write(void *cookie, const char *text, size_t n)
{
	const struct sysfs_file *file = cookie;
	int fd = open(file->order, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return 0;
	ok = write(fd, text, n) == (ssize_t)n && write(fd, "\n", 1) == 1;
	(void)close(fd);
	errno = ok ? sysfs_answer(file) : EIO;
	return errno == 0 ? (ssize_t)n : 0;
}

static int sysfs_close(void *cookie)
{
	free(cookie);
	return 0;
}

FILE *sysfs_stream(const char *host_path)
{
	struct sysfs_file *file = calloc(1, sizeof(*file));
	FILE *stream;

	if (!file)
		return NULL;
	(void)snprintf(file->order, sizeof(file->order), "%s", host_path);
	(void)snprintf(file->answer, sizeof(file->answer), "%s.answer", host_path);
	stream = fopencookie(
		file, "w", (cookie_io_functions_t){.write = sysfs_write, .close = sysfs_close});
	if (!stream)
		free(file);
	return stream;
}

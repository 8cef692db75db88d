#include "frontend-shim/machine/eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int eventfd_identity(int fd, uint64_t *ret_id)
{
	char path[64], text[512], *line;
	ssize_t n;
	int info;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return errno == ENOENT ? -EBADF : -errno;
	n = read(info, text, sizeof(text) - 1);
	(void)close(info);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	line = strstr(text, "eventfd-id:");
	if (!line)
		return -EINVAL;
	*ret_id = strtoull(line + strlen("eventfd-id:"), NULL, 10);
	return 0;
}

int eventfd_set_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

void eventfd_add_one(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

#include "backend/data/busy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void busy_open(struct busy *busy)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	busy->fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	busy->nr_processors = n > 0 ? (unsigned)n : 1;
}

void busy_close(struct busy *busy)
{
	if (busy->fd >= 0)
		(void)close(busy->fd);
	busy->fd = -1;
}

bool busy_by(const char *loadavg, unsigned nr_processors)
{
	const char *slash = strchr(loadavg, '/'), *first = slash;

	if (slash == NULL)
		return true;
	while (first > loadavg && first[-1] >= '0' && first[-1] <= '9')
		first--;
	return first == slash || strtoul(first, NULL, 10) > nr_processors;
}

bool busy_now(const struct busy *busy)
{
	char text[64];
	ssize_t n = busy->fd < 0 ? -1 : pread(busy->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return true;
	text[n] = '\0';
	return busy_by(text, busy->nr_processors);
}

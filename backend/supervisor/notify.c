#include "backend/supervisor/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define SOCKET_ENV "NOTIFY_SOCKET"

static int socket_fd = -1; /* nobody listens */
static struct sockaddr_un address;
static socklen_t address_size;

/* A listener that is behind is waited for, so that it does not miss our last word; one that hangs is not. */
static int open_socket(void)
{
	const struct timeval patience = {.tv_usec = 100000};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

/* A path, or @name for the abstract namespace. */
void notify_init(void)
{
	const char *name = getenv(SOCKET_ENV);
	size_t n = name ? strlen(name) : 0;

	if (n > 1 && n < sizeof(address.sun_path) && (name[0] == '/' || name[0] == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, name, n + 1);
		address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
		if (name[0] == '@')
			address.sun_path[0] = '\0';
		socket_fd = open_socket();
	}
	(void)unsetenv(SOCKET_ENV);
}

void notify(const char *fmt, ...)
{
	char text[256];
	va_list args;

	if (socket_fd < 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)sendto(socket_fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
		address_size);
}

/*
 * A client of a worker's control socket that does not behave.
 *
 *   control-client SOCKET send     all of standard input, then print what comes until the end
 *   control-client SOCKET flood    ask and ask without reading; ends with 0 when the worker drops us
 *   control-client SOCKET hold N   N connections that say nothing; says "held", waits for the end of
 *                                  standard input, says how many are still there
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOLD_MAX 256

static int fail(const char *what)
{
	(void)fprintf(stderr, "control-client: %s: %s\n", what, strerror(errno));
	return -1;
}

static int reach(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail("socket");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return fail(path);
}

static int send_all(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	(void)shutdown(fd, SHUT_WR);
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		if (write(STDOUT_FILENO, buf, (size_t)n) != n)
			return fail("standard output");
	return 0;
}

static int flood(int fd)
{
	static const char line[] = "show\n";

	/* Blocks while the worker has us wait; it ends by dropping us. */
	while (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0)
		;
	return errno == EPIPE || errno == ECONNRESET ? 0 : fail("send");
}

static int hold(const char *path, unsigned n)
{
	int fd[HOLD_MAX];
	unsigned nr_left = 0;
	char byte;

	for (unsigned i = 0; i < n; i++) {
		fd[i] = reach(path);
		if (fd[i] < 0)
			return -1;
	}
	(void)puts("held");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (unsigned i = 0; i < n; i++) {
		struct pollfd polled = {.fd = fd[i], .events = POLLIN};

		nr_left += poll(&polled, 1, 0) == 0;
	}
	(void)printf("left %u\n", nr_left);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	int fd, r = -1;

	if (argc < 3 || n > HOLD_MAX)
		return 2;
	if (strcmp(argv[2], "hold") == 0)
		return hold(argv[1], n) ? 1 : 0;
	fd = reach(argv[1]);
	if (fd < 0)
		return 1;
	if (strcmp(argv[2], "send") == 0)
		r = send_all(fd);
	else if (strcmp(argv[2], "flood") == 0)
		r = flood(fd);
	(void)close(fd);
	return r ? 1 : 0;
}

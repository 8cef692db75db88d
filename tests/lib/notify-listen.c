/*
 * notify-listen SOCKET: plays the service manager. Prints a line when it listens, then what is told, line
 * by line, until somebody tells STOPPING=1. Holds none of the descriptors a test waits for the end of.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[1024];
	ssize_t n;
	int fd;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	(void)close_range(3, ~0u, 0);
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	(void)puts("listening");
	(void)fflush(stdout);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = '\0';
		(void)puts(text);
		(void)fflush(stdout);
		if (strstr(text, "STOPPING=1"))
			return 0;
	}
	return 1;
}

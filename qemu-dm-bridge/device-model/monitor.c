#include "qemu-dm-bridge/device-model/monitor.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "qemu-dm-bridge/dialect/optstr.h"
#include "qemu-dm-bridge/qmp/monitor_path.h"

#define ID       "blkback-qmp"
#define MINUTE_S 60

/* One at which QEMU does not wait for somebody to come. */
static bool is_socket_server(const char *value)
{
	struct optstr option;
	bool listens = false, waits = true;

	if (strncmp(value, "socket,", 7) != 0)
		return false;
	while (optstr_next(&value, &option)) {
		if (optstr_is(&option, "server"))
			listens = !optstr_has_value(&option, "off");
		if (optstr_is(&option, "wait"))
			waits = !optstr_has_value(&option, "off");
		if (optstr_is(&option, "nowait"))
			waits = false;
	}
	return listens && !waits;
}

/* The socket that the toolstack talks QMP over; NULL without one. */
static const char *example(const struct command_line *line)
{
	unsigned at = 0;
	int option;

	while ((option = command_line_next(line, &at)) >= 0)
		if (strcmp(command_line_name(line, (unsigned)option), "chardev") == 0 &&
			is_socket_server(command_line_value(line, (unsigned)option)))
			return command_line_value(line, (unsigned)option);
	return NULL;
}

/* As the example is spelled, but for whose it is and where. */
static char *socket_like(const char *value, const char *path)
{
	struct optstr option;
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	(void)fputs("socket,id=" ID ",path=", to);
	optstr_quote(to, path);
	while (optstr_next(&value, &option))
		if (optstr_is(&option, "server") || optstr_is(&option, "wait") ||
			optstr_is(&option, "nowait"))
			(void)fprintf(to, ",%.*s", (int)option.len, option.start);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

int monitor_add(struct command_line *line, const char *path)
{
	const char *model = example(line);
	char *value;
	int r;

	if (!model || !command_line_find(line, "mon"))
		return -ENOENT;
	value = socket_like(model, path);
	if (!value)
		return -ENOMEM;
	r = command_line_append(line, "-chardev", value);
	free(value);
	return r ? r : command_line_append(line, "-mon", "chardev=" ID ",mode=control");
}

/* One that a device model is just making, and does not listen at yet, is new. */
static bool is_old(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_mtime + MINUTE_S < time(NULL);
}

/* Nobody listens any more. */
static bool is_dead(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	(void)close(fd);
	return r == ECONNREFUSED;
}

void monitor_sweep(const char *rundir)
{
	DIR *dir = opendir(rundir);
	struct dirent *entry;
	char path[512];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		int n = snprintf(path, sizeof(path), "%s/%s", rundir, entry->d_name);

		if (strncmp(entry->d_name, MONITOR_PREFIX, sizeof(MONITOR_PREFIX) - 1) == 0 &&
			n > 0 && (size_t)n < sizeof(path) && is_old(path) && is_dead(path))
			(void)unlink(path);
	}
	(void)closedir(dir);
}

#include "backend/util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/util/limits.h"

static const char *program = "";
static const char *context = "";
static bool use_stderr = true;
static int highest = LOG_INFO;

void log_init(const char *the_program, const char *the_context)
{
	program = the_program;
	context = the_context;
}

void log_to_syslog(void)
{
	use_stderr = false;
	openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_set_debug(bool on)
{
	log_set_level(on ? LOG_DEBUG : LOG_INFO);
}

void log_set_level(int level)
{
	highest = level;
}

int log_level(void)
{
	return highest;
}

static const struct {
	const char *name;
	int level;
} levels[] = {
	{"error", LOG_ERR},
	{"warn", LOG_WARNING},
	{"info", LOG_INFO},
	{"debug", LOG_DEBUG},
};

#define NR_LEVELS (sizeof(levels) / sizeof(levels[0]))

bool log_level_parse(const char *name, int *ret_level)
{
	for (unsigned i = 0; i < NR_LEVELS; i++) {
		if (strcmp(name, levels[i].name) != 0)
			continue;
		*ret_level = levels[i].level;
		return true;
	}
	return false;
}

const char *log_level_name(int level)
{
	for (unsigned i = 0; i < NR_LEVELS; i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "unknown";
}

static const char *prefix(int level)
{
	switch (level) {
	case LOG_ERR:
		return "error: ";
	case LOG_WARNING:
		return "warning: ";
	case LOG_DEBUG:
		return "debug: ";
	default:
		return "";
	}
}

void log_line(int level, const char *fmt, ...)
{
	char text[1024];
	const char *colon = context[0] ? ": " : "";
	va_list args;

	if (level > highest)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (use_stderr)
		(void)fprintf(
			stderr, "%s: %s%s%s%s\n", program, context, colon, prefix(level), text);
	else
		syslog(level, "%s%s%s%s", context, colon, prefix(level), text);
}

bool log_to_file(const char *path)
{
	int fd;

	if (!path || !path[0])
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0) {
		log_warn("log file '%s' cannot be opened, logging to syslog: %s", path,
			strerror(errno));
		return false;
	}
	(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
	return true;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned lines)
{
	if (limit->lines == 0 || now_ms - limit->since_ms >= LIMIT_LOG_INTERVAL_MS) {
		limit->since_ms = now_ms;
		limit->lines = 0;
	}
	if (limit->lines >= lines)
		return false;
	limit->lines++;
	return true;
}

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xen/xen.h>

#include "frontend-shim/toolstack/toolstack.h"

void tool_error(const char *format, ...)
{
	va_list ap;

	fputs("xensim: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int tool_parse_domid(const char *s, uint32_t *ret_domid)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || *s < '0' || *s > '9' || v >= DOMID_FIRST_RESERVED) {
		tool_error("'%s' is not a domain id (0 to %u)", s, DOMID_FIRST_RESERVED - 1);
		return -EINVAL;
	}
	*ret_domid = (uint32_t)v;
	return 0;
}

int64_t tool_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int tool_state_ms(void)
{
	const char *text = getenv("XENSIM_STATE_SECONDS");
	unsigned long seconds;
	char *end;

	if (!text || !*text)
		return TOOL_STATE_MS;
	seconds = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && seconds > 0 && seconds <= 3600)
		return (int)seconds * 1000;
	tool_error("XENSIM_STATE_SECONDS='%s' is not a number from 1 to 3600; it is %d", text,
		TOOL_STATE_MS / 1000);
	return TOOL_STATE_MS;
}

int tool_path(char *ret_path, size_t room, const char *relative)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int len;

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	len = snprintf(ret_path, room, "%s/%s", exe, relative);
	return len < 0 || (size_t)len >= room ? -ENAMETOOLONG : 0;
}

const char *tool_host_dir(void)
{
	const char *dir = getenv("XENSIM_DIR");

	if (dir && *dir)
		return dir;
	tool_error("XENSIM_DIR is not set; run: eval \"$(xensim host-start)\"");
	return NULL;
}

int tool_connect(struct hv_client *c, const char *dir)
{
	int r;

	r = hv_client_open(c, dir, 0, HV_KIND_CTRL, false);
	if (r < 0)
		tool_error("no simulated host answers in '%s': %s", dir, strerror(-r));
	return r;
}

struct xs_handle *tool_store(void)
{
	struct xs_handle *xs;

	if (!getenv("XENSTORED_PATH")) {
		const char *dir = getenv("XENSIM_DIR");
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/xenstored/socket", dir ? dir : "");
		(void)setenv("XENSTORED_PATH", path, 1);
	}
	xs = xs_open(0);
	if (!xs)
		tool_error("no xenstored answers on '%s': %s", getenv("XENSTORED_PATH"),
			strerror(errno));
	return xs;
}

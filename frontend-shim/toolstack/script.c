/* Hotplug scripts, with the arguments and environment of libxl_linux.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend-shim/toolstack/toolstack.h"

static void script_environment(const struct device *d, const char *script)
{
	char path[64], preload[PATH_MAX];

	(void)snprintf(path, sizeof(path), "backend/%s/%u/%u", d->kind, d->domid, d->devid);
	(void)setenv("script", script, 1);
	(void)setenv("XENBUS_TYPE", d->kind, 1);
	(void)setenv("XENBUS_PATH", path, 1);
	(void)setenv("XENBUS_BASE_PATH", "backend", 1);
	/* What the script starts shall live in the simulated host, too. */
	if (!getenv("LD_PRELOAD") &&
		tool_path(preload, sizeof(preload), "../lib/libxenshim.so") == 0)
		(void)setenv("LD_PRELOAD", preload, 1);
}

static void __attribute__((noreturn))
script_exec(const struct device *d, const char *script, const char *action)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setpgid(0, 0);
	script_environment(d, script);
	if (null >= 0 && dup2(null, 0) >= 0 && dup2(2, 1) >= 0)
		(void)execl(script, script, action, (char *)NULL);
	tool_error("cannot run the hotplug script '%s': %s", script, strerror(errno));
	_exit(127);
}

int script_run(const struct device *d, const char *script, const char *action)
{
	int64_t deadline = tool_now_ms() + TOOL_HOTPLUG_MS;
	struct pollfd pfd = {.events = POLLIN};
	int status, n;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		script_exec(d, script, action);
	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	do {
		int64_t left = deadline - tool_now_ms();

		n = poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	(void)close(pfd.fd);
	if (n <= 0)
		(void)kill(-pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	if (n <= 0)
		return -ETIMEDOUT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

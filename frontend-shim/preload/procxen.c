/*
 * /proc/xen/xsd_port and /proc/xen/xsd_kva, where xenstored finds dom0's end of its ring: these two
 * paths are answered by memfds. What lies in the bus's folder of sysfs.h gets another name. All other
 * opens go on to the C library as they are.
 */
/* This file defines what fortified headers declare as inline functions. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend-shim/preload/shim.h"
#include "frontend-shim/preload/sysfs.h"

#define XSD_PORT "/proc/xen/xsd_port"
#define XSD_KVA  "/proc/xen/xsd_kva"

/* The C library declares these only to fortified callers. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

static bool procxen_is(const char *path)
{
	return path && !strncmp(path, "/proc/xen/", 10) &&
	       (!strcmp(path, XSD_PORT) || !strcmp(path, XSD_KVA));
}

static int procxen_open_port(uint64_t port)
{
	int fd = memfd_create("xensim-xsd-port", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%llu", (unsigned long long)port) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		(void)close(fd);
		return -EIO;
	}
	return fd;
}

static int procxen_open(const char *path)
{
	struct hv_call call = {.req.op = HV_XSD, .send_fd = -1};
	struct hv_client client;
	int r;

	r = shim_connect(&client, HV_KIND_CTRL, false);
	if (r < 0)
		return shim_result(r);
	r = hv_client_call(&client, &call);
	hv_client_close(&client);
	if (r < 0)
		return shim_result(r);
	if (!strcmp(path, XSD_KVA))
		return call.fds[0];
	(void)close(call.fds[0]);
	return shim_result(procxen_open_port(call.reply.value));
}

/* The next definition of a function, found anew each time: opens are not a hot path, and it leaves
 * nothing to initialise in the wrong order under a sanitizer. */
static void *procxen_next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		errno = ENOSYS;
	return f;
}

/* `mode` is there only with flags that may create; reading it always is what libc does not do. */
#define PROCXEN_MODE(flags, last)                                                                  \
	__extension__({                                                                            \
		mode_t mode_ = 0;                                                                  \
		if ((flags) & (O_CREAT | __O_TMPFILE)) {                                           \
			va_list ap_;                                                               \
			va_start(ap_, last);                                                       \
			mode_ = va_arg(ap_, mode_t);                                               \
			va_end(ap_);                                                               \
		}                                                                                  \
		mode_;                                                                             \
	})

static int procxen_pass(const char *name, const char *path, int flags, mode_t mode)
{
	int (*next)(const char *, int, ...);
	char host_path[PATH_MAX];

	if (procxen_is(path))
		return procxen_open(path);
	if (sysfs_is(path)) {
		if (!sysfs_path(path, host_path, sizeof(host_path)))
			return -1;
		path = host_path;
	}
	*(void **)&next = procxen_next(name);
	return next ? next(path, flags, mode) : -1;
}

static int procxen_pass_at(const char *name, int dir, const char *path, int flags, mode_t mode)
{
	int (*next)(int, const char *, int, ...);

	if (procxen_is(path))
		return procxen_open(path);
	*(void **)&next = procxen_next(name);
	return next ? next(dir, path, flags, mode) : -1;
}

static FILE *procxen_pass_stream(const char *name, const char *path, const char *mode)
{
	FILE *(*next)(const char *, const char *);
	char host_path[PATH_MAX];
	FILE *f;
	int fd;

	if (procxen_is(path)) {
		fd = procxen_open(path);
		f = fd < 0 ? NULL : fdopen(fd, mode);
		if (fd >= 0 && !f)
			(void)close(fd);
		return f;
	}
	if (sysfs_is(path)) {
		if (!sysfs_path(path, host_path, sizeof(host_path)))
			return NULL;
		if (sysfs_acts(host_path))
			return sysfs_stream(host_path);
		path = host_path;
	}
	*(void **)&next = procxen_next(name);
	return next ? next(path, mode) : NULL;
}

int open(const char *path, int flags, ...)
{
	return procxen_pass("open", path, flags, PROCXEN_MODE(flags, flags));
}

int open64(const char *path, int flags, ...)
{
	return procxen_pass("open64", path, flags, PROCXEN_MODE(flags, flags));
}

int __open_2(const char *path, int flags)
{
	return procxen_pass("open", path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return procxen_pass("open64", path, flags, 0);
}

int openat(int dir, const char *path, int flags, ...)
{
	return procxen_pass_at("openat", dir, path, flags, PROCXEN_MODE(flags, flags));
}

int openat64(int dir, const char *path, int flags, ...)
{
	return procxen_pass_at("openat64", dir, path, flags, PROCXEN_MODE(flags, flags));
}

FILE *fopen(const char *path, const char *mode)
{
	return procxen_pass_stream("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return procxen_pass_stream("fopen64", path, mode);
}

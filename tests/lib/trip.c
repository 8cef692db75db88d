/*
 * libtrip.so: preloaded into a program of ours, lets a call of a library fail for as long as a file
 * exists, and notes each failure in it as a line. The environment names the file:
 *
 *   TRIP_CONFLICT    xenstored refuses every transaction, as when others write the same nodes
 *   TRIP_FDATASYNC   fdatasync fails with EIO
 *   TRIP_FALLOCATE   fallocate fails with EOPNOTSUPP, as on a file system without holes
 *   TRIP_THREAD      pthread_create fails with EAGAIN, as when the user has too many
 *   TRIP_LOCKS       a file's descriptions cannot be locked (F_OFD_SETLK fails with ENOLCK), as on some network file systems
 *   TRIP_INOTIFY     inotify_init1 fails with EMFILE, as when the user has too many instances
 *   TRIP_STOP_GRANTS before a queue opens the grant table (and makes the logger for that) the process stops, as for SIGSTOP
 *
 * Two variables do not name files:
 *
 *   TRIP_SLOW_FDATASYNC  an fdatasync takes so many ms longer, as on slow storage
 *   TRIP_SLOW_RANGE      so does a sync_file_range
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xenstore.h>
#include <xentoollog.h>

static bool tripped(const char *variable)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd < 0)
		return false;
	(void)!write(fd, "tripped\n", 8);
	(void)close(fd);
	return true;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	bool (*real)(struct xs_handle *, xs_transaction_t, bool);
	bool refuse = !abort && tripped("TRIP_CONFLICT");
	bool done;

	*(void **)&real = dlsym(RTLD_NEXT, "xs_transaction_end");
	done = real(h, t, abort || refuse);
	if (!refuse)
		return done;
	errno = EAGAIN;
	return false;
}

xentoollog_logger_stdiostream *xtl_createlogger_stdiostream(
	FILE *stream, xentoollog_level level, unsigned flags)
{
	xentoollog_logger_stdiostream *(*real)(FILE *, xentoollog_level, unsigned);

	if (tripped("TRIP_STOP_GRANTS"))
		(void)raise(SIGSTOP);
	*(void **)&real = dlsym(RTLD_NEXT, "xtl_createlogger_stdiostream");
	return real(stream, level, flags);
}

int inotify_init1(int flags)
{
	if (tripped("TRIP_INOTIFY")) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_inotify_init1, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (tripped("TRIP_FALLOCATE")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (tripped("TRIP_THREAD"))
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attributes, start, argument);
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	if (command == F_OFD_SETLK && tripped("TRIP_LOCKS")) {
		errno = ENOLCK;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

static void dawdle(const char *variable)
{
	const char *slow_ms = getenv(variable);

	if (slow_ms)
		(void)poll(NULL, 0, (int)strtol(slow_ms, NULL, 10));
}

int sync_file_range(int fd, off_t offset, off_t length, unsigned flags)
{
	int (*real)(int, off_t, off_t, unsigned);

	dawdle("TRIP_SLOW_RANGE");
	*(void **)&real = dlsym(RTLD_NEXT, "sync_file_range");
	return real(fd, offset, length, flags);
}

int fdatasync(int fd)
{
	dawdle("TRIP_SLOW_FDATASYNC");
	if (tripped("TRIP_FDATASYNC")) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

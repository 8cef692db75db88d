/*
 * libdrag.so: preloaded into a worker, makes it slower without changing what it does: a thread that has used some of a processor uses
 * percent more, in vain, which the file that DRAG_FILE names has as a number, at any moment. So a bench can show that it would notice, with one
 * worker that is now slower and now not: two of them never cost quite the same.
 *
 * The calls that a queue's thread makes in each pass, whatever its engine is, look at the clock: io_submit, epoll_wait, xenevtchn_notify. To be
 * named in LD_PRELOAD before the simulator, whose xenevtchn_notify it calls.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <libaio.h>
#include <xenevtchn.h>

/* Reading a thread's own time is a system call, so it is not looked at more often than that. */
#define INTERVAL_NS 500000u

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t percent(void)
{
	const char *path = getenv("DRAG_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[8] = "";

	if (fd < 0)
		return 0;
	(void)!read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	return strtoull(text, NULL, 10);
}

static void drag(void)
{
	static _Thread_local uint64_t seen_ns, used_ns;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), used, until;
	int saved = errno;

	if (now - seen_ns < INTERVAL_NS)
		return;
	seen_ns = now;
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	until = used + (used - used_ns) * percent() / 100;
	while (used < until)
		used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	used_ns = used;
	errno = saved;
}

int io_submit(io_context_t context, long nr, struct iocb *iocbs[])
{
	static int (*real)(io_context_t, long, struct iocb *[]);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_submit");
	drag();
	return real(context, nr, iocbs);
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	static int (*real)(int, struct epoll_event *, int, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
	drag();
	return real(epfd, events, max, timeout_ms);
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
	static int (*real)(xenevtchn_handle *, evtchn_port_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "xenevtchn_notify");
	drag();
	return real(handle, port);
}

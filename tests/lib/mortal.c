/*
 * libmortal.so: preloaded before the simulator into one program, kills it (SIGKILL) when it is about to do its Nth
 * operation on xenstore, grants, event channels, storage or pid file. A test goes through all N until the program has
 * lived to its end.
 *
 *   MORTAL_PROGRAM   its name as in /proc/PID/comm: children that are other programs are immortal
 *   MORTAL_AT        N, from 1 on
 *   MORTAL_SPARES    a file: as long as it is not there, nothing is counted. Unset: all is
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libaio.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

static atomic_ulong nr_done;

static bool is_mortal(void)
{
	const char *program = getenv("MORTAL_PROGRAM");
	const char *spares = getenv("MORTAL_SPARES");

	if (!program || strcmp(program, program_invocation_short_name) != 0)
		return false;
	return !spares || access(spares, F_OK) == 0;
}

static void step(void)
{
	const char *at = getenv("MORTAL_AT");
	int error = errno;

	if (at && is_mortal() && atomic_fetch_add(&nr_done, 1) + 1 == strtoul(at, NULL, 10))
		(void)kill(getpid(), SIGKILL);
	errno = error;
}

/* Result, name, parameters, arguments. */
#define MORTAL(type, name, parameters, arguments)                                                  \
	type name parameters                                                                       \
	{                                                                                          \
		type(*real) parameters;                                                            \
                                                                                                   \
		step();                                                                            \
		*(void **)&real = dlsym(RTLD_NEXT, #name);                                         \
		return real arguments;                                                             \
	}

typedef struct xs_handle xs;

MORTAL(xs *, xs_open, (unsigned long flags), (flags))
MORTAL(void *, xs_read, (xs * h, xs_transaction_t t, const char *path, unsigned *len),
	(h, t, path, len))
MORTAL(bool, xs_write,
	(xs * h, xs_transaction_t t, const char *path, const void *data, unsigned len),
	(h, t, path, data, len))
MORTAL(bool, xs_rm, (xs * h, xs_transaction_t t, const char *path), (h, t, path))
MORTAL(bool, xs_watch, (xs * h, const char *path, const char *token), (h, path, token))
MORTAL(bool, xs_unwatch, (xs * h, const char *path, const char *token), (h, path, token))
MORTAL(xs_transaction_t, xs_transaction_start, (xs * h), (h))
MORTAL(bool, xs_transaction_end, (xs * h, xs_transaction_t t, bool abort), (h, t, abort))
MORTAL(char **, xs_directory, (xs * h, xs_transaction_t t, const char *path, unsigned *n),
	(h, t, path, n))

MORTAL(xengnttab_handle *, xengnttab_open, (struct xentoollog_logger * l, unsigned flags),
	(l, flags))
MORTAL(int, xengnttab_close, (xengnttab_handle * h), (h))
MORTAL(void *, xengnttab_map_domain_grant_refs,
	(xengnttab_handle * h, uint32_t n, uint32_t domid, uint32_t *refs, int prot),
	(h, n, domid, refs, prot))
MORTAL(int, xengnttab_unmap, (xengnttab_handle * h, void *start, uint32_t n), (h, start, n))
MORTAL(int, xengnttab_grant_copy,
	(xengnttab_handle * h, uint32_t n, xengnttab_grant_copy_segment_t *segs), (h, n, segs))
MORTAL(void *, xengntshr_share_pages,
	(xengntshr_handle * h, uint32_t domid, int n, uint32_t *refs, int writable),
	(h, domid, n, refs, writable))
MORTAL(int, xengntshr_unshare, (xengntshr_handle * h, void *start, uint32_t n), (h, start, n))

MORTAL(xenevtchn_handle *, xenevtchn_open, (struct xentoollog_logger * l, unsigned flags),
	(l, flags))
MORTAL(int, xenevtchn_close, (xenevtchn_handle * h), (h))
MORTAL(xenevtchn_port_or_error_t, xenevtchn_bind_unbound_port,
	(xenevtchn_handle * h, uint32_t domid), (h, domid))
MORTAL(xenevtchn_port_or_error_t, xenevtchn_bind_interdomain,
	(xenevtchn_handle * h, uint32_t domid, evtchn_port_t port), (h, domid, port))
MORTAL(int, xenevtchn_unbind, (xenevtchn_handle * h, evtchn_port_t port), (h, port))
MORTAL(int, xenevtchn_notify, (xenevtchn_handle * h, evtchn_port_t port), (h, port))
MORTAL(int, xenevtchn_unmask, (xenevtchn_handle * h, evtchn_port_t port), (h, port))

MORTAL(int, io_submit, (io_context_t context, long n, struct iocb *iocbs[]), (context, n, iocbs))
MORTAL(int, fdatasync, (int fd), (fd))
MORTAL(int, unlink, (const char *path), (path))
MORTAL(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
MORTAL(pid_t, fork, (void), ())

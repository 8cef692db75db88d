#include "xenstore/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>
#include <xenstore_lib.h>

struct store {
	struct xs_handle *xs;
	int fd;      /* epoll of libxenstore's descriptor, and of line_fd */
	int line_fd; /* another connection, over which nothing goes, or -1 */
	bool gone;   /* xenstored has gone: nothing is sent any more */
};

/* ---- errors: the one place where libxenstore's become ours ---- */

/* xenstored answers; what it answers does not matter. */
static bool answers(struct store *s)
{
	unsigned len;
	void *value = xs_read(s->xs, XBT_NULL, "/", &len);

	if (!value)
		return errno == EACCES || errno == ENOENT;
	free(value);
	return true;
}

/*
 * -errno of the call that just failed. A lost connection is EINVAL or EIO as often as EPIPE, and
 * xenstored itself says EINVAL and EIO too: those two are told apart by asking once more.
 */
static int failure(struct store *s)
{
	int e = errno;

	if (e == EPIPE || e == EBADF || e == ECONNRESET || e == ENOTCONN)
		s->gone = true;
	else if ((e == EINVAL || e == EIO) && !answers(s))
		s->gone = true;
	if (s->gone)
		return -EPIPE;
	return e > 0 ? -e : -EIO;
}

static int result(struct store *s, bool ok)
{
	return ok ? 0 : failure(s);
}

/* ---- connection ---- */

/*
 * libxenstore's own descriptor is a pipe of its thread's, which stays silent when xenstored dies. So there is another connection
 * to the same socket, that says nothing and hangs up. There is none, -1, where there is no socket: the kernel's device of a guest or a
 * driver domain, whose other end does not go away. Any other failure is one of opening the store: who would not hear of its loss
 * would wait for ever.
 */
static int open_line(int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = xs_daemon_socket();
	int fd, r = 0;

	*ret_fd = -1;
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_fd = fd;
		return 0;
	}
	/* Refused: it is something else of that name, or a socket that nobody listens at. */
	if (errno != ENOENT && errno != ENOTDIR && errno != ECONNREFUSED)
		r = -errno;
	(void)close(fd);
	return r;
}

/* xenstored never speaks first: whatever is to be read is the end. */
static bool line_is_cut(const struct store *s)
{
	char byte;

	if (s->line_fd < 0)
		return false;
	return recv(s->line_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       (errno != EAGAIN && errno != EINTR);
}

static int watch_fd(struct store *s, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(s->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* errno is not kept by xs_fileno(): its pipe could not be made. */
static int open_descriptors(struct store *s)
{
	int events = xs_fileno(s->xs);
	int r;

	if (events < 0)
		return -EMFILE;
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	r = watch_fd(s, events);
	if (r == 0)
		r = open_line(&s->line_fd);
	if (r == 0 && s->line_fd >= 0)
		r = watch_fd(s, s->line_fd);
	return r;
}

int store_open(struct store **ret_store)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = s->line_fd = -1;
	s->xs = xs_open(XS_UNWATCH_FILTER);
	if (!s->xs) {
		r = errno > 0 ? -errno : -EIO;
		store_close(s);
		return r;
	}
	r = open_descriptors(s);
	if (r) {
		store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	xs_close(s->xs);
	if (s->line_fd >= 0)
		(void)close(s->line_fd);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s);
}

int store_fd(struct store *s)
{
	return s->fd;
}

int store_check(struct store *s)
{
	if (!s->gone && !answers(s))
		s->gone = true;
	return s->gone ? -EPIPE : 0;
}

/* ---- nodes ---- */

int store_read(struct store *s, uint32_t txn, const char *path, char **ret_value, size_t *ret_len)
{
	unsigned len;
	char *value;

	if (s->gone)
		return -EPIPE;
	value = xs_read(s->xs, txn, path, &len);
	if (!value)
		return failure(s);
	/* libxenstore adds a terminator after `len` bytes. */
	if (strlen(value) != len) {
		free(value);
		return -EBADMSG;
	}
	*ret_value = value;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int store_write(struct store *s, uint32_t txn, const char *path, const char *value)
{
	size_t len = strlen(value);

	if (s->gone)
		return -EPIPE;
	if (len > STORE_VALUE_MAX)
		return -E2BIG;
	return result(s, xs_write(s->xs, txn, path, value, (unsigned)len));
}

/* Writes what vsnprintf() made in `value`, of STORE_VALUE_MAX + 1 bytes, when it returned `n`. */
static int write_formatted(
	struct store *s, uint32_t txn, const char *path, const char *value, int n)
{
	if (n < 0)
		return -EINVAL;
	if (n > STORE_VALUE_MAX)
		return -E2BIG;
	return store_write(s, txn, path, value);
}

int store_vprintf(struct store *s, uint32_t txn, const char *path, const char *fmt, va_list args)
{
	char value[STORE_VALUE_MAX + 1];
	int n = vsnprintf(value, sizeof(value), fmt, args);

	return write_formatted(s, txn, path, value, n);
}

int store_printf(struct store *s, uint32_t txn, const char *path, const char *fmt, ...)
{
	char value[STORE_VALUE_MAX + 1];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	return write_formatted(s, txn, path, value, n);
}

int store_remove(struct store *s, uint32_t txn, const char *path)
{
	int r;

	if (s->gone)
		return -EPIPE;
	r = result(s, xs_rm(s->xs, txn, path));
	/* xenstored says ENOENT only if the parent is missing as well. */
	return r == -ENOENT ? 0 : r;
}

int store_exists(struct store *s, uint32_t txn, const char *path, bool *ret_exists)
{
	char *value = NULL;
	int r;

	r = store_read(s, txn, path, &value, NULL);
	free(value);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	*ret_exists = r != -ENOENT;
	return 0;
}

int store_list(struct store *s, uint32_t txn, const char *path, char ***ret_names, unsigned *ret_n)
{
	char **names;
	unsigned n;

	if (s->gone)
		return -EPIPE;
	names = xs_directory(s->xs, txn, path, &n);
	if (!names)
		return failure(s);
	*ret_names = names;
	*ret_n = n;
	return 0;
}

/* ---- watches ---- */

int store_watch(struct store *s, const char *path, const char *token)
{
	if (s->gone)
		return -EPIPE;
	return result(s, xs_watch(s->xs, path, token));
}

int store_unwatch(struct store *s, const char *path, const char *token)
{
	if (s->gone)
		return -EPIPE;
	return result(s, xs_unwatch(s->xs, path, token));
}

int store_next_event(struct store *s, struct store_event *ret_event)
{
	char **strings;

	if (s->gone)
		return -EPIPE;
	strings = xs_check_watch(s->xs);
	if (!strings && errno == EAGAIN && line_is_cut(s))
		s->gone = true;
	if (!strings)
		return failure(s);
	ret_event->block = strings;
	ret_event->path = strings[XS_WATCH_PATH];
	ret_event->token = strings[XS_WATCH_TOKEN];
	return 0;
}

void store_event_fini(struct store_event *event)
{
	free(event->block);
	*event = (struct store_event){0};
}

/* ---- transactions ---- */

int store_txn_begin(struct store *s, uint32_t *ret_txn)
{
	xs_transaction_t txn;

	if (s->gone)
		return -EPIPE;
	txn = xs_transaction_start(s->xs);
	if (txn == XBT_NULL)
		return failure(s);
	*ret_txn = txn;
	return 0;
}

int store_txn_commit(struct store *s, uint32_t txn)
{
	if (s->gone)
		return -EPIPE;
	return result(s, xs_transaction_end(s->xs, txn, false));
}

void store_txn_abort(struct store *s, uint32_t txn)
{
	/* A failure leaves nothing to undo: the transaction dies with the connection. */
	if (!s->gone)
		(void)result(s, xs_transaction_end(s->xs, txn, true));
}

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

struct tree_acl tree_acl_owner(uint32_t owner)
{
	return (struct tree_acl){.perms = {{.id = owner, .perms = XS_PERM_NONE}}, .nr = 1};
}

struct tree_acl tree_acl_reader(uint32_t owner, uint32_t reader)
{
	return (struct tree_acl){.perms = {{.id = owner, .perms = XS_PERM_NONE},
					 {.id = reader, .perms = XS_PERM_READ}},
		.nr = 2};
}

int tree_transact(struct xs_handle *xs, void (*body)(struct tree_tx *tx, void *arg), void *arg)
{
	for (;;) {
		struct tree_tx tx = {.xs = xs};

		tx.t = xs_transaction_start(xs);
		if (!tx.t)
			return -errno;
		body(&tx, arg);
		if (tx.error) {
			(void)xs_transaction_end(xs, tx.t, true);
			return tx.error;
		}
		if (xs_transaction_end(xs, tx.t, false))
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
}

static void tx_set_acl(struct tree_tx *tx, struct tree_acl *acl, const char *path)
{
	if (acl->nr && !xs_set_permissions(tx->xs, tx->t, path, acl->perms, acl->nr))
		tx->error = -errno;
}

void tree_put(struct tree_tx *tx, struct tree_acl acl, const char *value, const char *path, ...)
{
	char text[STORE_PATH_ROOM];
	va_list ap;

	va_start(ap, path);
	(void)vsnprintf(text, sizeof(text), path, ap);
	va_end(ap);
	if (tx->error)
		return;
	if (!xs_write(tx->xs, tx->t, text, value, (unsigned)strlen(value)))
		tx->error = -errno;
	else
		tx_set_acl(tx, &acl, text);
}

void tree_mkdir(struct tree_tx *tx, struct tree_acl acl, const char *path)
{
	if (tx->error)
		return;
	if (!xs_mkdir(tx->xs, tx->t, path))
		tx->error = -errno;
	else
		tx_set_acl(tx, &acl, path);
}

void tree_remove(struct tree_tx *tx, const char *path)
{
	if (!tx->error && !xs_rm(tx->xs, tx->t, path) && errno != ENOENT)
		tx->error = -errno;
}

void tree_remove_upwards(struct tree_tx *tx, const char *path)
{
	char *parent = strdup(path), *slash;

	if (!parent) {
		tx->error = -ENOMEM;
		return;
	}
	tree_remove(tx, path);
	while (!tx->error && (slash = strrchr(parent, '/')) && slash != parent) {
		unsigned nr = 0;
		char **entries;

		*slash = '\0';
		entries = xs_directory(tx->xs, tx->t, parent, &nr);
		free(entries);
		if (!entries || nr)
			break;
		tree_remove(tx, parent);
	}
	free(parent);
}

char *tree_read(struct xs_handle *xs, const char *path, ...)
{
	char text[STORE_PATH_ROOM];
	va_list ap;

	va_start(ap, path);
	(void)vsnprintf(text, sizeof(text), path, ap);
	va_end(ap);
	return xs_read(xs, XBT_NULL, text, NULL);
}

/* Drains the watch events; what counts is the value, read afterwards. */
static int watch_wait(struct xs_handle *xs, int64_t deadline)
{
	struct pollfd pfd = {.fd = xs_fileno(xs), .events = POLLIN};
	int64_t left = deadline - tool_now_ms();
	char **event;
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&pfd, 1, (int)left);
	if (n < 0 && errno != EINTR)
		return -errno;
	while ((event = xs_check_watch(xs)))
		free(event);
	return errno == EAGAIN ? 0 : -errno;
}

int tree_wait_state(
	struct xs_handle *xs, const char *path, unsigned wanted, bool gone, int timeout_ms)
{
	int64_t deadline = tool_now_ms() + timeout_ms;
	int r = 0;

	if (!xs_watch(xs, path, "xensim"))
		return -errno;
	while (!r) {
		char *value = tree_read(xs, "%s", path);
		unsigned state = 0;

		if (!value && errno == ENOENT) {
			r = gone ? 1 : 0;
		} else if (value) {
			state = value[0] >= '0' && value[0] <= '9' && !value[1]
					? (unsigned)(value[0] - '0')
					: 31;
			r = wanted >> state & 1;
		}
		free(value);
		if (!r)
			r = watch_wait(xs, deadline);
	}
	(void)xs_unwatch(xs, path, "xensim");
	return r < 0 ? r : 0;
}

int tree_wait_release(struct xs_handle *xs, uint32_t domid, int timeout_ms)
{
	int64_t deadline = tool_now_ms() + timeout_ms;
	int r = 0;

	if (!xs_watch(xs, "@releaseDomain", "xensim"))
		return -errno;
	while (!r && xs_is_domain_introduced(xs, domid))
		r = watch_wait(xs, deadline);
	(void)xs_unwatch(xs, "@releaseDomain", "xensim");
	return r;
}

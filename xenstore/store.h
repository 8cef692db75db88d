/*
 * A connection to xenstored, with libxenstore's conventions turned into ours once.
 *
 * Thread: the control thread only; one struct store belongs to one thread. Never logs. Owns the
 * connection, and with it all its watches and transactions. Every call is one round trip to
 * xenstored and blocks for it (45 us on a socket, measured), except store_next_event() and
 * store_fd().
 *
 * Results are 0 or -errno. Those that callers tell apart:
 *   -ENOENT        no such node
 *   -EACCES        not ours to touch
 *   -ENOSPC        over quota
 *   -EBADMSG       the value holds a NUL byte: nobody's tool writes that, so it is malformed
 *   -E2BIG         value or path over the protocol's limit; nothing was sent
 *   -EPIPE         xenstored is gone. Latched: every later call returns it at once.
 * libxenstore reports a lost connection as EINVAL, EBADF, EIO or EPIPE, depending on where it
 * notices; here it is always -EPIPE, and xenstored's own EINVAL stays -EINVAL.
 *
 * A process that uses this ignores SIGPIPE, in main(): libxenstore turns the signal off around each
 * request only, process-wide, which races with other threads.
 */
#ifndef XENSTORE_STORE_H
#define XENSTORE_STORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

#define STORE_NO_TXN    0u   /* `txn`: outside any transaction; see txn.h for those inside */
#define STORE_VALUE_MAX 2048 /* longest value written: xenstored's default quota per node */

struct store_event {
	void *block;       /* holds the strings */
	const char *path;  /* what changed: the watched path or one below it, or "@..." */
	const char *token; /* as given to store_watch() */
};

/*
 * Connects. -ENOENT or -ECONNREFUSED if there is no xenstored; -ENOMEM. On success `*ret_store` is
 * to be given to store_close().
 */
int store_open(struct store **ret_store) __attribute__((nonnull, warn_unused_result));

/* Drops the connection, its watches and its open transactions. NULL is fine. Waits for nobody. */
void store_close(struct store *s);

/*
 * The descriptor to poll for watch events, and for the loss of xenstored: store_next_event() says which. The same one until
 * store_close(), which closes it.
 */
int store_fd(struct store *s) __attribute__((nonnull));

/*
 * One cheap request, to find out whether xenstored is there just now, before the event is taken that says it is not: 0 or -EPIPE.
 */
int store_check(struct store *s) __attribute__((nonnull, warn_unused_result));

/*
 * The value of a node. `*ret_value` is terminated and to be freed by the caller; `*ret_len` (may be
 * NULL) is its length. -ENOENT, -EBADMSG as above.
 */
int store_read(struct store *s, uint32_t txn, const char *path, char **ret_value, size_t *ret_len)
	__attribute__((nonnull(1, 3, 4), warn_unused_result));

/* Sets a node, creating it and its parents as needed. */
int store_write(struct store *s, uint32_t txn, const char *path, const char *value)
	__attribute__((nonnull, warn_unused_result));
int store_printf(struct store *s, uint32_t txn, const char *path, const char *fmt, ...)
	__attribute__((nonnull, format(printf, 4, 5), warn_unused_result));
int store_vprintf(struct store *s, uint32_t txn, const char *path, const char *fmt, va_list args)
	__attribute__((nonnull(1, 3, 4), format(printf, 4, 0), warn_unused_result));

/* Removes a node and all below it. 0 as well if it was not there. */
int store_remove(struct store *s, uint32_t txn, const char *path)
	__attribute__((nonnull, warn_unused_result));

/* Whether a node exists; a node we may not read is -EACCES, not "no". */
int store_exists(struct store *s, uint32_t txn, const char *path, bool *ret_exists)
	__attribute__((nonnull, warn_unused_result));

/*
 * The names below a node, in no promised order. `*ret_names` is one block, freed with one free();
 * never NULL on success, also when `*ret_n` is 0.
 */
int store_list(struct store *s, uint32_t txn, const char *path, char ***ret_names, unsigned *ret_n)
	__attribute__((nonnull, warn_unused_result));

/*
 * Watches a node and all below it; one event comes at once, so whoever watches first and reads
 * after misses nothing. The pair path, token must be unique: -EEXIST. The node need not exist.
 * Transactions of others show up when they commit.
 */
int store_watch(struct store *s, const char *path, const char *token)
	__attribute__((nonnull, warn_unused_result));

/*
 * Ends a watch; -ENOENT if there is none. Events of it that are still queued are dropped (the
 * connection is opened with XS_UNWATCH_FILTER), so the token may be forgotten. That filter compares
 * token and path prefix: never watch a path and one below it with the same token. libxenstore 4.17
 * leaks each event it drops this way, so do not let a guest decide how often a watch ends.
 */
int store_unwatch(struct store *s, const char *path, const char *token)
	__attribute__((nonnull, warn_unused_result));

/*
 * The next event, without blocking: 0, -EAGAIN if there is none, -EPIPE. Give it to
 * store_event_fini(). After store_fd() became readable, call this until -EAGAIN: the descriptor may
 * fall silent with events still queued. An event says "look again" and nothing else: several
 * changes may come as one, or one as several.
 */
int store_next_event(struct store *s, struct store_event *ret_event)
	__attribute__((nonnull, warn_unused_result));

/* Frees an event's strings and clears it. May be called twice. */
void store_event_fini(struct store_event *event) __attribute__((nonnull));

/* The parts of a transaction. Only txn.c calls these; everything else uses txn_run(). */
int store_txn_begin(struct store *s, uint32_t *ret_txn)
	__attribute__((nonnull, warn_unused_result));
int store_txn_commit(struct store *s, uint32_t txn) __attribute__((nonnull, warn_unused_result));
void store_txn_abort(struct store *s, uint32_t txn) __attribute__((nonnull));

#endif

/*
 * Transactions: several changes seen by others at once or not at all, and the project's only retry
 * loop.
 *
 * Thread: the control thread, as struct store. Never logs. xenstored refuses a commit (EAGAIN) when
 * somebody else changed what the transaction read or wrote; that is ordinary, so the work is simply
 * run again. A guest can cause such conflicts with its own nodes: hence a bound, and small
 * transactions that read frontend nodes outside where they can.
 */
#ifndef XENSTORE_TXN_H
#define XENSTORE_TXN_H

#include <stdint.h>

struct store;

/* Enough for every conflict by accident; a guest that conflicts on purpose gets an error. */
#define TXN_TRIES 32

/*
 * What happens inside. May run several times, so it has no effect but through `txn` and what it
 * overwrites in `ctx`. Returns 0 to commit, -errno to abort.
 */
typedef int (*txn_fn)(struct store *s, uint32_t txn, void *ctx);

/*
 * Runs `fn` inside a transaction and commits. Returns
 *   0        committed
 *   -EAGAIN  conflicted `max_tries` times (at least 1 is made); nothing changed
 *   other    what `fn` returned (the transaction was aborted; -EAGAIN from `fn` is not retried
 *            either), or why xenstored would not begin or commit (-EPIPE, -ENOSPC ...); nothing
 *            changed. Only after -EPIPE from the commit itself is the outcome unknown, and
 *            nobody is left to see it.
 */
int txn_run(struct store *s, txn_fn fn, void *ctx, unsigned max_tries)
	__attribute__((nonnull(1, 2), warn_unused_result));

#endif

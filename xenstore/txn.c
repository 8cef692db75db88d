#include "xenstore/txn.h"

#include <errno.h>

#include "xenstore/store.h"

static int txn_once(struct store *s, txn_fn fn, void *ctx, bool *ret_conflict)
{
	uint32_t txn;
	int r;

	*ret_conflict = false;
	r = store_txn_begin(s, &txn);
	if (r < 0)
		return r;
	r = fn(s, txn, ctx);
	if (r < 0) {
		store_txn_abort(s, txn);
		return r;
	}
	r = store_txn_commit(s, txn);
	*ret_conflict = r == -EAGAIN;
	return r;
}

int txn_run(struct store *s, txn_fn fn, void *ctx, unsigned max_tries)
{
	bool conflict;
	unsigned tries = 0;
	int r;

	do {
		r = txn_once(s, fn, ctx, &conflict);
		tries++;
	} while (conflict && tries < max_tries);
	return r;
}

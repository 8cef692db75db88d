/*
 * Reading and writing state nodes: the little I/O around the table of xenbus.h.
 *
 * Control thread only; never logs. Nothing else writes our state node on our behalf.
 */
#ifndef XENSTORE_STATE_H
#define XENSTORE_STATE_H

#include "xenstore/xenbus.h"

struct node_dir;

/*
 * The `state` node of a directory, XENBUS_ABSENT and XENBUS_UNKNOWN (unparsable) included. Returns
 * 0; -errno if the store could not be read, which is not an absent node.
 */
int state_read(const struct node_dir *dir, enum xenbus_state *ret_state)
	__attribute__((nonnull, warn_unused_result));

/*
 * Writes our state, inside a transaction (dir->txn is not STORE_NO_TXN; put the features that
 * belong to the state into the same one). `seen` is the `node` that xenbus_next() decided upon.
 * Returns
 *   0        written, if the transaction commits
 *   -ENOENT  the node has gone, and writing would make a directory nobody removes
 *   -ESTALE  the node is no longer `seen`: the toolstack has written it meanwhile, and its
 *            Closing must not be lost. Abort the transaction, read again, ask again.
 *   other    from the store
 */
int state_switch(const struct node_dir *dir, enum xenbus_state seen, enum xenbus_state next)
	__attribute__((nonnull, warn_unused_result));

#endif

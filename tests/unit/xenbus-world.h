/*
 * A disk's life without a store: what the three writers of state nodes have written, and a backend
 * that performs what xenbus_next() says. For the xenbus tests.
 */
#ifndef TESTS_UNIT_XENBUS_WORLD_H
#define TESTS_UNIT_XENBUS_WORLD_H

#include <stdbool.h>

#include "xenstore/xenbus.h"

#define WORLD_CHAIN_MAX 3 /* the most actions one look at the store may lead to */

struct world {
	/* the store */
	enum xenbus_state node;
	enum xenbus_state frontend;
	unsigned key; /* stands for the frontend's ring-ref and event-channel */
	bool online;
	/* the backend */
	enum xenbus_state self;
	bool storage_ready;
	bool rings;
	unsigned rings_key;
	bool ended;
	unsigned connects;
	unsigned writes; /* of our state node */
};

/* A new disk: the toolstack has written both directories, the frontend has done nothing. */
struct world world_new(void);

/* What the backend sees. */
struct xenbus_input world_input(const struct world *w);

/* Performs one action. */
void world_perform(struct world *w, enum xenbus_action action);

/* The backend looks and acts until it has nothing to do; the number of actions, or
 * WORLD_CHAIN_MAX + 1 if it does not come to rest. */
unsigned world_settle(struct world *w);

#endif

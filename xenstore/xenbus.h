/*
 * The xenbus handshake as a table: what we are, what the store says, what the frontend says -> what
 * to do. STATES.md draws it and gives each cell's reason.
 *
 * Pure: no I/O, no memory of its own, any thread (in practice the control thread). The caller reads
 * the three nodes after every watch event, asks xenbus_next(), performs the action, and asks again
 * until the answer is XENBUS_DO_NOTHING. So it never matters which intermediate states were missed,
 * nor how many events there were. Every chain of actions ends after at most three, whatever the
 * inputs are.
 *
 * Sources: enum xenbus_state of <xen/io/xenbus.h>; what each peer does is in STATES.md.
 */
#ifndef XENSTORE_XENBUS_H
#define XENSTORE_XENBUS_H

#include <stdbool.h>
#include <stdint.h>

/* Values as on the wire. */
enum xenbus_state {
	XENBUS_UNKNOWN = 0, /* also: a state node that cannot be parsed */
	XENBUS_INITIALISING = 1,
	XENBUS_INITWAIT = 2,
	XENBUS_INITIALISED = 3,
	XENBUS_CONNECTED = 4,
	XENBUS_CLOSING = 5,
	XENBUS_CLOSED = 6,
	XENBUS_RECONFIGURING = 7,
	XENBUS_RECONFIGURED = 8,
	XENBUS_ABSENT = 9, /* never on the wire: the node, or its whole directory, is gone */
};
#define XENBUS_STATES 9  /* that can be written */
#define XENBUS_SEEN   10 /* that can be read: those and XENBUS_ABSENT */

enum xenbus_action {
	/* All is as it should be. Wait for the next event. */
	XENBUS_DO_NOTHING,

	/* Disconnect the rings if any are, drained and with the storage flushed; publish the
	 * protocol features; go InitWait. */
	XENBUS_DO_OPEN,

	/* Read the frontend's keys, connect the rings, publish the storage features, go
	 * Connected. While the storage is not there yet (hotplug-status), do nothing and ask
	 * again when it is: the table repeats the answer. If it fails for good, say so in the
	 * store and do XENBUS_DO_CLOSING: the frontend then has to start over. Never Closed,
	 * which would open again at once and spin. */
	XENBUS_DO_CONNECT,

	/* Go Closing, and KEEP SERVING the rings: a frontend whose disk is in use stays in
	 * Closing and goes on reading and writing until the last user has closed it. */
	XENBUS_DO_CLOSING,

	/* Disconnect the rings if any are, drained and with the storage flushed; go Closed. */
	XENBUS_DO_CLOSED,

	/* The disk is gone. Disconnect the rings if any are, drained and with the storage
	 * flushed; release everything, WRITE NOTHING to the store (it would make the removed
	 * directory anew, or spoil the one of our successor), end. */
	XENBUS_DO_FINISH,
};
#define XENBUS_ACTIONS 6

struct xenbus_input {
	/* What we are: the last state we went to; Initialising in a process that just started. */
	enum xenbus_state self;
	/* What our own state node says. The toolstack writes it too: Closing to detach. */
	enum xenbus_state node;
	/* What the frontend's state node says. */
	enum xenbus_state frontend;
	/* Our node `online` is "1". Absent counts as 0, as in Linux. */
	bool online;
	/* The frontend has started over unseen: we are Connected or Closing, and its keys are
	 * complete, valid and another driver's than those of the last connection made or tried,
	 * whatever their numbers. False in doubt. */
	bool rekeyed;
};

/* What to do now. Total: defined for every input, also for enum values out of range. */
enum xenbus_action xenbus_next(const struct xenbus_input *in) __attribute__((nonnull));

/* Parses a state node's text, exactly one digit 0..8; anything else is XENBUS_UNKNOWN, NULL (no
 * such node) is XENBUS_ABSENT. */
enum xenbus_state xenbus_parse(const char *text);

/* "Initialising" ... "absent"; "invalid" out of range. Never NULL; static storage. */
const char *xenbus_state_name(enum xenbus_state state);

/* "nothing", "open", ...; "invalid" out of range. Never NULL; static storage. */
const char *xenbus_action_name(enum xenbus_action action);

#endif

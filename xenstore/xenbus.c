#include "xenstore/xenbus.h"

#include <stddef.h>

/* The cells, in the width of a table. */
#define ____ XENBUS_DO_NOTHING
#define OPEN XENBUS_DO_OPEN
#define CONN XENBUS_DO_CONNECT
#define CLNG XENBUS_DO_CLOSING
#define CLSD XENBUS_DO_CLOSED
#define FINI XENBUS_DO_FINISH

/*
 * Rows: what we are. Columns: what the frontend is. STATES.md gives the reasons.
 * Four rows are no states of ours (Unknown, Initialised, Reconfiguring, Reconfigured); they read
 * like Initialising, which assumes nothing.
 */
/* clang-format off */
static const enum xenbus_action online[XENBUS_STATES][XENBUS_SEEN] = {
	/*                         Unkn  Init  Wait  Inid  Conn  Clng  Clsd  Rcfg  Rcfd  absent */
	[XENBUS_UNKNOWN]       = { OPEN, OPEN, OPEN, OPEN, OPEN, CLNG, CLSD, OPEN, OPEN, OPEN },
	[XENBUS_INITIALISING]  = { OPEN, OPEN, OPEN, OPEN, OPEN, CLNG, CLSD, OPEN, OPEN, OPEN },
	[XENBUS_INITWAIT]      = { ____, ____, ____, CONN, CONN, CLNG, CLSD, ____, ____, ____ },
	[XENBUS_INITIALISED]   = { OPEN, OPEN, OPEN, OPEN, OPEN, CLNG, CLSD, OPEN, OPEN, OPEN },
	[XENBUS_CONNECTED]     = { CLSD, OPEN, OPEN, ____, ____, CLNG, CLSD, ____, ____, CLSD },
	[XENBUS_CLOSING]       = { CLSD, OPEN, OPEN, ____, ____, ____, CLSD, ____, ____, CLSD },
	[XENBUS_CLOSED]        = { ____, OPEN, OPEN, OPEN, OPEN, CLNG, ____, ____, ____, ____ },
	[XENBUS_RECONFIGURING] = { OPEN, OPEN, OPEN, OPEN, OPEN, CLNG, CLSD, OPEN, OPEN, OPEN },
	[XENBUS_RECONFIGURED]  = { OPEN, OPEN, OPEN, OPEN, OPEN, CLNG, CLSD, OPEN, OPEN, OPEN },
};

/* The toolstack is taking the disk away: nothing is opened, a connected frontend may leave in its
 * own time, and Closed is the end. */
static const enum xenbus_action offline[XENBUS_STATES][XENBUS_SEEN] = {
	/*                         Unkn  Init  Wait  Inid  Conn  Clng  Clsd  Rcfg  Rcfd  absent */
	[XENBUS_UNKNOWN]       = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
	[XENBUS_INITIALISING]  = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
	[XENBUS_INITWAIT]      = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
	[XENBUS_INITIALISED]   = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
	[XENBUS_CONNECTED]     = { CLSD, CLSD, CLSD, ____, ____, CLNG, CLSD, ____, ____, CLSD },
	[XENBUS_CLOSING]       = { CLSD, CLSD, CLSD, ____, ____, ____, CLSD, ____, ____, CLSD },
	[XENBUS_CLOSED]        = { FINI, FINI, FINI, FINI, FINI, FINI, FINI, FINI, FINI, FINI },
	[XENBUS_RECONFIGURING] = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
	[XENBUS_RECONFIGURED]  = { CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD, CLSD },
};

/* Our own node says Closing, and that was not us: the answer depends only on what we are. */
static const enum xenbus_action told_to_close[XENBUS_STATES] = {
	[XENBUS_UNKNOWN]       = CLSD,
	[XENBUS_INITIALISING]  = CLSD, /* nobody is connected, so nobody has to agree */
	[XENBUS_INITWAIT]      = CLSD,
	[XENBUS_INITIALISED]   = CLSD,
	[XENBUS_CONNECTED]     = CLNG, /* make the toolstack's word ours; the frontend decides */
	[XENBUS_CLOSING]       = ____, /* it was us */
	[XENBUS_CLOSED]        = CLSD, /* it waits for Closed and has just overwritten it */
	[XENBUS_RECONFIGURING] = CLSD,
	[XENBUS_RECONFIGURED]  = CLSD,
};
/* clang-format on */

static bool holds_rings(enum xenbus_state self)
{
	return self == XENBUS_CONNECTED || self == XENBUS_CLOSING;
}

/*
 * The directory is gone, or it is a new one: nobody but a toolstack that has just made it writes
 * Initialising. Either way the disk we served is no more.
 */
static bool disk_gone(enum xenbus_state node, enum xenbus_state self)
{
	return node == XENBUS_ABSENT || (node == XENBUS_INITIALISING && self > XENBUS_INITIALISING);
}

/* A frontend with new keys has passed through Initialising, whether we saw it or not. */
static enum xenbus_state frontend_seen(const struct xenbus_input *in)
{
	if (in->rekeyed && holds_rings(in->self) &&
		(in->frontend == XENBUS_INITIALISED || in->frontend == XENBUS_CONNECTED))
		return XENBUS_INITIALISING;
	return (unsigned)in->frontend < XENBUS_SEEN ? in->frontend : XENBUS_UNKNOWN;
}

enum xenbus_action xenbus_next(const struct xenbus_input *in)
{
	enum xenbus_state self =
		(unsigned)in->self < XENBUS_STATES ? in->self : XENBUS_INITIALISING;

	if (disk_gone(in->node, self))
		return XENBUS_DO_FINISH;
	if (in->node == XENBUS_CLOSING && self != XENBUS_CLOSING)
		return told_to_close[self];
	return (in->online ? online : offline)[self][frontend_seen(in)];
}

enum xenbus_state xenbus_parse(const char *text)
{
	if (!text)
		return XENBUS_ABSENT;
	if (text[0] < '0' || text[0] > '8' || text[1] != '\0')
		return XENBUS_UNKNOWN;
	return (enum xenbus_state)(text[0] - '0');
}

const char *xenbus_state_name(enum xenbus_state state)
{
	static const char *const names[XENBUS_SEEN] = {"Unknown", "Initialising", "InitWait",
		"Initialised", "Connected", "Closing", "Closed", "Reconfiguring", "Reconfigured",
		"absent"};

	return (unsigned)state < XENBUS_SEEN ? names[state] : "invalid";
}

const char *xenbus_action_name(enum xenbus_action action)
{
	static const char *const names[XENBUS_ACTIONS] = {
		"nothing", "open", "connect", "closing", "closed", "finish"};

	return (unsigned)action < XENBUS_ACTIONS ? names[action] : "invalid";
}

/*
 * One disk's worker as a table: state and event -> what to do and the next state.
 *
 * Pure: no I/O, no memory of its own, any thread. keeper.c turns what happens into events, performs
 * the actions and keeps the state.
 *
 *            fresh, open              ended on purpose
 *   absent -------------> running ---------------------> finished
 *                         |  ^  |                            |
 *            worker fails |  |  | directory or domain gone   | directory gone
 *                         v  |  v                            v
 *                backing off |  stopping -> terminating    absent
 *                         |  |   (both end in finished)
 *                         v  | directory comes back, reload
 *                       given up
 */
#ifndef BACKEND_SUPERVISOR_DISK_H
#define BACKEND_SUPERVISOR_DISK_H

enum disk_state {
	DISK_ABSENT,      /* nothing there, nothing kept: also what a new entry starts as */
	DISK_RUNNING,     /* a worker lives, and the disk is there */
	DISK_STOPPING,    /* a worker lives, the disk or its domain does not: it has time to end */
	DISK_TERMINATING, /* that time is over: it was sent a signal */
	DISK_BACKING_OFF, /* the worker died; another is started when the delay is over */
	DISK_GIVEN_UP,    /* it died too often, or in a way that another would as well */
	DISK_FINISHED,    /* no worker, and none is wanted until the directory is a new one */
	DISK_STATE_COUNT,
};

enum disk_event {
	/* What the backend directory looks like now. Told again and again. */
	DISK_EV_FRESH,   /* the toolstack has just made it: state 1, and we have not given it up */
	DISK_EV_OPEN,    /* in use: a later state, or given up */
	DISK_EV_CLOSING, /* the toolstack wants it closed (state 5, online 0) */
	DISK_EV_OVER,    /* needs no worker any more, or is not ours */
	DISK_EV_GONE,    /* there is none */

	DISK_EV_ADOPTED,  /* a worker that somebody else started was found */
	DISK_EV_ENDED,    /* the worker ended on purpose */
	DISK_EV_FAILED,   /* the worker died, or could not be started; try another */
	DISK_EV_HOPELESS, /* the same, and another is not worth trying */
	DISK_EV_TIMER,    /* the time that the last action asked for is over */
	DISK_EV_DOMAIN_GONE,
	DISK_EV_RETRY, /* the administrator wants every disk served that should be */
	DISK_EVENT_COUNT,
};

enum disk_action {
	DISK_DO_NOTHING,
	DISK_DO_START,   /* have a worker: adopt the one there is, or start one */
	DISK_DO_GREET,   /* note that there is a worker */
	DISK_DO_LOOK,    /* look at the directory: it may be a new one already */
	DISK_DO_DELAY,   /* ask for DISK_EV_TIMER after the restart delay */
	DISK_DO_GIVE_UP, /* say so where people look */
	DISK_DO_GRACE,   /* ask for DISK_EV_TIMER after the time a worker has to end by itself */
	DISK_DO_TERM,    /* SIGTERM, and DISK_EV_TIMER after the time it has to obey */
	DISK_DO_KILL,    /* SIGKILL, and the same */
	DISK_DO_FORGET,  /* drop the entry */
	DISK_ACTION_COUNT,
};

struct disk_step {
	enum disk_action action;
	enum disk_state next;
};

/* Total: defined for every pair. A timer asked for in a state does not outlive it. */
struct disk_step disk_next(enum disk_state state, enum disk_event event);

/* "running" and the like, for the log; never NULL. */
const char *disk_state_name(enum disk_state state);
const char *disk_event_name(enum disk_event event);

#endif

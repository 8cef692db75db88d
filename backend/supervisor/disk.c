#include "backend/supervisor/disk.h"

/* The cells, in the width of a table: action and next state. */
#define CELL(action, next)                                                                         \
	{                                                                                          \
		DISK_DO_##action, DISK_##next                                                      \
	}

/* clang-format off */
/* long: one block per state, one line per event */
static const struct disk_step table[DISK_STATE_COUNT][DISK_EVENT_COUNT] = {
	[DISK_ABSENT] = {
		[DISK_EV_FRESH]       = CELL(START,   RUNNING),
		[DISK_EV_OPEN]        = CELL(START,   RUNNING), /* we were not there when it began */
		[DISK_EV_CLOSING]     = CELL(START,   RUNNING), /* somebody has to close it */
		[DISK_EV_OVER]        = CELL(FORGET,  ABSENT),
		[DISK_EV_GONE]        = CELL(FORGET,  ABSENT),
		[DISK_EV_ADOPTED]     = CELL(GREET,   RUNNING),
		[DISK_EV_ENDED]       = CELL(NOTHING, ABSENT), /* no worker, no timer: cannot be */
		[DISK_EV_FAILED]      = CELL(NOTHING, ABSENT),
		[DISK_EV_HOPELESS]    = CELL(NOTHING, ABSENT),
		[DISK_EV_TIMER]       = CELL(NOTHING, ABSENT),
		[DISK_EV_DOMAIN_GONE] = CELL(FORGET,  ABSENT),
		[DISK_EV_RETRY]       = CELL(NOTHING, ABSENT),
	},
	[DISK_RUNNING] = {
		/* Fresh: the worker has not got to InitWait; or the disk was detached and attached
		 * again, which the old worker notices too, and ends. */
		[DISK_EV_FRESH]       = CELL(NOTHING, RUNNING),
		[DISK_EV_OPEN]        = CELL(NOTHING, RUNNING),
		[DISK_EV_CLOSING]     = CELL(NOTHING, RUNNING), /* the worker's business */
		/* It ends by itself; and a disk that is no longer ours is not taken from its guest. */
		[DISK_EV_OVER]        = CELL(NOTHING, RUNNING),
		[DISK_EV_GONE]        = CELL(GRACE,   STOPPING),
		[DISK_EV_ADOPTED]     = CELL(NOTHING, RUNNING),
		[DISK_EV_ENDED]       = CELL(LOOK,    FINISHED),
		[DISK_EV_FAILED]      = CELL(DELAY,   BACKING_OFF),
		[DISK_EV_HOPELESS]    = CELL(GIVE_UP, GIVEN_UP),
		[DISK_EV_TIMER]       = CELL(NOTHING, RUNNING),
		[DISK_EV_DOMAIN_GONE] = CELL(GRACE,   STOPPING),
		[DISK_EV_RETRY]       = CELL(NOTHING, RUNNING),
	},
	[DISK_STOPPING] = {
		[DISK_EV_FRESH]       = CELL(NOTHING, RUNNING), /* attached again; see there */
		[DISK_EV_OPEN]        = CELL(NOTHING, STOPPING),
		[DISK_EV_CLOSING]     = CELL(NOTHING, STOPPING),
		[DISK_EV_OVER]        = CELL(NOTHING, STOPPING),
		[DISK_EV_GONE]        = CELL(NOTHING, STOPPING),
		[DISK_EV_ADOPTED]     = CELL(NOTHING, STOPPING),
		[DISK_EV_ENDED]       = CELL(LOOK,    FINISHED),
		[DISK_EV_FAILED]      = CELL(LOOK,    FINISHED), /* nobody needs another */
		[DISK_EV_HOPELESS]    = CELL(LOOK,    FINISHED),
		[DISK_EV_TIMER]       = CELL(TERM,    TERMINATING),
		[DISK_EV_DOMAIN_GONE] = CELL(NOTHING, STOPPING),
		[DISK_EV_RETRY]       = CELL(NOTHING, STOPPING),
	},
	[DISK_TERMINATING] = {
		[DISK_EV_FRESH]       = CELL(NOTHING, TERMINATING), /* looked at again at its end */
		[DISK_EV_OPEN]        = CELL(NOTHING, TERMINATING),
		[DISK_EV_CLOSING]     = CELL(NOTHING, TERMINATING),
		[DISK_EV_OVER]        = CELL(NOTHING, TERMINATING),
		[DISK_EV_GONE]        = CELL(NOTHING, TERMINATING),
		[DISK_EV_ADOPTED]     = CELL(NOTHING, TERMINATING),
		[DISK_EV_ENDED]       = CELL(LOOK,    FINISHED),
		[DISK_EV_FAILED]      = CELL(LOOK,    FINISHED),
		[DISK_EV_HOPELESS]    = CELL(LOOK,    FINISHED),
		[DISK_EV_TIMER]       = CELL(KILL,    TERMINATING),
		[DISK_EV_DOMAIN_GONE] = CELL(NOTHING, TERMINATING),
		[DISK_EV_RETRY]       = CELL(NOTHING, TERMINATING),
	},
	[DISK_BACKING_OFF] = {
		[DISK_EV_FRESH]       = CELL(NOTHING, BACKING_OFF), /* the timer will come */
		[DISK_EV_OPEN]        = CELL(NOTHING, BACKING_OFF),
		[DISK_EV_CLOSING]     = CELL(START,   RUNNING), /* the toolstack waits for Closed */
		[DISK_EV_OVER]        = CELL(NOTHING, FINISHED),
		[DISK_EV_GONE]        = CELL(FORGET,  ABSENT),
		[DISK_EV_ADOPTED]     = CELL(GREET,   RUNNING),
		[DISK_EV_ENDED]       = CELL(NOTHING, BACKING_OFF), /* no worker: cannot be */
		[DISK_EV_FAILED]      = CELL(NOTHING, BACKING_OFF),
		[DISK_EV_HOPELESS]    = CELL(NOTHING, BACKING_OFF),
		[DISK_EV_TIMER]       = CELL(START,   RUNNING),
		[DISK_EV_DOMAIN_GONE] = CELL(NOTHING, FINISHED),
		[DISK_EV_RETRY]       = CELL(START,   RUNNING),
	},
	[DISK_GIVEN_UP] = {
		[DISK_EV_FRESH]       = CELL(START,   RUNNING), /* attached again, unseen */
		[DISK_EV_OPEN]        = CELL(NOTHING, GIVEN_UP),
		[DISK_EV_CLOSING]     = CELL(START,   RUNNING), /* one more, to close it */
		[DISK_EV_OVER]        = CELL(NOTHING, FINISHED),
		[DISK_EV_GONE]        = CELL(FORGET,  ABSENT),
		[DISK_EV_ADOPTED]     = CELL(GREET,   RUNNING),
		[DISK_EV_ENDED]       = CELL(NOTHING, GIVEN_UP), /* no worker, no timer: cannot be */
		[DISK_EV_FAILED]      = CELL(NOTHING, GIVEN_UP),
		[DISK_EV_HOPELESS]    = CELL(NOTHING, GIVEN_UP),
		[DISK_EV_TIMER]       = CELL(NOTHING, GIVEN_UP),
		[DISK_EV_DOMAIN_GONE] = CELL(NOTHING, FINISHED),
		[DISK_EV_RETRY]       = CELL(START,   RUNNING),
	},
	[DISK_FINISHED] = {
		[DISK_EV_FRESH]       = CELL(START,   RUNNING), /* attached again */
		[DISK_EV_OPEN]        = CELL(NOTHING, FINISHED), /* somebody stopped the worker */
		[DISK_EV_CLOSING]     = CELL(START,   RUNNING),
		[DISK_EV_OVER]        = CELL(NOTHING, FINISHED),
		[DISK_EV_GONE]        = CELL(FORGET,  ABSENT),
		[DISK_EV_ADOPTED]     = CELL(GREET,   RUNNING),
		[DISK_EV_ENDED]       = CELL(NOTHING, FINISHED), /* no worker, no timer: cannot be */
		[DISK_EV_FAILED]      = CELL(NOTHING, FINISHED),
		[DISK_EV_HOPELESS]    = CELL(NOTHING, FINISHED),
		[DISK_EV_TIMER]       = CELL(NOTHING, FINISHED),
		[DISK_EV_DOMAIN_GONE] = CELL(NOTHING, FINISHED),
		[DISK_EV_RETRY]       = CELL(START,   RUNNING),
	},
};
/* clang-format on */

struct disk_step disk_next(enum disk_state state, enum disk_event event)
{
	if ((unsigned)state >= DISK_STATE_COUNT || (unsigned)event >= DISK_EVENT_COUNT)
		return (struct disk_step){DISK_DO_NOTHING, state};
	return table[state][event];
}

const char *disk_state_name(enum disk_state state)
{
	static const char *const names[DISK_STATE_COUNT] = {"absent", "running", "stopping",
		"terminating", "backing off", "given up", "finished"};

	return (unsigned)state < DISK_STATE_COUNT ? names[state] : "invalid";
}

const char *disk_event_name(enum disk_event event)
{
	static const char *const names[DISK_EVENT_COUNT] = {"fresh", "open", "closing", "over",
		"gone", "adopted", "ended", "failed", "hopeless", "timer", "domain gone", "retry"};

	return (unsigned)event < DISK_EVENT_COUNT ? names[event] : "invalid";
}

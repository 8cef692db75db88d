#include "frontend-shim/persona/kinds.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

/* clang-format off */
#define S(name)             PERSONA_STATE(name)
#define BEYOND_CLOSED       (S(Reconfiguring) | S(Reconfigured))
#define OWN(states)         {.verb = PERSONA_OWN, .go = (states)}
#define SHARE               {.verb = PERSONA_SHARE}
#define KEYS                {.verb = PERSONA_KEYS}
#define KEYS_AND(name)      {.verb = PERSONA_KEYS, .state = XenbusState##name}
#define KEY(name)           {.verb = PERSONA_KEY, .key = (name)}
#define REMOVE(name)        {.verb = PERSONA_REMOVE, .key = (name)}
#define SWITCH(name)        {.verb = PERSONA_SWITCH, .state = XenbusState##name}
#define SWITCH_IF(name, be) {.verb = PERSONA_SWITCH, .state = XenbusState##name, .when = (be)}
#define WAIT(for_, not_)    {.verb = PERSONA_WAIT, .go = (for_), .bad = (not_)}
#define WAIT_IF(for_, be)   {.verb = PERSONA_WAIT, .go = (for_), .when = (be)}
#define NEED(name)          {.verb = PERSONA_NEED, .key = (name)}
#define READ                {.verb = PERSONA_READ}
#define DRAIN               {.verb = PERSONA_DRAIN}
#define SYNC                {.verb = PERSONA_SYNC}
#define REQUEUE             {.verb = PERSONA_REQUEUE}
#define UNSHARE             {.verb = PERSONA_UNSHARE}
#define END                 {.verb = PERSONA_END}

/* ---- Linux, xen-blkfront ---------------------------------------------------------------------- */

/* It never removes a ring-page-order, and writes one only with more than one page. */
static const char *const linux_keys[] = {
	"ring-ref", "event-channel", "protocol", "feature-persistent", NULL};

/*
 * xenbus_reset_frontend(), in HVM guests: a crash kernel finds itself Connected, one after kexec
 * Closed. It gives up each wait after five seconds, which is no way to get a disk.
 */
static const struct persona_step linux_reset[] = {
	SWITCH_IF(Closing, S(Connected)), WAIT_IF(S(Closing), S(Connected)),
	SWITCH_IF(Closed, S(Closing)), WAIT_IF(S(Closed), S(Closing)),
	SWITCH_IF(Initialising, S(Closed)), WAIT_IF(S(InitWait), S(Closed)),
	END};

/* Closing or Closed instead of Connected, and it gives the device up. */
#define LINUX_TALK                                                                                 \
	SHARE, KEYS, SWITCH(Initialised),                                                          \
	WAIT(S(Connected), S(Unknown) | S(Closing) | S(Closed)),                                   \
	NEED("sectors"), NEED("info"), NEED("sector-size"), READ, SWITCH(Connected)

/*
 * A backend that is still Connected it takes for its own. What it does when it begins and finds Closing or Closed we do
 * not know for sure: here it waits.
 */
static const struct persona_step linux_start[] = {
	OWN(S(Initialising)), WAIT(S(InitWait) | S(Connected), 0), LINUX_TALK, END};

/* Reboot and kexec: the backend's Closing lets the old kernel end; it does not wait for Closed. */
static const struct persona_step linux_stop[] = {
	DRAIN, SWITCH(Closing), WAIT(S(Closing), S(Closed)), SWITCH(Closed), UNSHARE, END};

/*
 * Nothing is written when it is suspended. When it comes back the new rings are announced at once,
 * whatever the store says, and what was not answered is made again.
 */
static const struct persona_step linux_suspend[] = {UNSHARE, END};
static const struct persona_step linux_resume[] = {LINUX_TALK, REQUEUE, END};

/* Nobody uses the disk: Closed without Closing. */
static const struct persona_step linux_leave[] = {
	WAIT(S(Closing), 0), DRAIN, SWITCH(Closed), WAIT(S(Closed) | S(Unknown), 0), UNSHARE, END};

/* ---- Windows, xenvbd -------------------------------------------------------------------------- */

static const char *const windows_keys[] = {"ring-ref", "protocol", "event-channel", "target-id",
	"feature-surprise-remove", "feature-online-resize", "feature-large-sector-size", NULL};

/* FrontendClose(). Of a backend that is there already it asks nothing. */
#define WINDOWS_CLOSE                                                                              \
	WAIT(PERSONA_ANY & ~(S(Unknown) | S(Initialising)), S(Unknown)),                           \
	SWITCH_IF(Closing, PERSONA_ANY & ~(S(Closing) | S(Closed))),                               \
	WAIT(S(Closing) | S(Closed), S(Unknown)),                                                  \
	SWITCH_IF(Closed, PERSONA_ANY & ~S(Closed)),                                               \
	WAIT(S(Closed), S(Unknown))

/* It begins with an end, then FrontendPrepare() and FrontendConnect(). */
static const struct persona_step windows_start[] = {
	WINDOWS_CLOSE,
	SWITCH(Initialising),
	WAIT(S(InitWait), PERSONA_ANY & ~(S(Closed) | S(Initialising) | S(InitWait))),
	READ,
	SHARE, KEYS, SWITCH(Initialised),
	WAIT(S(Connected),
		PERSONA_ANY & ~(S(InitWait) | S(Initialising) | S(Initialised) | S(Connected))),
	NEED("info"), NEED("sector-size"), NEED("sectors"),
	/* Once more: a backend may write them before Connected only. */
	READ,
	SWITCH(Connected), REQUEUE,
	END};

static const struct persona_step windows_stop[] = {DRAIN, WINDOWS_CLOSE, UNSHARE, END};

/*
 * Eject: offline and Closing. Of a disk that is removed by force, which its feature-surprise-remove invites, we only know
 * that there is nothing left to write to.
 */
static const struct persona_step windows_leave[] = {
	WAIT(S(Closing), 0), DRAIN, WINDOWS_CLOSE, UNSHARE, END};

/* ---- OVMF, XenPvBlkDxe ------------------------------------------------------------------------ */

static const char *const ovmf_keys[] = {"ring-ref", "event-channel", "protocol", NULL};

/*
 * A state beyond the one it waits for is a failure: it has been missed. It removes its own keys, and knows nothing of a
 * ring-ref0.
 */
static const struct persona_step ovmf_start[] = {
	OWN(S(Initialising)),
	SHARE, KEYS_AND(Connected),
	WAIT(S(Connected), S(Unknown) | S(Closing) | S(Closed) | BEYOND_CLOSED),
	NEED("info"), NEED("sectors"), NEED("sector-size"), READ,
	END};

static const struct persona_step ovmf_stop[] = {
	SYNC,
	SWITCH(Closing), WAIT(S(Closing), S(Unknown) | S(Closed) | BEYOND_CLOSED),
	SWITCH(Closed), WAIT(S(Closed), S(Unknown) | BEYOND_CLOSED),
	SWITCH(Initialising),
	WAIT(S(Initialising) | S(InitWait) | S(Closed) | BEYOND_CLOSED, S(Unknown)),
	REMOVE("ring-ref"), REMOVE("event-channel"), REMOVE("protocol"), UNSHARE,
	END};

/* ---- GRUB, xendisk ---------------------------------------------------------------------------- */

/*
 * Anything but InitWait is ready: Initialising, and what a predecessor has left, as well. It reads the numbers when it
 * opens the disk, which may be later.
 */
static const struct persona_step grub_start[] = {
	SHARE, KEY("ring-ref"), KEY("event-channel"), KEY("protocol"), SWITCH(Initialised),
	WAIT(PERSONA_ANY & ~(S(InitWait) | S(Unknown)), S(Unknown)),
	NEED("sectors"), NEED("sector-size"),
	END};

/* The next driver is not waited for: InitWait is its business. */
static const struct persona_step grub_stop[] = {
	SWITCH(Closed), WAIT(S(Closed) | S(Unknown), 0),
	REMOVE("ring-ref"), REMOVE("event-channel"), UNSHARE,
	SWITCH(Initialising),
	END};

/* ---- mini-os, as in Xen's tree ---------------------------------------------------------------- */

/* Newer ones write protocol, too. */
static const char *const minios_keys[] = {"ring-ref", "event-channel", NULL};

static const struct persona_step minios_start[] = {
	SHARE, KEYS_AND(Connected), WAIT(S(Connected), 0),
	NEED("sectors"), NEED("sector-size"), READ,
	END};

/* Each exactly, or it waits for ever. It stays Closed, and takes nothing back; newer ones go on to Initialising. */
static const struct persona_step minios_stop[] = {
	SYNC,
	SWITCH(Closing), WAIT(S(Closing), 0),
	SWITCH(Closed), WAIT(S(Closed), 0),
	UNSHARE, END};
/* clang-format on */

/* ---- all of them ------------------------------------------------------------------------------ */

/* long: one table */
static const struct persona personas[] = {
	{
		.name = "linux",
		/* Persistent grants, the last used first. An empty flush's sector is -1. */
		.habits = {.segments = 11,
			.depth = 32,
			.pool = 352,
			.sync = PERSONA_SYNC_EITHER,
			.sync_sector = ULLONG_MAX},
		.keys = linux_keys,
		.stands = PERSONA_ANY & ~(S(Unknown) | S(Closed)),
		.resets = S(Connected) | S(Closed),
		.reset = linux_reset,
		.start = linux_start,
		.stop = linux_stop,
		.suspend = linux_suspend,
		.resume = linux_resume,
		.leave = linux_leave,
	},
	{
		.name = "windows",
		/*
		 * It reads feature-persistent but offers none. Its ring may have pages up to order 4 and its requests
		 * be indirect, where these are offered; without them this is what is left.
		 */
		.habits = {.segments = 11,
			.depth = 32,
			.counts_sectors = true,
			.sync = PERSONA_SYNC_EITHER,
			.sync_sector = 8},
		.keys = windows_keys,
		/* It waits for its requests, whatever the backend's state. */
		.stands = PERSONA_ANY,
		.start = windows_start,
		.stop = windows_stop,
		/* It closes, and starts anew; its requests have been answered before. */
		.suspend = windows_stop,
		.resume = windows_start,
		.leave = windows_leave,
	},
	{
		.name = "ovmf",
		.habits = {.segments = 11, .depth = 1, .polls = true, .sync = PERSONA_SYNC_BOTH},
		.keys = ovmf_keys,
		.stands = PERSONA_ANY,
		.start = ovmf_start,
		.stop = ovmf_stop,
	},
	{
		.name = "grub",
		/* One page, granted for its life. It never flushes. */
		.habits = {.segments = 1,
			.depth = 1,
			.pool = 1,
			.same_id = true,
			.always_notifies = true,
			.polls = true},
		.stands = PERSONA_ANY,
		.start = grub_start,
		.stop = grub_stop,
	},
	{
		.name = "minios",
		.habits = {.segments = 11,
			.depth = 1,
			.counts_sectors = true,
			.sync = PERSONA_SYNC_BOTH},
		.keys = minios_keys,
		/* The toolstack writes protocol for a PV guest. */
		.inherits_protocol = true,
		.stands = PERSONA_ANY,
		.start = minios_start,
		.stop = minios_stop,
	},
};

#define NR_PERSONAS (sizeof(personas) / sizeof(personas[0]))

const struct persona *persona_find(const char *name)
{
	for (size_t i = 0; i < NR_PERSONAS; i++)
		if (strcmp(personas[i].name, name) == 0)
			return &personas[i];
	return NULL;
}

const char *persona_name(unsigned i)
{
	return i < NR_PERSONAS ? personas[i].name : NULL;
}

unsigned persona_nr_steps(const struct persona_step *table)
{
	unsigned n = 0;

	while (table[n].verb != PERSONA_END)
		n++;
	return n;
}

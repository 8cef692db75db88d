/*
 * The drivers that a disk meets in its life, as tables: what each writes and waits for, and how it makes requests.
 *
 * Any thread; constant data. driver.h performs the tables, line.h makes the requests.
 */
#ifndef FRONTEND_SHIM_PERSONA_KINDS_H
#define FRONTEND_SHIM_PERSONA_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
/* xenbus.h names the states. */
#include <xen/io/xenbus.h>

/* Sets of states. An absent node is Unknown. */
#define PERSONA_STATE(name) (1u << XenbusState##name)
#define PERSONA_ANY         0x1ffu

enum persona_verb {
	PERSONA_END, /* of a table */
	PERSONA_OWN, /* our own state must be in go, or this driver takes the device for no new one */
	PERSONA_SHARE,   /* a ring and an event channel of our own */
	PERSONA_KEYS,    /* write the keys in one transaction, and state with them unless it is 0 */
	PERSONA_KEY,     /* write the key by itself */
	PERSONA_REMOVE,  /* remove the key */
	PERSONA_SWITCH,  /* write our state */
	PERSONA_WAIT,    /* until the backend's state is in go; if it is in bad, give up */
	PERSONA_NEED,    /* a number of the backend; without it, give up */
	PERSONA_READ,    /* the features, all of which may be absent */
	PERSONA_DRAIN,   /* until all requests are answered */
	PERSONA_SYNC,    /* make what was written durable, the driver's way */
	PERSONA_REQUEUE, /* make the requests that were not answered once more */
	PERSONA_UNSHARE, /* take all pages back */
};

struct persona_step {
	enum persona_verb verb;
	unsigned state;
	unsigned go, bad;
	unsigned when; /* done only if the backend was last seen in one of these; 0: always */
	const char *key;
};

enum persona_sync {
	PERSONA_SYNC_NONE,
	PERSONA_SYNC_BOTH,   /* a barrier and a flush behind it, each if offered, of the same id */
	PERSONA_SYNC_EITHER, /* a flush if it is offered, or else an empty barrier */
};

struct persona_habits {
	unsigned segments;    /* in a request at most */
	unsigned depth;       /* requests at a time */
	unsigned pool;        /* pages granted once and for all; 0: some for each request */
	bool same_id;         /* every request has id 0 */
	bool always_notifies; /* without looking whether the backend asks for it */
	bool polls;           /* takes no events */
	bool counts_sectors;  /* numbers on the wire are in units of sector-size */
	enum persona_sync sync;
	unsigned long long sync_sector; /* of an empty request */
};

struct persona {
	const char *name;
	struct persona_habits habits;
	const char *const *keys; /* for PERSONA_KEYS */
	bool inherits_protocol; /* it has the ABI that a `protocol` it finds says, or the 32-bit one */
	unsigned stands;        /* states of the backend that do not disturb it when it runs */

	unsigned resets; /* own states upon which it does reset[] first */
	const struct persona_step *reset;
	const struct persona_step *start;
	const struct persona_step *stop;
	/* NULL where we do not know. */
	const struct persona_step *suspend;
	const struct persona_step *resume;
	const struct persona_step *leave; /* when the toolstack takes the disk */
};

/* NULL without such a kind. */
const struct persona *persona_find(const char *name) __attribute__((nonnull));

/* The names, NULL at the end. */
const char *persona_name(unsigned i);

/* Steps in a table. */
unsigned persona_nr_steps(const struct persona_step *table) __attribute__((nonnull));

#endif

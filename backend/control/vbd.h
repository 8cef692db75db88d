/*
 * One virtual disk, from its first watch event to its last state: reads the store, asks the xenbus
 * table what to do, does it.
 *
 *   InitWait --frontend's keys and hotplug-status=connected--> storage opened, queue made,
 *   features published, Connected --frontend leaves--> queue drained, storage flushed and closed
 *
 * Control thread only. Owns the connection to the frontend; the one to the store is the caller's.
 * Logs what becomes of the disk. Times are CLOCK_MONOTONIC milliseconds.
 */
#ifndef BACKEND_CONTROL_VBD_H
#define BACKEND_CONTROL_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/control/connection.h"
#include "backend/control/handshake.h"
#include "backend/control/mode.h"
#include "backend/control/rival.h"
#include "xenstore/path.h"
#include "xenstore/xenbus.h"

struct store;

/* XENSTORE_ABS_PATH_MAX of xs_wire.h. */
#define FRONTEND_PATH_MAX 3072

/* How a disk ended, if it has. */
enum vbd_end {
	VBD_LIVES,
	VBD_FINISHED,   /* the toolstack took the disk away: all is as it should be */
	VBD_STORE_LOST, /* xenstored is gone */
	VBD_FAILED,     /* the store refused what we must write */
	VBD_RIVALLED,   /* the kernel's backend has the disk, and it cannot be taken over */
};

struct vbd {
	struct store *store;
	const char *backend; /* our directory, as watches name it */
	struct publisher pub;
	unsigned
		max_queues; /* that are served; pub.max_queues are offered: fewer if that is off (D4) */
	struct vbd_path id;
	char *frontend; /* the guest's directory */
	char frontend_state[FRONTEND_PATH_MAX];
	char frontend_wish[FRONTEND_PATH_MAX]; /* its node write-cache-request */
	enum xenbus_state self;
	enum vbd_end end;

	struct connection conn;
	struct handshake keys; /* of the connection, or of the last try */
	bool has_keys;
	bool is_refused;   /* we are Closing because it could not be connected */
	bool heard_again;  /* it has written its state since */
	bool frontend_ran; /* it has been seen Connected since we were opened for it */
	bool told_lost;    /* the store has been told that data may be lost */
	uint64_t
		image_until_ms; /* so long somebody else may go on having the image; 0: it is not waited for */
	struct problem image_cause; /* why it is waited for */
	bool held_up;               /* by others' writing, at the last look */
	bool is_orphan; /* Connected without a ring: its worker died, and we came after it */

	struct mode mode;
	struct rival rival;

	uint64_t now_ms; /* as of the last call */
	struct log_limit limit_connected;
	struct log_limit limit_refused;
};

/*
 * Read where the frontend is; watch our directory, and of the frontend's the state and what it may ask for. @backend
 * must stay alive and be a valid path. @max_queues rings (1 .. LIMIT_QUEUES) are served at most. -errno with a sentence when the directory is not there or not
 * a disk's.
 */
int vbd_init(struct vbd *vbd, struct store *store, const char *backend, unsigned max_queues,
	struct problem *ret_problem) __attribute__((nonnull, warn_unused_result));

/* The worker before this one has said, where it could, that data was lost: as if the store had it. Before the first look. */
void vbd_inherit_fault(struct vbd *vbd) __attribute__((nonnull));

/* Drain and release everything, without a word to the store. May be called twice. */
void vbd_fini(struct vbd *vbd) __attribute__((nonnull));

/*
 * Something may have changed in the store: take the events, look, and act until nothing is left to do. To be called
 * now and then without an event, too: what others' writing kept from getting through (-EAGAIN of
 * txn.h) is left for the next look.
 */
enum vbd_end vbd_look(struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

/* Nothing is left for the next look, nor has the guest to be told a new size. */
bool vbd_is_settled(const struct vbd *vbd) __attribute__((nonnull));

/*
 * As vbd_look(), but stops short of connecting: the disk is InitWait then, or waits for its frontend
 * to leave. Whoever started us can be told so before the first connection is tried.
 */
enum vbd_end vbd_open(struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

/* After so many milliseconds look again, without an event, whether the image is to be had; -1: never. */
int vbd_image_patience_ms(const struct vbd *vbd) __attribute__((nonnull));

/* conn.report_fd was readable: the queue has something to tell. */
enum vbd_end vbd_heed_queue(struct vbd *vbd, uint64_t now_ms) __attribute__((nonnull));

/*
 * The size of the storage may have changed: if so, take it and tell the guest. To be called now and then without
 * an event, too: not every change makes one, and what did not get through to the store has another try.
 * @ret_problem gets a sentence, which is logged already, when it is no size for a disk; else it is empty.
 */
enum vbd_end vbd_look_at_size(struct vbd *vbd, uint64_t now_ms, struct problem *ret_problem)
	__attribute__((nonnull));

/* D9: a disk that is stopped goes on. False if it is not. */
bool vbd_go_on(struct vbd *vbd) __attribute__((nonnull, warn_unused_result));

/* Data was lost, and nobody has accepted that. Also after vbd_fini(). */
bool vbd_data_lost(const struct vbd *vbd) __attribute__((nonnull));

/* Orderly end on request: drain, flush, leave the disk Closed in the store. */
void vbd_shut_down(struct vbd *vbd) __attribute__((nonnull));

#endif

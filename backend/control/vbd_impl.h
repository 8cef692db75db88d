/*
 * The inside of a vbd, for vbd.c (its life), attempt.c (connecting), news.c (what storage and queues tell) and mode.c (its cache
 * mode). Control thread only.
 */
#ifndef BACKEND_CONTROL_VBD_IMPL_H
#define BACKEND_CONTROL_VBD_IMPL_H

#include "backend/control/vbd.h"

/* ---- vbd.c: all return 0 or the store's -errno ---- */

/* If data was lost and the store does not know: before the state changes, so that who waits for Closed finds it. */
int vbd_tell_lost(struct vbd *vbd, enum xenbus_state seen) __attribute__((nonnull));

/* @next is published, with @error unless that is NULL or data was lost; and we are in it. */
int vbd_go(struct vbd *vbd, enum xenbus_state seen, enum xenbus_state next, const char *error)
	__attribute__((nonnull(1)));

/* Our state is @next: everything that belonged to the one before is over. */
void vbd_become(struct vbd *vbd, enum xenbus_state next) __attribute__((nonnull));

/* A connection failed for good: say why where people look; Closing makes both start over. */
int vbd_refuse(struct vbd *vbd, enum xenbus_state seen, const struct problem *problem)
	__attribute__((nonnull));

void vbd_log_refusal(struct vbd *vbd, const struct problem *problem) __attribute__((nonnull));

/* The store failed with @error: this is the end of the disk. */
enum vbd_end vbd_give_up(struct vbd *vbd, int error) __attribute__((nonnull));

/* ---- attempt.c ---- */

/* What the frontend's keys are now, beside those of the connection or of the last try. */
enum vbd_keys {
	KEYS_INCOMPLETE,
	KEYS_SAME,
	KEYS_OTHER,
};

enum vbd_keys vbd_keys_now(const struct vbd *vbd) __attribute__((nonnull));

/*
 * Connect, or tell the frontend why not; @ret_waiting: the hotplug script has not said which storage it is. 0 or the store's -errno;
 * -ESTALE: look again.
 */
int vbd_connect(struct vbd *vbd, enum xenbus_state seen, bool *ret_waiting)
	__attribute__((nonnull));

/* How many queues are offered (D4), as far as that is known. */
unsigned vbd_queues_to_offer(const struct vbd *vbd) __attribute__((nonnull));

/* InitWait was published before the script had spoken: take back what is not to be offered. 0 or the store's -errno. */
int vbd_correct_offer(struct vbd *vbd, const struct xenbus_input *in) __attribute__((nonnull));

#endif

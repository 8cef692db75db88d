#include "backend/control/vbd_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/control/backing.h"
#include "backend/control/options.h"
#include "backend/control/publish.h"
#include "backend/util/limits.h"
#include "backend/util/log.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"

#define TOKEN_BACKEND  "backend"
#define TOKEN_FRONTEND "frontend"
#define TOKEN_WISH     "wish"

/* Actions in one look: the table ends every chain after three, retries included this is ample. */
#define ACTIONS_MAX 64

/* ---- the beginning ---- */

static int find_frontend(struct vbd *vbd, struct problem *ret_problem)
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	uint32_t domid;
	enum node_result result = node_domid(&dir, "frontend-id", &domid);

	if (result == NODE_VALUE)
		result = node_string(&dir, "frontend", FRONTEND_PATH_MAX, NULL, &vbd->frontend);
	if (result == NODE_ERROR)
		return problem_set(ret_problem, dir.error, "'%s' cannot be read: %s", vbd->backend,
			strerror(-dir.error));
	if (result != NODE_VALUE)
		return problem_set(ret_problem, -ENOENT,
			"'%s' is not a virtual disk's backend directory: the toolstack writes frontend and frontend-id there when it attaches one",
			vbd->backend);
	if (domid != vbd->id.domid || !path_frontend_ok(vbd->frontend, domid))
		return problem_set(ret_problem, -EINVAL,
			"'%s' names the frontend '%s' of domain %u, which is not domain %u's: detach and attach the disk",
			vbd->backend, vbd->frontend, domid, vbd->id.domid);
	return 0;
}

#define FAULT_INHERITED                                                                            \
	"a worker before this one has lost data the guest wrote: all writes and flushes fail until the disk is detached and attached again, or blkbackctl clear-fault accepts that"

static void latch(struct vbd *vbd)
{
	vbd->conn.fault = -EIO;
	log_err("%s", FAULT_INHERITED);
}

/*
 * The worker before this one has lost data, and nobody has accepted that: its death makes nothing good (D5). The hotplug
 * script removes the node when it attaches the disk anew.
 */
static int read_fault(struct vbd *vbd, struct problem *ret_problem)
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	bool lost = false;

	if (node_bool(&dir, "data-lost", &lost) == NODE_ERROR)
		return problem_set(ret_problem, dir.error, "'%s' cannot be read: %s", vbd->backend,
			strerror(-dir.error));
	if (lost) {
		vbd->told_lost = true;
		latch(vbd);
	}
	return 0;
}

/* The store is told at once: this worker may be killed, too, and its record names another process. */
void vbd_inherit_fault(struct vbd *vbd)
{
	struct node_dir dir = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	enum xenbus_state state;

	if (vbd->conn.fault)
		return;
	latch(vbd);
	vbd->told_lost = state_read(&dir, &state) == 0 &&
			 publish_error(&vbd->pub, state, FAULT_INHERITED) == 0;
}

int vbd_init(struct vbd *vbd, struct store *store, const char *backend, unsigned max_queues,
	struct problem *ret_problem)
{
	int r;

	*vbd = (struct vbd){.store = store,
		.backend = backend,
		.pub = {.store = store, .backend = backend, .max_queues = max_queues},
		.max_queues = max_queues,
		.self = XENBUS_INITIALISING};
	r = connection_init(&vbd->conn);
	if (r)
		return problem_set(ret_problem, r, "no eventfd: %s", strerror(-r));
	r = vbd_path_parse(backend, &vbd->id);
	if (r)
		return problem_set(ret_problem, r,
			"'%s' is not a backend path: it looks like backend/vbd/5/51712", backend);
	r = find_frontend(vbd, ret_problem);
	if (r)
		return r;
	r = read_fault(vbd, ret_problem);
	if (r)
		return r;
	/* Of the guest's directory two nodes alone: it may write the rest as often as it likes. */
	r = path_join(vbd->frontend_state, sizeof(vbd->frontend_state), vbd->frontend, "state");
	if (r == 0)
		r = path_join(vbd->frontend_wish, sizeof(vbd->frontend_wish), vbd->frontend,
			"write-cache-request");
	if (r == 0)
		r = store_watch(store, backend, TOKEN_BACKEND);
	if (r == 0)
		r = store_watch(store, vbd->frontend_state, TOKEN_FRONTEND);
	if (r == 0)
		r = store_watch(store, vbd->frontend_wish, TOKEN_WISH);
	if (r)
		return problem_set(
			ret_problem, r, "'%s' cannot be watched: %s", backend, strerror(-r));
	return 0;
}

/* ---- actions ---- */

/* Before the state changes: who waits for Closed shall find it. The log has it in any case. */
int vbd_tell_lost(struct vbd *vbd, enum xenbus_state seen)
{
	struct problem problem;
	int r;

	if (vbd->told_lost || !vbd_data_lost(vbd))
		return 0;
	(void)problem_set(&problem, 0, "%s: data the guest wrote may be lost",
		connection_fault_cause(&vbd->conn));
	r = publish_error(&vbd->pub, seen, problem.text);
	vbd->told_lost = r == 0;
	return r;
}

void vbd_become(struct vbd *vbd, enum xenbus_state next)
{
	log_debug("%s", xenbus_state_name(next));
	vbd->self = next;
	vbd->is_orphan = vbd->is_refused = vbd->heard_again = false;
}

int vbd_go(struct vbd *vbd, enum xenbus_state seen, enum xenbus_state next, const char *error)
{
	int r = vbd_tell_lost(vbd, seen);

	/* That sentence is not talked over. */
	if (r == 0)
		r = publish_state(&vbd->pub, seen, next, vbd->told_lost ? NULL : error);
	if (r == 0)
		vbd_become(vbd, next);
	return r;
}

void vbd_log_refusal(struct vbd *vbd, const struct problem *problem)
{
	if (log_limit_pass(&vbd->limit_refused, vbd->now_ms, LIMIT_LOG_LIFE))
		log_err("the frontend is refused: %s", problem->text);
}

/* A connection that failed for good: say why where people look; Closing makes both start over. */
int vbd_refuse(struct vbd *vbd, enum xenbus_state seen, const struct problem *problem)
{
	(void)connection_close(&vbd->conn, vbd->now_ms);
	vbd_log_refusal(vbd, problem);
	return vbd_go(vbd, seen, XENBUS_CLOSING, problem->text);
}

/* End the connection, then change our state. Whether its data is on the storage vbd_go() tells. */
static int disconnect_and_go(struct vbd *vbd, enum xenbus_state seen, enum xenbus_state next)
{
	(void)connection_close(&vbd->conn, vbd->now_ms);
	return vbd_go(vbd, seen, next, NULL);
}

static int do_open(struct vbd *vbd, enum xenbus_state seen)
{
	int r;

	vbd->pub.max_queues = vbd_queues_to_offer(vbd);
	r = disconnect_and_go(vbd, seen, XENBUS_INITWAIT);
	if (r == 0)
		vbd->frontend_ran = false;
	return r;
}

static int perform(
	struct vbd *vbd, enum xenbus_action action, enum xenbus_state seen, bool *ret_waiting)
{
	*ret_waiting = false;
	switch (action) {
	case XENBUS_DO_NOTHING:
		break;
	case XENBUS_DO_OPEN:
		return do_open(vbd, seen);
	case XENBUS_DO_CONNECT:
		return vbd_connect(vbd, seen, ret_waiting);
	case XENBUS_DO_CLOSING:
		connection_keep_no_more(&vbd->conn);
		return vbd_go(vbd, seen, XENBUS_CLOSING, NULL);
	case XENBUS_DO_CLOSED:
		return disconnect_and_go(vbd, seen, XENBUS_CLOSED);
	case XENBUS_DO_FINISH:
		(void)connection_close(&vbd->conn, vbd->now_ms);
		vbd->end = VBD_FINISHED;
		break;
	}
	return 0;
}

/* ---- looking ---- */

/*
 * The frontend has started over unseen: its keys are complete and not those of our connection. They may be the same
 * numbers, since what a guest gives back last it gets first: but Connected is followed by Initialised in nobody's life who
 * has not started over. Only worth a look where the table asks for it.
 */
static bool is_rekeyed(struct vbd *vbd, const struct xenbus_input *in)
{
	enum vbd_keys keys;

	if (in->self != XENBUS_CONNECTED && in->self != XENBUS_CLOSING)
		return false;
	if (in->frontend != XENBUS_INITIALISED && in->frontend != XENBUS_CONNECTED)
		return false;
	keys = vbd_keys_now(vbd);
	if (vbd->heard_again || (in->frontend == XENBUS_INITIALISED && vbd->frontend_ran))
		return keys != KEYS_INCOMPLETE;
	return keys == KEYS_OTHER;
}

static int read_input(struct vbd *vbd, struct xenbus_input *ret_in)
{
	struct node_dir ours = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	struct node_dir theirs = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->frontend};
	struct xenbus_input in = {.self = vbd->self};
	int r = state_read(&ours, &in.node);

	if (r == 0)
		r = state_read(&theirs, &in.frontend);
	/* In a driver domain a guest may take our permission away: that is its state then. */
	if (r == -EACCES) {
		in.frontend = XENBUS_UNKNOWN;
		r = 0;
	}
	if (r == 0 && node_bool(&ours, "online", &in.online) == NODE_ERROR)
		r = ours.error;
	if (r)
		return r;
	in.rekeyed = is_rekeyed(vbd, &in);
	*ret_in = in;
	return 0;
}

/*
 * A worker has died under a connected frontend, and we are the next. Its ring cannot be taken over,
 * and a Closing of ours would make Linux kill the disk under its file systems. So all stays as it is,
 * and the guest's requests wait, until the frontend leaves or starts over, or the toolstack takes the
 * disk away: we are Connected, without a ring.
 */
static void inherit(struct vbd *vbd, struct xenbus_input *in)
{
	struct problem ignored;

	if (vbd->self != XENBUS_INITIALISING || in->node != XENBUS_CONNECTED || !in->online)
		return;
	if (in->frontend != XENBUS_INITIALISED && in->frontend != XENBUS_CONNECTED)
		return;
	vbd->has_keys = handshake_read(vbd->store, vbd->frontend, vbd->max_queues, &vbd->keys,
				&ignored) == 0;
	vbd->self = in->self = XENBUS_CONNECTED;
	vbd->is_orphan = true;
	log_err("the worker before this one died under a connected guest: its requests wait until it connects anew (reboot it, or detach and attach the disk)");
}

enum vbd_end vbd_give_up(struct vbd *vbd, int error)
{
	if (error == -EPIPE)
		vbd->end = VBD_STORE_LOST;
	else
		vbd->end = VBD_FAILED;
	log_err("xenstore: %s",
		error == -EPIPE ? "the connection to xenstored is lost" : strerror(-error));
	return vbd->end;
}

/*
 * The table keeps serving rings while Connected or Closing. When the connection was refused there
 * are none: a refusal that did not get through is made up for, and an offline disk whose frontend
 * stays where it is ends.
 */
static enum xenbus_action next_action(const struct vbd *vbd, const struct xenbus_input *in)
{
	enum xenbus_action action = xenbus_next(in);

	if (action != XENBUS_DO_NOTHING || vbd->conn.nr_queues > 0)
		return action;
	if (in->self == XENBUS_CONNECTED && !vbd->is_orphan)
		return XENBUS_DO_CLOSING;
	if (in->self == XENBUS_CLOSING && !in->online)
		return XENBUS_DO_CLOSED;
	return action;
}

/* What there is to do about a disk that is ours: true if there may be more. */
static bool step(struct vbd *vbd, struct xenbus_input *in, bool may_connect, int *ret_error)
{
	enum xenbus_action action;
	bool waiting;

	inherit(vbd, in);
	if (in->self == XENBUS_CONNECTED && in->frontend == XENBUS_CONNECTED)
		vbd->frontend_ran = true;
	*ret_error = vbd_correct_offer(vbd, in);
	if (*ret_error)
		return true;
	action = next_action(vbd, in);
	if (action != XENBUS_DO_CONNECT)
		vbd->image_until_ms = 0;
	if (action == XENBUS_DO_NOTHING || (action == XENBUS_DO_CONNECT && !may_connect))
		return false;
	if (vbd->rival.is_bound && (action == XENBUS_DO_OPEN || action == XENBUS_DO_CONNECT))
		return false;
	*ret_error = perform(vbd, action, in->node, &waiting);
	return !waiting;
}

/* True if the disk may be looked after now; with an error of the store, it may be so later. */
static bool heed_rival(struct vbd *vbd, const struct xenbus_input *in, enum rival_news news,
	const struct problem *problem, int *ret_error)
{
	switch (rival_heed(vbd, in, news, problem, ret_error)) {
	case RIVAL_GO_ON:
		break;
	case RIVAL_REFUSE:
		*ret_error = vbd_refuse(vbd, in->node, problem);
		if (*ret_error)
			vbd->rival.is_told = false;
		break;
	case RIVAL_WAIT:
		return false;
	}
	return vbd->end == VBD_LIVES;
}

/*
 * What is told before a look is about what the look is going to see (XSA-349): but for a frontend that was refused, whose every
 * word since then is another try, perhaps with the same numbers for its keys. However many there are, we look: a guest that writes
 * as fast as we read must not keep us from it.
 */
static int take_events(struct vbd *vbd)
{
	struct store_event event;
	int r = 0;

	for (unsigned i = 0; i < LIMIT_STORE_EVENTS; i++) {
		r = store_next_event(vbd->store, &event);
		if (r)
			break;
		if (vbd->is_refused && strcmp(event.token, TOKEN_FRONTEND) == 0)
			vbd->heard_again = true;
		mode_note(vbd, event.path, strcmp(event.token, TOKEN_WISH) == 0);
		store_event_fini(&event);
	}
	return r == -EPIPE ? r : 0;
}

static enum vbd_end look(struct vbd *vbd, uint64_t now_ms, bool may_connect)
{
	int r;

	vbd->now_ms = now_ms;
	vbd->held_up = false;
	for (unsigned i = 0; i < ACTIONS_MAX && vbd->end == VBD_LIVES; i++) {
		struct problem problem;
		enum rival_news news = rival_evict(vbd, &problem);
		struct xenbus_input in;

		r = take_events(vbd);
		if (r == 0)
			r = read_input(vbd, &in);
		if (r)
			return vbd_give_up(vbd, r);
		if (!heed_rival(vbd, &in, news, &problem, &r) ||
			(r == 0 && !step(vbd, &in, may_connect, &r)))
			break;
		/* Others write so busily that it did not get through: not now, but a guest is there. */
		vbd->held_up = r == -EAGAIN;
		if (vbd->held_up)
			break;
		/* ESTALE, ENOENT: somebody else wrote or removed our state: look again. */
		if (r && r != -ESTALE && r != -ENOENT)
			return vbd_give_up(vbd, r);
	}
	r = vbd->end == VBD_LIVES ? mode_look(vbd) : 0;
	return r ? vbd_give_up(vbd, r) : vbd->end;
}

enum vbd_end vbd_open(struct vbd *vbd, uint64_t now_ms)
{
	return look(vbd, now_ms, false);
}

enum vbd_end vbd_look(struct vbd *vbd, uint64_t now_ms)
{
	return look(vbd, now_ms, true);
}

bool vbd_is_settled(const struct vbd *vbd)
{
	const struct connection *conn = &vbd->conn;

	if (vbd->held_up || vbd->mode.news.is_due)
		return false;
	return conn->nr_queues == 0 || vbd->self != XENBUS_CONNECTED ||
	       conn->features.nr_sectors == disk_nr_sectors(&conn->disk);
}

/* ---- the end ---- */

/* Closed, whatever the node says now, unless the directory is gone or a successor's. */
static int write_closed(struct vbd *vbd)
{
	int r = -ESTALE;

	for (unsigned i = 0; i < ACTIONS_MAX && (r == -ESTALE || r == -EAGAIN); i++) {
		struct xenbus_input in;

		r = read_input(vbd, &in);
		if (r)
			return r;
		if (in.node == XENBUS_ABSENT || in.node == XENBUS_INITIALISING)
			return 0;
		r = disconnect_and_go(vbd, in.node, XENBUS_CLOSED);
	}
	return r;
}

void vbd_shut_down(struct vbd *vbd)
{
	int r;

	if (vbd->end != VBD_LIVES)
		return;
	r = write_closed(vbd);
	if (r && r != -ENOENT)
		log_warn("the disk's state could not be set to Closed: %s", strerror(-r));
	vbd->end = VBD_FINISHED;
}

bool vbd_data_lost(const struct vbd *vbd)
{
	/* No later success resets the latch: only who accepts the loss does (D5). */
	return vbd->conn.fault != 0;
}

void vbd_fini(struct vbd *vbd)
{
	connection_fini(&vbd->conn);
	free(vbd->frontend);
	vbd->frontend = NULL;
}

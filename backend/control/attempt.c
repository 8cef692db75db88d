/*
 * An attempt to connect a frontend: its keys, the storage, the rings; and what it is told if it fails for good.
 */
#include <errno.h>
#include <string.h>

#include "backend/control/backing.h"
#include "backend/control/options.h"
#include "backend/control/publish.h"
#include "backend/control/vbd_impl.h"
#include "backend/util/limits.h"
#include "backend/util/log.h"

static void log_connected(struct vbd *vbd)
{
	const struct disk_features *features = &vbd->conn.features;

	if (!log_limit_pass(&vbd->limit_connected, vbd->now_ms, LIMIT_LOG_LIFE))
		return;
	log_info(
		"connected: sectors=%llu access=%s cache=%s protocol=%s persistent=%u flush=%u barrier=%u indirect=%u discard=%u queues=%u ring-pages=%u",
		(unsigned long long)features->nr_sectors,
		vbd->conn.disk.storage.read_only ? "read-only" : "read-write",
		cache_mode_name(features->cache), handshake_protocol(&vbd->keys),
		vbd->keys.persistent && features->persistent, features->flush, features->barrier,
		features->indirect, features->discard.possible, vbd->keys.nr_queues,
		vbd->keys.nr_ring_pages);
	if (!cache_flushes(features->cache))
		log_warn(MODE_UNSAFE_TEXT);
	if (vbd->conn.fault)
		log_err("on an earlier connection %s (%s): all writes and flushes fail until the disk is detached and attached again, or blkbackctl clear-fault accepts that",
			connection_fault_cause(&vbd->conn), strerror(-vbd->conn.fault));
}

/* What became of an attempt to connect, the store itself working. */
enum outcome {
	OUTCOME_CONNECTED,
	OUTCOME_WAIT, /* the hotplug script has not said which storage it is, or others have that */
	OUTCOME_REFUSE, /* for good; the problem says why */
};

/*
 * Who has the image may be about to let it go: QEMU, until the guest unplugs its disk, or the worker of the same VM that is being
 * migrated. It tells nobody when, so we try again until it is too late.
 */
static bool may_wait(struct vbd *vbd, const struct problem *problem)
{
	if (!vbd->conn.image.is_kept_out)
		return false;
	vbd->image_cause = *problem;
	if (vbd->image_until_ms == 0) {
		vbd->image_until_ms = vbd->now_ms + LIMIT_IMAGE_WAIT_MS;
		if (log_limit_pass(&vbd->limit_refused, vbd->now_ms, LIMIT_LOG_LIFE))
			log_info("waits for the image: %s", problem->text);
	}
	return vbd->now_ms < vbd->image_until_ms;
}

int vbd_image_patience_ms(const struct vbd *vbd)
{
	return vbd->image_until_ms ? (int)LIMIT_IMAGE_RETRY_MS : -1;
}

static int open_connection(struct vbd *vbd, struct problem *problem)
{
	return connection_open(&vbd->conn, vbd->store, vbd->backend, vbd->id.domid, &vbd->keys,
		vbd->now_ms, problem);
}

/* E4: the guest keeps its emulated disk, and its PV driver may read beside it. 0 if it does. */
static int watch_emulated(struct vbd *vbd, struct problem *problem)
{
	struct connection *conn = &vbd->conn;
	struct problem cause = *problem;
	int r;

	if (!conn->image.emulated.has_image || conn->options.emulated != EMULATED_READ_ONLY)
		return -EBUSY;
	conn->watches = true;
	r = open_connection(vbd, problem);
	conn->watches = false;
	if (r == 0 && log_limit_pass(&vbd->limit_refused, vbd->now_ms, LIMIT_LOG_LIFE))
		log_warn("the disk is read-only: %s", cause.text);
	return r;
}

/* 0 with the outcome, or the store's -errno. */
static int attach(
	struct vbd *vbd, enum xenbus_state seen, enum outcome *ret_outcome, struct problem *problem)
{
	struct problem ignored;
	int r = open_connection(vbd, problem);

	*ret_outcome = r && may_wait(vbd, problem) ? OUTCOME_WAIT : OUTCOME_REFUSE;
	if (r && *ret_outcome == OUTCOME_REFUSE)
		r = watch_emulated(vbd, problem);
	if (r)
		return 0;
	r = publish_connected(&vbd->pub, seen, &vbd->conn.features, vbd->conn.fault != 0);
	if (r)
		return r;
	vbd->self = XENBUS_CONNECTED;
	if (connection_start(&vbd->conn, problem))
		return 0;
	*ret_outcome = OUTCOME_CONNECTED;
	mode_reset(vbd);
	log_connected(vbd);
	/* A size that came between opening and watching the storage nobody tells. */
	(void)vbd_look_at_size(vbd, vbd->now_ms, &ignored);
	return 0;
}

static int try_connect(
	struct vbd *vbd, enum xenbus_state seen, enum outcome *ret_outcome, struct problem *problem)
{
	enum hotplug_state hotplug = HOTPLUG_WAITING;
	int r = backing_hotplug(vbd->store, vbd->backend, &hotplug);

	*ret_outcome = OUTCOME_WAIT;
	if (r || hotplug != HOTPLUG_CONNECTED)
		return r;
	r = handshake_read(vbd->store, vbd->frontend, vbd->max_queues, &vbd->keys, problem);
	vbd->has_keys = r == 0;
	if (r == 0)
		return attach(vbd, seen, ret_outcome, problem);
	*ret_outcome = OUTCOME_REFUSE;
	return r == -EPROTO ? 0 : r;
}

/* ---- refusing ---- */

enum vbd_keys vbd_keys_now(const struct vbd *vbd)
{
	struct handshake keys;
	struct problem ignored;

	if (handshake_read(vbd->store, vbd->frontend, vbd->max_queues, &keys, &ignored))
		return KEYS_INCOMPLETE;
	return vbd->has_keys && handshake_same(&keys, &vbd->keys) ? KEYS_SAME : KEYS_OTHER;
}

/*
 * The same for a connection that never was. But the frontend may have died over it, and the next one be under way, or there already:
 * that one is not refused for the last one's keys (-ESTALE: look again).
 */
static int refuse_keys(struct vbd *vbd, enum xenbus_state seen, const struct problem *problem)
{
	int r;

	(void)connection_close(&vbd->conn, vbd->now_ms);
	if (vbd_keys_now(vbd) == KEYS_OTHER)
		return -ESTALE;
	r = vbd_tell_lost(vbd, seen);
	if (r == 0)
		r = publish_refusal(
			&vbd->pub, vbd->frontend, seen, vbd->told_lost ? NULL : problem->text);
	if (r)
		return r;
	vbd_log_refusal(vbd, problem);
	vbd_become(vbd, XENBUS_CLOSING);
	vbd->is_refused = true;
	return 0;
}

int vbd_connect(struct vbd *vbd, enum xenbus_state seen, bool *ret_waiting)
{
	struct problem problem = {.text = ""};
	enum outcome outcome;
	int r = try_connect(vbd, seen, &outcome, &problem);

	if (r) {
		(void)connection_close(&vbd->conn, vbd->now_ms);
		return r;
	}
	*ret_waiting = outcome == OUTCOME_WAIT;
	if (!vbd->conn.image.is_kept_out || outcome != OUTCOME_WAIT)
		vbd->image_until_ms = 0;
	if (outcome != OUTCOME_REFUSE)
		return 0;
	/* What we have published decides: Connected, if only the thread was missing. */
	return refuse_keys(vbd, vbd->self == XENBUS_CONNECTED ? XENBUS_CONNECTED : seen, &problem);
}

/* ---- what is offered before that ---- */

/*
 * How many queues are offered (D4), as far as it is known: the hotplug script says it after InitWait, and
 * nodes that are wrong are dealt with when a frontend connects.
 */
unsigned vbd_queues_to_offer(const struct vbd *vbd)
{
	enum hotplug_state hotplug = HOTPLUG_WAITING;
	bool multi_queue;

	if (backing_hotplug(vbd->store, vbd->backend, &hotplug) || hotplug != HOTPLUG_CONNECTED ||
		options_read_multi_queue(vbd->store, vbd->backend, &multi_queue))
		return vbd->pub.max_queues;
	return multi_queue ? vbd->max_queues : 1;
}

/*
 * InitWait was published before the script had spoken: take back what is not to be offered. A new guest is
 * started after that. One that runs already may have been faster, and is served as many queues as it was told.
 */
int vbd_correct_offer(struct vbd *vbd, const struct xenbus_input *in)
{
	unsigned max_queues, before = vbd->pub.max_queues;
	int r;

	if (vbd->self != XENBUS_INITWAIT || in->node != XENBUS_INITWAIT)
		return 0;
	max_queues = vbd_queues_to_offer(vbd);
	if (max_queues == before)
		return 0;
	vbd->pub.max_queues = max_queues;
	r = publish_queues(&vbd->pub);
	if (r)
		vbd->pub.max_queues = before;
	return r;
}

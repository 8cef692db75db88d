#include "backend/control/rival.h"

#include <errno.h>

#include "backend/control/handshake.h"
#include "backend/control/kernel_vbd.h"
#include "backend/control/publish.h"
#include "backend/control/vbd.h"
#include "backend/util/log.h"
#include "backend/util/problem.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

/* What the kernel gets to notice a new disk, and to finish loading a module; libxl gives us 10 s. */
#define PATIENCE_MS 1000
#define RETRY_MS    20
/* How often one that stays is asked again. */
#define NAG_MS 1000

/* Before anything else: a driver that has bound is at the guest's event channel in no time. */
enum rival_news rival_evict(struct vbd *vbd, struct problem *problem)
{
	int r;

	if (!kernel_vbd_is_bound(&vbd->id))
		return RIVAL_AWAY;
	if (!vbd->rival.is_bound)
		vbd->rival.met_guest = vbd->self == XENBUS_CONNECTED;
	r = kernel_vbd_unbind(&vbd->id, problem);
	if (r == 0)
		return RIVAL_EVICTED;
	return r == -EAGAIN ? RIVAL_LOADING : RIVAL_STAYS;
}

/* What it offers is there, and nothing that we write: perhaps a worker before us has evicted it, and given up. */
static bool was_here(const struct vbd *vbd)
{
	struct node_dir ours = {.store = vbd->store, .txn = STORE_NO_TXN, .path = vbd->backend};
	uint32_t value;

	return kernel_vbd_is_rival(&vbd->id) &&
	       node_u32(&ours, "feature-max-indirect-segments", 0, UINT32_MAX, &value) ==
		       NODE_VALUE &&
	       node_u32(&ours, "kthread-pid", 0, UINT32_MAX, &value) == NODE_ABSENT;
}

/* A frontend that was faster than us has agreed with the kernel: perhaps on what is not served here. */
static void check_agreement(struct vbd *vbd, const struct xenbus_input *in)
{
	struct handshake keys;
	struct problem problem;

	if (!in->online || (in->frontend != XENBUS_INITIALISED && in->frontend != XENBUS_CONNECTED))
		return;
	if (handshake_read(vbd->store, vbd->frontend, vbd->max_queues, &keys, &problem) != -EPROTO)
		return;
	log_err("the kernel's xen-blkback was faster, and the running guest has agreed with it on what is not served here: detach the disk, and attach it when the module is unloaded and kept so (modprobe -r xen-blkback; blkback-modprobe.conf in /etc/modprobe.d), or before the guest is started (%s)",
		problem.text);
	vbd->end = VBD_RIVALLED;
}

static enum rival_verdict still_ours(const struct vbd *vbd)
{
	return vbd->end == VBD_LIVES ? RIVAL_GO_ON : RIVAL_WAIT;
}

/*
 * It is bound and cannot be unbound: while its module is being loaded that passes. If it does not, it
 * keeps the disk; but the guest of a connected one may have noticed nothing, so that one is served:
 * the kernel gets neither its event channel, which is ours, nor the storage, which nobody has told it.
 */
static enum rival_verdict endure(struct vbd *vbd, const struct xenbus_input *in,
	enum rival_news news, const struct problem *problem)
{
	if (!vbd->rival.is_bound) {
		vbd->rival.is_bound = true;
		vbd->rival.until_ms = vbd->now_ms + PATIENCE_MS;
	}
	if (vbd->rival.is_told || !in->online ||
		(news == RIVAL_LOADING && vbd->now_ms < vbd->rival.until_ms))
		return still_ours(vbd);
	vbd->rival.is_told = true;
	if (vbd->self == XENBUS_INITWAIT)
		return RIVAL_REFUSE;
	log_err("%s", problem->text);
	if (vbd->self == XENBUS_INITIALISING)
		vbd->end = VBD_RIVALLED;
	return still_ours(vbd);
}

static void tell_late(const struct vbd *vbd, const struct xenbus_input *in)
{
	if (!vbd->rival.met_guest)
		log_info(
			"taken over from the kernel's xen-blkback, which was loaded and has bound to the disk");
	else if (vbd->self == XENBUS_CONNECTED && in->node == XENBUS_INITWAIT)
		log_warn(
			"the kernel's xen-blkback was loaded, and has bound to the disk that is served here: unbound it, and the guest goes on");
	else
		log_err("the kernel's xen-blkback was loaded, has bound to the disk that is served here, and has told the guest to let go of it: unbound it; the guest has lost the disk until it is detached and attached again, or the guest rebooted (keep the module from being loaded, see blkback-modprobe.conf, or load it before any guest runs)");
}

/* What was offered stands, but for a size that has changed since. */
static int publish_again(const struct vbd *vbd, enum xenbus_state seen)
{
	struct disk_features features = vbd->conn.features;

	features.nr_sectors = disk_nr_sectors(&vbd->conn.disk);
	return publish_connected(&vbd->pub, seen, &features, true);
}

/*
 * Make our word stand again, unless the toolstack has had its own since. Connected only in the place
 * of InitWait: Linux that has seen a Closing, and then Connected again, runs into a BUG().
 */
static int restore(struct vbd *vbd, const struct xenbus_input *in)
{
	int r = 0;

	if (in->online && in->node != XENBUS_ABSENT && in->node != XENBUS_INITIALISING &&
		(in->node == XENBUS_INITWAIT || vbd->self != XENBUS_CONNECTED))
		r = vbd->self == XENBUS_CONNECTED && vbd->conn.has_disk
			    ? publish_again(vbd, in->node)
			    : publish_state(&vbd->pub, in->node, vbd->self, NULL);
	vbd->rival.has_spoiled = r != 0;
	return r;
}

/* The kernel has yet to notice a new disk: better now, while nobody reads what it writes, than later. */
static bool is_awaited(struct vbd *vbd, const struct xenbus_input *in)
{
	if (in->node != XENBUS_INITIALISING || !in->online || !kernel_vbd_is_coming(&vbd->id))
		return false;
	if (vbd->rival.until_ms == 0)
		vbd->rival.until_ms = vbd->now_ms + PATIENCE_MS;
	return vbd->now_ms < vbd->rival.until_ms;
}

enum rival_verdict rival_heed(struct vbd *vbd, const struct xenbus_input *in, enum rival_news news,
	const struct problem *problem, int *ret_error)
{
	if (news == RIVAL_LOADING || news == RIVAL_STAYS)
		return endure(vbd, in, news, problem);
	vbd->rival.is_bound = vbd->rival.is_told = false;
	if (vbd->self == XENBUS_INITIALISING) {
		if (news == RIVAL_EVICTED)
			log_info(
				"taken over from the kernel's xen-blkback, which had bound to the disk");
		if (news == RIVAL_EVICTED || was_here(vbd))
			check_agreement(vbd, in);
		return is_awaited(vbd, in) ? RIVAL_WAIT : still_ours(vbd);
	}
	if (news == RIVAL_EVICTED) {
		tell_late(vbd, in);
		vbd->rival.has_spoiled = true;
	}
	if (vbd->rival.has_spoiled)
		*ret_error = restore(vbd, in);
	return RIVAL_GO_ON;
}

int rival_patience_ms(const struct vbd *vbd, uint64_t now_ms)
{
	if (vbd->rival.is_bound)
		return now_ms < vbd->rival.until_ms ? RETRY_MS : NAG_MS;
	if (vbd->self != XENBUS_INITIALISING || vbd->rival.until_ms == 0)
		return -1;
	return now_ms < vbd->rival.until_ms ? (int)(vbd->rival.until_ms - now_ms) : 0;
}

#include "backend/control/emulated.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/control/backing_nodes.h"
#include "backend/util/limits.h"
#include "qemu-dm-bridge/nodes/holders.h"
#include "qemu-dm-bridge/qmp/client.h"
#include "qemu-dm-bridge/qmp/medium.h"
#include "qemu-dm-bridge/qmp/monitor_path.h"
#include "xenstore/node.h"
#include "xenstore/store.h"

/* An image has one node of the format and one of the file. */
#define NODES_MAX 8u

/* No guest can write there. Without a device model, or with one in a stub domain, there is no such node. */
int emulated_find(
	struct emulated *emulated, struct store *store, const char *backend, uint32_t domid)
{
	char path[48];
	struct node_dir dir = {.store = store, .txn = STORE_NO_TXN, .path = path};
	struct problem ignored;
	uint32_t pid = 0;

	(void)snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/image", domid);
	if (node_u32(&dir, "device-model-pid", 1, INT32_MAX, &pid) == NODE_ERROR &&
		dir.error != -EACCES)
		return dir.error;
	emulated->domid = domid;
	emulated->model = (pid_t)pid;
	emulated->has_image = false;
	free(emulated->given);
	emulated->given = NULL;
	/* Without a name of the toolstack's the kernel's has to do. */
	if (pid)
		(void)!backing_path(store, backend, &emulated->given, &ignored);
	return 0;
}

void emulated_fini(struct emulated *emulated)
{
	free(emulated->given);
	emulated->given = NULL;
}

bool emulated_look(struct emulated *emulated, int fd, bool read_only)
{
	unsigned how = 0, conflict = read_only ? HOLDER_WRITES : HOLDER_READS | HOLDER_WRITES;

	/* Who cannot be looked at may have it. */
	if (emulated->model && holders_of_process(fd, emulated->model, &how))
		how = conflict;
	emulated->has_image = (how & conflict) != 0;
	if (!emulated->has_image)
		emulated->said.text[0] = '\0';
	return emulated->has_image;
}

/* One of them; -EAGAIN when there may be more: each node of -blockdev is one. */
static int close_one(
	struct qmp *qmp, const struct medium_names *names, bool takes_plugged, struct problem *said)
{
	struct medium medium;
	int r = medium_look(qmp, names, &medium, said);

	if (r)
		return r;
	switch (medium.use) {
	case MEDIUM_LEFT:
		r = medium_close(qmp, &medium, said);
		return r ? r : -EAGAIN;
	case MEDIUM_PLUGGED:
		if (takes_plugged) {
			r = medium_close(qmp, &medium, said);
			return r ? r : -EAGAIN;
		}
		return problem_set(said, -EBUSY, "the guest has not unplugged its emulated disk");
	case MEDIUM_UNKNOWN:
		return problem_set(said, -EBUSY,
			"which does not tell whether the guest has unplugged its emulated disk");
	case MEDIUM_NONE:
		break;
	}
	return problem_set(said, -ENOENT, "which says that it does not have it as a disk");
}

/* True if something was closed. What is left after that, and why, the next look finds. */
static bool close_all(
	struct qmp *qmp, const struct medium_names *names, bool takes_plugged, struct problem *said)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (close_one(qmp, names, takes_plugged, said) != -EAGAIN)
			return i > 0;
	return true;
}

/* A device model that is not ours to ask is the usual reason for having no socket. */
static int reach(const struct emulated *emulated, struct qmp **ret_qmp, struct problem *said)
{
	char path[256];
	int r = -ENOENT;

	if (emulated->run_dir &&
		monitor_path(emulated->run_dir, emulated->domid, path, sizeof(path)))
		r = qmp_open(path, LIMIT_MONITOR_MS, ret_qmp, said);
	return r == -ENOENT
		       ? problem_set(said, r,
				 "which cannot be asked, because it was not started by blkback-qemu-dm")
		       : r;
}

bool emulated_close(struct emulated *emulated, int fd, uint64_t now_ms)
{
	char link[32], resolved[PATH_MAX];
	struct medium_names names = {.given = emulated->given, .resolved = resolved};
	struct qmp *qmp;
	ssize_t n;
	bool closed;

	if (now_ms < emulated->ask_ms)
		return false;
	emulated->ask_ms = now_ms + LIMIT_MONITOR_INTERVAL_MS;
	if (reach(emulated, &qmp, &emulated->said))
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, resolved, sizeof(resolved) - 1);
	resolved[n > 0 ? n : 0] = '\0';
	if (!names.given)
		names.given = resolved;
	closed = close_all(qmp, &names, emulated->takes_plugged, &emulated->said);
	qmp_close(qmp);
	return closed;
}

int emulated_complain(const struct emulated *emulated, struct problem *ret_problem)
{
	return problem_set(ret_problem, -EBUSY,
		"the image is in use by process %d, the guest's device model (%s): the guest has to unplug its emulated disks before its PV driver can have this one (Linux: not with xen_emul_unplug=never or unnecessary; a disk of hdtype=ahci: with the option emulated=close)",
		(int)emulated->model, emulated->said.text);
}

#include "qemu-dm-bridge/device-model/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/util/log.h"
#include "qemu-dm-bridge/device-model/emulated.h"
#include "qemu-dm-bridge/device-model/monitor.h"
#include "qemu-dm-bridge/device-model/ready.h"
#include "qemu-dm-bridge/dialect/drive_args.h"
#include "qemu-dm-bridge/dialect/probe.h"
#include "qemu-dm-bridge/nodes/same_blocks.h"
#include "qemu-dm-bridge/qmp/monitor_path.h"

struct wrapping {
	struct command_line *line;
	const struct wrap_terms *terms;
	struct ready_terms ready;
	struct problem *problem;
	struct dialect dialect;
	bool is_probed; /* once, and only if there is something to rewrite */
};

/* ---- which disk it is ----------------------------------------------------------------------- */

/* Among the nodes of @disk. Where those cannot be looked for, locks on the image's own have to do. */
static bool is_a_node_of(const struct same_blocks_id *id, const struct served *disk)
{
	struct same_blocks blocks;
	struct problem problem;
	bool found = false;
	int r, fd = open(disk->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	r = same_blocks_find(fd, disk->image, &blocks, &problem);
	if (r)
		log_warn("other ways to the blocks of '%s' are not looked for: %s", disk->image,
			problem.text);
	for (unsigned i = 0; r == 0 && i < blocks.nr_nodes; i++)
		found |= same_blocks_same(&blocks.nodes[i].id, id);
	if (r == 0)
		same_blocks_close(&blocks);
	(void)close(fd);
	return found;
}

/* The disk that is this very node; NULL: none. */
static const struct served *find_same(
	const struct same_blocks_id *id, const struct served_list *served)
{
	for (unsigned i = 0; i < served->nr; i++) {
		struct same_blocks_id ours;
		struct stat st;

		if (stat(served->disks[i].image, &st))
			continue;
		ours = same_blocks_id_of(&st);
		if (same_blocks_same(id, &ours))
			return &served->disks[i];
	}
	return NULL;
}

/* W2. 0 and perhaps no disk, or -EINVAL. What is not there, or no image, QEMU complains about itself. */
static int find_served(const char *path, const struct served_list *served,
	const struct served **ret_disk, struct problem *problem)
{
	struct same_blocks_id id;
	struct stat st;

	*ret_disk = NULL;
	if (stat(path, &st))
		return 0;
	id = same_blocks_id_of(&st);
	*ret_disk = find_same(&id, served);
	/* To look for all nodes of a disk takes a hundred times as long. */
	for (unsigned i = 0; !*ret_disk && i < served->nr; i++)
		if (is_a_node_of(&id, &served->disks[i]))
			return problem_set(problem, -EINVAL,
				"the emulated disk '%s' is another way to the blocks of '%s', which %s serves: both need the same file or device, or their locks do not meet",
				path, served->disks[i].image, served->disks[i].backend);
	return 0;
}

/* ---- its options ---------------------------------------------------------------------------- */

static int probe(struct wrapping *w)
{
	int r;

	if (w->is_probed)
		return 0;
	r = probe_qemu(w->terms->qemu, PROBE_DRIVE, w->terms->probe_ms, &w->dialect, w->problem);
	w->is_probed = r == 0;
	return r;
}

/*
 * What promises the same, but through the page cache: QEMU's devices work on pages of the guest that the kernel maps for it (privcmd), and
 * those cannot be used for direct I/O.
 */
static enum cache_mode cached_mode(enum cache_mode mode)
{
	switch (mode) {
	case CACHE_NONE:
		return CACHE_WRITEBACK;
	case CACHE_DIRECTSYNC:
		return CACHE_WRITETHROUGH;
	case CACHE_WRITETHROUGH:
	case CACHE_WRITEBACK:
	case CACHE_UNSAFE:
	case CACHE_MODE_COUNT:
		break;
	}
	return mode;
}

static int rewrite(
	struct wrapping *w, const struct served *disk, unsigned option, const char *value)
{
	enum cache_mode mode, wanted = cached_mode(disk->cache);
	char *now;
	int r = drive_args_rewrite(&w->dialect, wanted, value, &now, &mode, w->problem);

	if (r)
		return r;
	if (cache_is_direct(mode)) {
		free(now);
		return problem_set(w->problem, -ENOTSUP,
			"this QEMU cannot open '%s' in mode %s, nor in one that is safer, through the page cache",
			disk->image, cache_mode_name(wanted));
	}
	log_info("'%s' is opened with cache=%s: the disk %s has %s", disk->image,
		cache_mode_name(mode), disk->backend, cache_mode_name(disk->cache));
	r = command_line_replace(w->line, option, "-drive", now);
	free(now);
	return r ? problem_set(w->problem, r, "no memory") : 0;
}

/* W3 */
static int change_options(
	struct wrapping *w, const struct served *disk, const struct emulated *emulated)
{
	char *value;
	int r;

	if (emulated->form == EMULATED_OTHER) {
		log_warn(
			"'%s', which %s serves with cache=%s, is opened as its -%s says: see blkback-drive-args(8) for the options of that mode",
			disk->image, disk->backend, cache_mode_name(disk->cache),
			command_line_name(w->line, emulated->option));
		return 0;
	}
	r = probe(w);
	if (r)
		return r;
	if (emulated->form == EMULATED_DRIVE)
		return rewrite(
			w, disk, emulated->option, command_line_value(w->line, emulated->option));
	r = emulated_as_drive(w->line, emulated, &value);
	if (r)
		return problem_set(w->problem, r, "no memory");
	r = rewrite(w, disk, emulated->option, value);
	free(value);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int wrap_disk(struct wrapping *w, const struct served_list *served,
	const struct emulated *emulated, unsigned *nr_found)
{
	const struct served *disk;
	int r = find_served(emulated->path, served, &disk, w->problem);

	if (r || !disk)
		return r;
	(*nr_found)++;
	r = change_options(w, disk, emulated);
	return r ? r : ready_make(disk, &w->ready, w->problem);
}

/* W6. Without it the locks still tell who has an image. */
static int add_monitor(struct wrapping *w)
{
	char path[256];
	int r = monitor_path(w->terms->rundir, w->terms->domid, path, sizeof(path)) ? 0 : -ENOENT;

	if (r == 0 && mkdir(w->terms->rundir, 0755) && errno != EEXIST)
		r = -ENOENT;
	monitor_sweep(w->terms->rundir);
	if (r == 0)
		r = monitor_add(w->line, path);
	if (r == -ENOENT)
		log_info(
			"there is no QMP monitor for blkback: a disk that the device model keeps after the guest has unplugged it has to be closed by hand");
	return r == -ENOMEM ? problem_set(w->problem, r, "no memory") : 0;
}

int wrap(struct command_line *line, const struct served_list *served,
	const struct wrap_terms *terms, struct problem *problem)
{
	struct wrapping w = {.line = line, .terms = terms, .problem = problem};
	struct emulated emulated;
	unsigned at = 0, nr_found = 0;
	int r = 0, more;

	w.ready.until_ms = ready_now_ms() + terms->wait_ms;
	w.ready.is_incoming = command_line_find(line, "incoming") != NULL;
	while (r == 0 && (more = emulated_next(line, &at, &emulated)) > 0) {
		r = wrap_disk(&w, served, &emulated, &nr_found);
		free(emulated.path);
	}
	if (r == 0 && more < 0)
		r = problem_set(problem, more, "no memory");
	return r || nr_found == 0 ? r : add_monitor(&w);
}

#include "backend/control/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "backend/data/storage.h"
#include "backend/util/limits.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"
#include "xenstore/txn.h"

struct change {
	const char *backend;
	const char *frontend; /* NULL, or only while that is there */
	unsigned max_queues;
	enum cache_mode default_cache;
	enum xenbus_state seen;
	enum xenbus_state next;
	const struct disk_features *features; /* for Connected, else NULL */
	const char *error;                    /* NULL: none to write */
	bool drop_error;
};

/*
 * Who serves the disk is what libxenstat needs to find its figures (xentop.h). By the mode the hotplug script judges
 * the image, where the disk's options do not say.
 */
static int write_server(const struct node_dir *dir, enum cache_mode default_cache)
{
	int r = node_printf(dir, "kthread-pid", "%d", (int)getpid());

	return r ? r : node_printf(dir, "cache-mode-default", "%s", cache_mode_name(default_cache));
}

/*
 * What a frontend chooses its rings by. Written anew with Connected, too: the kernel's backend may have
 * come in between, and put its own number there.
 */
static int write_ring_features(const struct node_dir *dir, unsigned max_queues)
{
	int r = node_printf(dir, "max-ring-page-order", "%d", LIMIT_RING_ORDER);

	if (r)
		return r;
	return max_queues > 1 ? node_printf(dir, "multi-queue-max-queues", "%u", max_queues)
			      : node_remove(dir, "multi-queue-max-queues");
}

#define INDIRECT "feature-max-indirect-segments"

static int write_discard_features(const struct node_dir *dir, const struct discard *discard)
{
	int r = node_printf(dir, "feature-discard", "1");

	if (r == 0)
		r = node_printf(dir, "discard-granularity", "%u", discard->granularity_bytes);
	if (r == 0)
		r = node_printf(dir, "discard-alignment", "%u", discard->alignment_bytes);
	if (r == 0)
		r = node_printf(dir, "discard-secure", "%d", discard->secure);
	return r;
}

/* What the guest has: not for frontends, of which none looks for it, but for who looks after the disk. */
static int write_cache(const struct node_dir *dir, enum cache_mode cache)
{
	int r = node_printf(dir, "cache-mode-active", "%s", cache_mode_name(cache));

	return r ? r : node_printf(dir, "write-cache", "%d", !cache_writes_through(cache));
}

/* Every unit is 512 bytes, whatever the medium has (D1). */
static int write_disk_features(const struct node_dir *dir, const struct disk_features *f)
{
	int r = node_printf(dir, "feature-persistent", "%d", f->persistent);

	if (r == 0)
		r = node_printf(dir, "feature-flush-cache", "%d", f->flush);
	if (r == 0)
		r = node_printf(dir, "feature-barrier", "%d", f->barrier);
	if (r == 0 && f->indirect)
		r = node_printf(dir, INDIRECT, "%d", LIMIT_SEGMENTS);
	if (r == 0 && f->discard.possible)
		r = write_discard_features(dir, &f->discard);
	if (r == 0)
		r = write_cache(dir, f->cache);
	if (r == 0)
		r = node_printf(dir, "sectors", "%" PRIu64, f->nr_sectors);
	if (r == 0)
		r = node_printf(dir, "info", "%u", f->info);
	if (r == 0)
		r = node_printf(dir, "sector-size", "%u", STORAGE_SECTOR_SIZE);
	if (r == 0)
		r = node_printf(dir, "physical-sector-size", "%u", f->physical_sector_size);
	return r;
}

/*
 * What is written with Connected, and may be there from before: by us, or by the kernel's backend, which may have had the
 * disk and leaves its nodes. A frontend believes whatever it finds.
 */
static int remove_old_features(const struct node_dir *dir)
{
	static const char *const names[] = {INDIRECT, "feature-discard", "discard-granularity",
		"discard-alignment", "discard-secure", "cache-mode-active", "cache-mode-error",
		"write-cache", "write-cache-error", "stopped"};
	int r = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && r == 0; i++)
		r = node_remove(dir, names[i]);
	return r;
}

static int write_error(const struct node_dir *dir, const struct change *change)
{
	if (change->error)
		return node_printf(dir, "hotplug-error", "%s", change->error);
	return change->drop_error ? node_remove(dir, "hotplug-error") : 0;
}

/*
 * The frontend's state is read inside: if it leaves before the commit, that fails, and the next try sees it. In a
 * driver domain it may be hidden from us; then it is not there.
 */
static int check_frontend(struct store *store, uint32_t txn, const char *frontend)
{
	struct node_dir theirs = {.store = store, .txn = txn, .path = frontend};
	enum xenbus_state state;
	int r = state_read(&theirs, &state);

	if (r)
		return r == -EACCES ? -ESTALE : r;
	return state == XENBUS_INITIALISED || state == XENBUS_CONNECTED ? 0 : -ESTALE;
}

static int write_change(struct store *store, uint32_t txn, void *ctx)
{
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	bool offers = change->next == XENBUS_INITWAIT || change->next == XENBUS_CONNECTED;
	int r = change->frontend ? check_frontend(store, txn, change->frontend) : 0;

	if (r == 0)
		r = state_switch(&dir, change->seen, change->next);
	if (r == 0 && (change->next == XENBUS_INITWAIT || change->features))
		r = remove_old_features(&dir);
	if (r == 0 && offers)
		r = write_ring_features(&dir, change->max_queues);
	if (r == 0 && change->next == XENBUS_INITWAIT)
		r = write_server(&dir, change->default_cache);
	if (r == 0 && change->features)
		r = write_disk_features(&dir, change->features);
	return r ? r : write_error(&dir, change);
}

int publish_state(const struct publisher *pub, enum xenbus_state seen, enum xenbus_state next,
	const char *error)
{
	struct change change = {.backend = pub->backend,
		.max_queues = pub->max_queues,
		.default_cache = pub->default_cache,
		.seen = seen,
		.next = next,
		.error = error};

	return txn_run(pub->store, write_change, &change, TXN_TRIES);
}

static int write_queues(struct store *store, uint32_t txn, void *ctx)
{
	const struct publisher *pub = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = pub->backend};
	enum xenbus_state state;
	int r = state_read(&dir, &state);

	if (r == 0 && state != XENBUS_INITWAIT)
		r = -ESTALE;
	return r ? r : write_ring_features(&dir, pub->max_queues);
}

int publish_queues(const struct publisher *pub)
{
	struct publisher copy = *pub;

	return txn_run(pub->store, write_queues, &copy, TXN_TRIES);
}

int publish_refusal(const struct publisher *pub, const char *frontend, enum xenbus_state seen,
	const char *error)
{
	struct change change = {.backend = pub->backend,
		.frontend = frontend,
		.max_queues = pub->max_queues,
		.seen = seen,
		.next = XENBUS_CLOSING,
		.error = error};

	return txn_run(pub->store, write_change, &change, TXN_TRIES);
}

int publish_connected(const struct publisher *pub, enum xenbus_state seen,
	const struct disk_features *features, bool keep_error)
{
	struct change change = {.backend = pub->backend,
		.max_queues = pub->max_queues,
		.seen = seen,
		.next = XENBUS_CONNECTED,
		.features = features,
		.drop_error = !keep_error};

	return txn_run(pub->store, write_change, &change, TXN_TRIES);
}

struct resize {
	const char *backend;
	const char *frontend;
	uint64_t nr_sectors;
};

static int write_sectors(struct store *store, uint32_t txn, void *ctx)
{
	const struct resize *resize = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = resize->backend};
	int r = check_frontend(store, txn, resize->frontend);

	if (r == 0)
		r = state_switch(&dir, XENBUS_CONNECTED, XENBUS_CONNECTED);
	return r ? r : node_printf(&dir, "sectors", "%" PRIu64, resize->nr_sectors);
}

int publish_sectors(const struct publisher *pub, const char *frontend, uint64_t nr_sectors)
{
	struct resize resize = {
		.backend = pub->backend, .frontend = frontend, .nr_sectors = nr_sectors};

	return txn_run(pub->store, write_sectors, &resize, TXN_TRIES);
}

/* Only into the directory that is ours: a successor's has another state. */
static int check_ours(struct node_dir *dir, enum xenbus_state seen)
{
	enum xenbus_state state;
	int r = state_read(dir, &state);

	if (r)
		return r;
	if (state == XENBUS_ABSENT)
		return -ENOENT;
	return state == seen ? 0 : -ESTALE;
}

static int write_error_alone(struct store *store, uint32_t txn, void *ctx)
{
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	int r = check_ours(&dir, change->seen);

	if (r == 0)
		r = node_printf(&dir, "data-lost", "1");
	return r ? r : write_error(&dir, change);
}

int publish_error(const struct publisher *pub, enum xenbus_state seen, const char *error)
{
	struct change change = {.backend = pub->backend, .seen = seen, .error = error};

	return txn_run(pub->store, write_error_alone, &change, TXN_TRIES);
}

struct mode_change {
	const char *backend;
	enum xenbus_state seen;
	const struct publish_mode *mode;
};

static int write_mode(struct store *store, uint32_t txn, void *ctx)
{
	const struct mode_change *change = ctx;
	const struct publish_mode *mode = change->mode;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	const char *error_node = mode->by_guest ? "write-cache-error" : "cache-mode-error";
	int r = check_ours(&dir, change->seen);

	if (r == 0 && !mode->is_offline)
		r = write_cache(&dir, mode->active);
	if (r == 0 && mode->configured)
		r = node_printf(&dir, "cache-mode", "%s", mode->configured);
	if (r)
		return r;
	return mode->error ? node_printf(&dir, error_node, "%s", mode->error)
			   : node_remove(&dir, error_node);
}

int publish_mode(
	const struct publisher *pub, enum xenbus_state seen, const struct publish_mode *mode)
{
	struct mode_change change = {.backend = pub->backend, .seen = seen, .mode = mode};

	return txn_run(pub->store, write_mode, &change, TXN_TRIES);
}

static int remove_fault(struct store *store, uint32_t txn, void *ctx)
{
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	int r = check_ours(&dir, change->seen);

	if (r == 0)
		r = node_remove(&dir, "data-lost");
	return r ? r : node_remove(&dir, "hotplug-error");
}

int publish_no_fault(const struct publisher *pub, enum xenbus_state seen)
{
	struct change change = {.backend = pub->backend, .seen = seen};

	return txn_run(pub->store, remove_fault, &change, TXN_TRIES);
}

static int write_stopped(struct store *store, uint32_t txn, void *ctx)
{
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	int r = check_ours(&dir, change->seen);

	if (r)
		return r;
	return change->error ? node_printf(&dir, "stopped", "%s", change->error)
			     : node_remove(&dir, "stopped");
}

int publish_stopped(const struct publisher *pub, enum xenbus_state seen, const char *why)
{
	struct change change = {.backend = pub->backend, .seen = seen, .error = why};

	return txn_run(pub->store, write_stopped, &change, TXN_TRIES);
}

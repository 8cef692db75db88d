#include "backend/control/publish.h"

#include <errno.h>
#include <inttypes.h>

#include "backend/data/storage.h"
#include "xenstore/node.h"
#include "xenstore/state.h"
#include "xenstore/store.h"
#include "xenstore/txn.h"

struct change {
	const char *backend;
	enum xenbus_state seen;
	enum xenbus_state next;
	const struct disk_features *features; /* for Connected */
};

static int write_ring_features(const struct node_dir *dir)
{
	return node_printf(dir, "feature-persistent", "1");
}

/* Every unit is 512 bytes, whatever the medium has (D1). */
static int write_disk_features(const struct node_dir *dir, const struct disk_features *f)
{
	int r = node_printf(dir, "feature-flush-cache", "%d", f->flush);

	if (r == 0)
		r = node_printf(dir, "feature-barrier", "%d", f->barrier);
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

static int write_change(struct store *store, uint32_t txn, void *ctx)
{
	const struct change *change = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = change->backend};
	int r = state_switch(&dir, change->seen, change->next);

	if (r)
		return r;
	if (change->next == XENBUS_INITWAIT)
		return write_ring_features(&dir);
	if (change->features)
		return write_disk_features(&dir, change->features);
	return 0;
}

int publish_init_wait(struct store *store, const char *backend, enum xenbus_state seen)
{
	return publish_state(store, backend, seen, XENBUS_INITWAIT);
}

int publish_connected(struct store *store, const char *backend, enum xenbus_state seen,
	const struct disk_features *features)
{
	struct change change = {backend, seen, XENBUS_CONNECTED, features};

	return txn_run(store, write_change, &change, TXN_TRIES);
}

int publish_state(
	struct store *store, const char *backend, enum xenbus_state seen, enum xenbus_state next)
{
	struct change change = {backend, seen, next, NULL};

	return txn_run(store, write_change, &change, TXN_TRIES);
}

struct sentence {
	const char *backend;
	const char *text;
};

/* Only into a directory that is there: writing would make it anew. */
static int write_sentence(struct store *store, uint32_t txn, void *ctx)
{
	const struct sentence *sentence = ctx;
	struct node_dir dir = {.store = store, .txn = txn, .path = sentence->backend};
	enum xenbus_state state;
	int r = state_read(&dir, &state);

	if (r)
		return r;
	if (state == XENBUS_ABSENT)
		return -ENOENT;
	return node_printf(&dir, "hotplug-error", "%s", sentence->text);
}

int publish_hotplug_error(struct store *store, const char *backend, const char *text)
{
	struct sentence sentence = {backend, text};

	return txn_run(store, write_sentence, &sentence, TXN_TRIES);
}

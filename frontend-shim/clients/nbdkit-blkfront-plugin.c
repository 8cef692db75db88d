/*
 * An nbdkit plugin that is a guest's block frontend: every NBD client drives a backend's ring.
 *
 *   nbdkit -U sock ./nbdkit-blkfront-plugin.so vdev=xvda persistent=0
 *
 * nbdkit's threads call in parallel; blkfront/sync.h takes care of that. One frontend serves all
 * connections. It connects after nbdkit forked, because the Xen libraries do not survive a fork, and
 * closes when the last connection is gone and nbdkit exits.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "frontend-shim/blkfront/sync.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum use_barrier {
	BARRIER_NEVER = 0,
	BARRIER_ALWAYS = 1,
	BARRIER_AUTO
};

/* Set while nbdkit runs one thread only, except barrier_refused. */
static struct blkfront_options options;
static enum use_barrier use_barrier = BARRIER_AUTO;
static struct blkfront_sync *sync_front;
static struct blkfront_disk disk;
static bool barrier_refused; /* atomically: the backend took its offer back */

static void blkfront_load(void)
{
	blkfront_options_init(&options);
}

static int config_barrier(const char *value)
{
	if (strcmp(value, "auto") == 0)
		use_barrier = BARRIER_AUTO;
	else if (strcmp(value, "0") == 0)
		use_barrier = BARRIER_NEVER;
	else if (strcmp(value, "1") == 0)
		use_barrier = BARRIER_ALWAYS;
	else
		return -EINVAL;
	return 0;
}

static int blkfront_config(const char *key, const char *value)
{
	int r = strcmp(key, "barrier") == 0 ? config_barrier(value)
					    : blkfront_options_set(&options, key, value);

	if (r == -ENOENT)
		nbdkit_error("unknown parameter \"%s\"", key);
	else if (r)
		nbdkit_error("%s: cannot be \"%s\"", key, value);
	return r ? -1 : 0;
}

static int blkfront_after_fork(void)
{
	char *error;
	int r = blkfront_sync_create(&options, &sync_front, &error);

	if (r) {
		nbdkit_error("cannot connect the disk \"%s\": %s", options.frontend,
			error ? error : strerror(-r));
		free(error);
		return -1;
	}
	disk = blkfront_sync_disk(sync_front);
	if (use_barrier == BARRIER_ALWAYS && !disk.barrier) {
		nbdkit_error("the backend does not offer barriers");
		return -1;
	}
	return 0;
}

/* The last connection is closed. Called again by unload when start-up failed half way. */
static void blkfront_disconnect(void)
{
	blkfront_sync_destroy(sync_front);
	sync_front = NULL;
}

static void *blkfront_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t blkfront_get_size(void *handle)
{
	uint64_t nr_sectors = blkfront_sync_disk(sync_front).nr_sectors;

	(void)handle;
	if (nr_sectors > (uint64_t)INT64_MAX >> WIRE_SECTOR_SHIFT) {
		nbdkit_error(
			"the backend claims to have %llu sectors", (unsigned long long)nr_sectors);
		return -1;
	}
	return (int64_t)(nr_sectors << WIRE_SECTOR_SHIFT);
}

static int blkfront_block_size(
	void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = disk.sector_size;
	*preferred = disk.sector_size > 4096 ? disk.sector_size : 4096;
	*maximum = UINT32_MAX;
	return 0;
}

static int blkfront_can_write(void *handle)
{
	(void)handle;
	return !(disk.info & VDISK_READONLY);
}

/* Without flush or barrier the disk is write-through by definition, and a flush costs nothing. */
static int blkfront_can_flush(void *handle)
{
	(void)handle;
	return 1;
}

static int blkfront_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

/* No client is to send what was not offered. */
static int blkfront_can_trim(void *handle)
{
	(void)handle;
	return disk.discard;
}

/* All connections share one frontend, so a flush covers the writes of all. */
static int blkfront_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

/* An errno that an NBD client understands. */
static int answer(int r)
{
	if (r == 0)
		return 0;
	switch (-r) {
	case EINVAL:
	case ENOMEM:
	case EOPNOTSUPP:
		nbdkit_set_error(-r);
		break;
	default:
		nbdkit_set_error(EIO);
		break;
	}
	return -1;
}

static int blkfront_pread(void *handle, void *data, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return answer(blkfront_sync_read(sync_front, data, count, offset));
}

static bool may_use_barrier(void)
{
	return disk.barrier && use_barrier != BARRIER_NEVER &&
	       !__atomic_load_n(&barrier_refused, __ATOMIC_RELAXED);
}

static int blkfront_pwrite(
	void *handle, const void *data, uint32_t count, uint64_t offset, uint32_t flags)
{
	bool fua = flags & NBDKIT_FLAG_FUA;
	int r = -EOPNOTSUPP;

	(void)handle;
	if (fua && may_use_barrier()) {
		r = blkfront_sync_barrier(sync_front, data, count, offset);
		if (r != -EOPNOTSUPP)
			return answer(r);
		/* A backend may take its offer back at any time (blkif.h). */
		__atomic_store_n(&barrier_refused, true, __ATOMIC_RELAXED);
	}
	r = blkfront_sync_write(sync_front, data, count, offset);
	if (r == 0 && fua)
		r = blkfront_sync_flush(sync_front);
	return answer(r);
}

/* It is advice, as in NBD: nothing is to be durable but what FUA asks for. */
static int blkfront_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	int r = blkfront_sync_discard(sync_front, count, offset);

	(void)handle;
	if (r == 0 && flags & NBDKIT_FLAG_FUA)
		r = blkfront_sync_flush(sync_front);
	return answer(r);
}

static int blkfront_flush(void *handle, uint32_t flags)
{
	int r = blkfront_sync_flush(sync_front);

	(void)handle;
	(void)flags;
	/* To the client any failed flush means that its data may be lost. */
	return answer(r ? -EIO : 0);
}

static struct nbdkit_plugin plugin = {
	.name = "blkfront",
	.longname = "Xen block frontend",
	.version = BLKBACK_VERSION,
	.description = "a guest's end of a Xen virtual disk",
	.load = blkfront_load,
	.unload = blkfront_disconnect,
	.config = blkfront_config,
	.config_help = BLKFRONT_OPTIONS_HELP
	"barrier=auto|0|1       FUA by WRITE_BARRIER: if offered, never, or refuse to start",
	.magic_config_key = "vdev",
	.after_fork = blkfront_after_fork,
	.cleanup = blkfront_disconnect,
	.open = blkfront_open,
	.get_size = blkfront_get_size,
	.block_size = blkfront_block_size,
	.can_write = blkfront_can_write,
	.can_flush = blkfront_can_flush,
	.can_fua = blkfront_can_fua,
	.can_trim = blkfront_can_trim,
	.can_multi_conn = blkfront_can_multi_conn,
	.pread = blkfront_pread,
	.pwrite = blkfront_pwrite,
	.flush = blkfront_flush,
	.trim = blkfront_trim,
	.errno_is_preserved = 0,
};

struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)

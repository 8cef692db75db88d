#include "backend/data/blockers.h"

#include "backend/data/helper.h"
#include "backend/data/storage.h"
#include "backend/util/limits.h"

int blockers_init(struct blockers *blockers, unsigned capacity, int event_fd)
{
	int r = helper_create("sync", 1, 1, event_fd, &blockers->syncs);

	if (r == 0)
		r = helper_create("discard", capacity, 1, event_fd, &blockers->discards);
	if (r == 0)
		r = helper_create("move", capacity, LIMIT_MOVE_THREADS, event_fd, &blockers->moves);
	return r;
}

void blockers_fini(struct blockers *blockers)
{
	helper_destroy(blockers->syncs);
	helper_destroy(blockers->discards);
	helper_destroy(blockers->moves);
	*blockers = (struct blockers){0};
}

bool blockers_take(struct blockers *blockers, const struct engine_io *io)
{
	switch (io->verb) {
	case ENGINE_READ:
	case ENGINE_WRITE:
		if (cache_is_direct(io->storage->cache))
			return false;
		helper_put(blockers->moves, io);
		break;
	case ENGINE_SYNC:
		helper_put(blockers->syncs, io);
		break;
	case ENGINE_DISCARD:
		helper_put(blockers->discards, io);
		break;
	}
	return true;
}

void blockers_finish(struct blockers *blockers, const struct engine_io *io)
{
	helper_put(blockers->moves, io);
}

unsigned blockers_reap(struct blockers *blockers, struct engine_done *done, unsigned max)
{
	unsigned n = helper_reap(blockers->syncs, done, max);

	n += helper_reap(blockers->discards, done + n, max - n);
	return n + helper_reap(blockers->moves, done + n, max - n);
}

bool blockers_have_done(const struct blockers *blockers)
{
	return helper_has_done(blockers->syncs) || helper_has_done(blockers->discards) ||
	       helper_has_done(blockers->moves);
}

unsigned blockers_in_flight(const struct blockers *blockers)
{
	return helper_in_flight(blockers->syncs) + helper_in_flight(blockers->discards) +
	       helper_in_flight(blockers->moves);
}

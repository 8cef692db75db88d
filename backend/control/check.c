#include "backend/control/check.h"

#include <stdio.h>

#include "backend/control/image.h"
#include "backend/data/storage.h"

static enum worker_exit prepare(const struct storage *storage)
{
	struct problem problem;
	int r = image_prepare(storage, &problem);

	if (r)
		(void)fprintf(stderr, "%s\n", problem.text);
	return image_is_loss(r) ? WORKER_STORAGE : WORKER_OK;
}

enum worker_exit check_image(
	const char *path, bool read_only, enum cache_mode cache, bool hand_over)
{
	struct storage_terms terms = {.read_only = read_only, .cache = cache};
	enum worker_exit result;
	struct storage storage;
	struct problem problem;

	if (storage_open(path, &terms, &storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	(void)printf("sectors=%llu physical-sector-size=%u memory-align=%u type=%s\n",
		(unsigned long long)storage.nr_sectors, storage.physical_sector_size,
		storage.memory_align, storage.kind->name);
	result = hand_over ? prepare(&storage) : WORKER_OK;
	storage_close(&storage);
	return result;
}

#include "backend/control/check.h"

#include <stdio.h>

#include "backend/control/image.h"
#include "backend/data/storage.h"

static enum worker_exit prepare(const struct storage *storage)
{
	struct problem problem;
	bool is_lost;

	if (image_prepare(storage, &is_lost, &problem))
		(void)fprintf(stderr, "%s\n", problem.text);
	return is_lost ? WORKER_STORAGE : WORKER_OK;
}

static enum worker_exit examine(const struct storage *storage, const struct check_terms *terms)
{
	struct problem problem;

	if (terms->exclusive && image_check(storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	(void)printf("sectors=%llu physical-sector-size=%u memory-align=%u type=%s\n",
		(unsigned long long)storage->nr_sectors, storage->physical_sector_size,
		storage->memory_align, storage->kind->name);
	return terms->hand_over ? prepare(storage) : WORKER_OK;
}

enum worker_exit check_image(const char *path, const struct check_terms *terms)
{
	struct storage_terms how = {.read_only = terms->read_only, .cache = terms->cache};
	enum worker_exit result;
	struct storage storage;
	struct problem problem;

	if (storage_open(path, &how, &storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	result = examine(&storage, terms);
	storage_close(&storage);
	return result;
}

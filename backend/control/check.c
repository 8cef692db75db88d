#include "backend/control/check.h"

#include <stdio.h>

#include "backend/data/storage.h"

enum worker_exit check_image(const char *path, bool read_only, enum cache_mode cache)
{
	struct storage_terms terms = {.read_only = read_only, .cache = cache};
	struct storage storage;
	struct problem problem;

	if (storage_open(path, &terms, &storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	(void)printf("sectors=%llu physical-sector-size=%u memory-align=%u type=%s\n",
		(unsigned long long)storage.nr_sectors, storage.physical_sector_size,
		storage.memory_align, storage.kind->name);
	storage_close(&storage);
	return WORKER_OK;
}

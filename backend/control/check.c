#include "backend/control/check.h"

#include <stdio.h>

#include "backend/data/storage.h"

enum worker_exit check_image(const char *path, bool read_only)
{
	struct storage storage;
	struct problem problem;

	if (storage_open(path, read_only ? STORAGE_READ_ONLY : 0, &storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	(void)printf("sectors=%llu physical-sector-size=%u memory-align=%u type=%s\n",
		(unsigned long long)storage.nr_sectors, storage.physical_sector_size,
		storage.memory_align, storage.is_block_device ? "block" : "file");
	storage_close(&storage);
	return WORKER_OK;
}

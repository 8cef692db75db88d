#include "backend/control/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

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

/* One line. The hotplug script claims a file by what it was when it was looked at. */
static void tell(const struct storage *storage)
{
	struct stat st;

	(void)printf("sectors=%" PRIu64 " physical-sector-size=%u memory-align=%u type=%s",
		storage->nr_sectors, storage->physical_sector_size, storage->memory_align,
		storage->kind->name);
	if (fstat(storage->fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)printf(" inode=%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	(void)putchar('\n');
}

static enum worker_exit examine(const struct storage *storage, const struct check_terms *terms)
{
	struct problem problem;

	if (terms->exclusive && image_check(storage, &problem)) {
		(void)fprintf(stderr, "%s\n", problem.text);
		return WORKER_STORAGE;
	}
	tell(storage);
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

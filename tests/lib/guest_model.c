#include "tests/lib/guest_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/wire.h"

int guest_model_init(struct guest_model *model, uint64_t nr_sectors)
{
	*model = (struct guest_model){
		.nr_sectors = nr_sectors,
		.data = calloc(nr_sectors, WIRE_SECTOR_SIZE),
		.in_doubt = calloc(nr_sectors, sizeof(*model->in_doubt)),
	};
	if (model->data && model->in_doubt)
		return 0;
	guest_model_fini(model);
	return -ENOMEM;
}

void guest_model_fini(struct guest_model *model)
{
	free(model->data);
	free(model->in_doubt);
	*model = (struct guest_model){0};
}

static uint8_t *sector_data(struct guest_model *model, uint64_t sector)
{
	return model->data + sector * WIRE_SECTOR_SIZE;
}

void guest_model_write(
	struct guest_model *model, uint64_t sector, uint64_t nr_sectors, const void *data)
{
	memcpy(sector_data(model, sector), data, nr_sectors * WIRE_SECTOR_SIZE);
	memset(model->in_doubt + sector, 0, nr_sectors * sizeof(*model->in_doubt));
}

void guest_model_zero(
	struct guest_model *model, uint64_t sector, uint64_t nr_sectors, bool in_doubt)
{
	if (!in_doubt)
		memset(sector_data(model, sector), 0, nr_sectors * WIRE_SECTOR_SIZE);
	for (uint64_t i = 0; i < nr_sectors; i++)
		model->in_doubt[sector + i] = in_doubt;
}

size_t guest_model_compare(
	struct guest_model *model, uint64_t sector, uint64_t nr_sectors, const void *data)
{
	static const uint8_t zeros[WIRE_SECTOR_SIZE];
	const uint8_t *seen = data;

	for (uint64_t i = 0; i < nr_sectors; i++, seen += WIRE_SECTOR_SIZE) {
		uint8_t *expected = sector_data(model, sector + i);
		size_t n = 0;

		if (model->in_doubt[sector + i] && memcmp(seen, zeros, WIRE_SECTOR_SIZE) == 0)
			memset(expected, 0, WIRE_SECTOR_SIZE);
		if (memcmp(seen, expected, WIRE_SECTOR_SIZE) != 0) {
			while (seen[n] == expected[n])
				n++;
			return i * WIRE_SECTOR_SIZE + n;
		}
		model->in_doubt[sector + i] = false;
	}
	return nr_sectors * WIRE_SECTOR_SIZE;
}

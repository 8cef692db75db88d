#include "backend/data/buffers.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define ALL_BYTES ((size_t)LIMIT_COPY_CHUNKS * BUFFERS_CHUNK)

/* All are free, and the first ones are taken first. */
static void free_all(struct buffers *buffers)
{
	for (unsigned i = 0; i < LIMIT_COPY_CHUNKS; i++)
		buffers->free[i] = (uint16_t)(LIMIT_COPY_CHUNKS - 1 - i);
	buffers->nr_free = LIMIT_COPY_CHUNKS;
}

int buffers_init(struct buffers *buffers)
{
	void *memory = mmap(NULL, ALL_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	buffers->memory = memory;
	buffers->nr_touched = 0;
	free_all(buffers);
	return 0;
}

void buffers_fini(struct buffers *buffers)
{
	if (buffers->memory)
		(void)munmap(buffers->memory, ALL_BYTES);
	buffers->memory = NULL;
}

bool buffers_get(struct buffers *buffers, unsigned n, uint16_t *ret_chunks)
{
	if (n > buffers->nr_free)
		return false;
	for (unsigned i = 0; i < n; i++) {
		ret_chunks[i] = buffers->free[--buffers->nr_free];
		if (ret_chunks[i] >= buffers->nr_touched)
			buffers->nr_touched = ret_chunks[i] + 1u;
	}
	return true;
}

void buffers_put(struct buffers *buffers, const uint16_t *chunks, unsigned n)
{
	assert(buffers->nr_free + n <= LIMIT_COPY_CHUNKS);
	/* Last first: who takes as many again gets them in the same order. */
	while (n > 0)
		buffers->free[buffers->nr_free++] = chunks[--n];
}

bool buffers_may_trim(const struct buffers *buffers)
{
	return buffers->nr_touched > LIMIT_IDLE_KEEP;
}

void buffers_trim(struct buffers *buffers)
{
	size_t keep = (size_t)LIMIT_IDLE_KEEP * BUFFERS_CHUNK;

	assert(buffers->nr_free == LIMIT_COPY_CHUNKS);
	(void)madvise(buffers->memory + keep, ALL_BYTES - keep, MADV_DONTNEED);
	buffers->nr_touched = 0;
	/* So that those that stay are used again. */
	free_all(buffers);
}

/*
 * An engine without a storage: every I/O has ended when it is put. Reads find zeros, and what is written is gone. What a bench of
 * the ring alone is measured with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/data/engine.h"

/* The ends, in a ring of .capacity. */
struct engine_null {
	struct engine base;
	int event_fd;
	unsigned capacity;
	unsigned first;
	unsigned n;
	uint32_t tag[];
};

static struct engine_null *self(struct engine *e)
{
	return (struct engine_null *)e;
}

static void null_put(struct engine *e, const struct engine_io *io)
{
	struct engine_null *null = self(e);

	for (unsigned i = 0; io->verb == ENGINE_READ && i < io->nr_iov; i++)
		memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	null->tag[(null->first + null->n++) % null->capacity] = io->tag;
}

/* The pass that puts looks for what has ended, so nobody has to be woken. */
static void null_commit(struct engine *e)
{
	(void)e;
}

static unsigned null_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	struct engine_null *null = self(e);
	unsigned n = 0;

	for (; n < max && null->n > 0; null->n--) {
		done[n++] = (struct engine_done){.tag = null->tag[null->first]};
		null->first = (null->first + 1) % null->capacity;
	}
	return n;
}

static bool null_has_done(const struct engine *e)
{
	return ((const struct engine_null *)e)->n > 0;
}

static int null_fd(const struct engine *e)
{
	return ((const struct engine_null *)e)->event_fd;
}

static unsigned null_in_flight(const struct engine *e)
{
	return ((const struct engine_null *)e)->n;
}

static void null_destroy(struct engine *e)
{
	(void)close(self(e)->event_fd);
	free(e);
}

static const struct engine_ops null_ops = {
	.put = null_put,
	.commit = null_commit,
	.has_done = null_has_done,
	.reap = null_reap,
	.fd = null_fd,
	.in_flight = null_in_flight,
	.destroy = null_destroy,
};

int engine_null_create(unsigned capacity, struct engine **ret_engine)
{
	struct engine_null *null = calloc(1, sizeof(*null) + capacity * sizeof(null->tag[0]));

	if (null == NULL)
		return -ENOMEM;
	null->base.ops = &null_ops;
	null->capacity = capacity;
	null->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (null->event_fd < 0) {
		int r = -errno;

		free(null);
		return r;
	}
	*ret_engine = &null->base;
	return 0;
}

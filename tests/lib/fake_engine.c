#include "tests/lib/fake_engine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/data/queue_impl.h"

/* The test and the queue's thread meet here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void end_at(struct fake_engine *fake, unsigned i, int error)
{
	fake->done[fake->nr_done++] =
		(struct engine_done){.tag = fake->flying[i].tag, .error = error};
	fake->nr_flying--;
	memmove(&fake->flying[i], &fake->flying[i + 1],
		(fake->nr_flying - i) * sizeof(fake->flying[0]));
}

static void fake_put(struct engine *e, const struct engine_io *io)
{
	struct fake_engine *fake = (struct fake_engine *)e;

	(void)pthread_mutex_lock(&lock);
	assert_in_range(fake->nr_flying, 0, LIMIT_SLOTS);
	fake->flying[fake->nr_flying++] = *io;
	fake->nr_puts++;
	fake->nr_writes += io->verb == ENGINE_WRITE;
	fake->nr_reads += io->verb == ENGINE_READ;
	fake->nr_syncs += io->verb == ENGINE_SYNC;
	fake->nr_discards += io->verb == ENGINE_DISCARD;
	while (fake->at_once && fake->nr_flying > 0)
		end_at(fake, 0, 0);
	(void)pthread_mutex_unlock(&lock);
}

static void fake_commit(struct engine *e)
{
	((struct fake_engine *)e)->nr_commits++;
}

static unsigned fake_reap(struct engine *e, struct engine_done *done, unsigned max)
{
	struct fake_engine *fake = (struct fake_engine *)e;
	unsigned n;

	(void)pthread_mutex_lock(&lock);
	n = fake->nr_done < max ? fake->nr_done : max;
	memcpy(done, fake->done, n * sizeof(*done));
	fake->nr_done -= n;
	memmove(fake->done, &fake->done[n], fake->nr_done * sizeof(*done));
	(void)pthread_mutex_unlock(&lock);
	return n;
}

static bool fake_has_done(const struct engine *engine)
{
	return ((const struct fake_engine *)engine)->nr_done > 0;
}

static int fake_fd(const struct engine *e)
{
	const struct fake_engine *fake = (const struct fake_engine *)e;

	return fake->real->ops->fd(fake->real);
}

static unsigned fake_in_flight(const struct engine *e)
{
	const struct fake_engine *fake = (const struct fake_engine *)e;
	unsigned n;

	(void)pthread_mutex_lock(&lock);
	n = fake->nr_flying + fake->nr_done;
	(void)pthread_mutex_unlock(&lock);
	return n;
}

static void fake_destroy(struct engine *e)
{
	struct fake_engine *fake = (struct fake_engine *)e;

	fake->real->ops->destroy(fake->real);
}

static const struct engine_ops fake_ops = {
	fake_put, fake_commit, fake_reap, fake_has_done, fake_fd, fake_in_flight, fake_destroy};

void fake_engine_install(struct fake_engine *fake, struct queue *queue)
{
	*fake = (struct fake_engine){.base.ops = &fake_ops, .real = queue->engine};
	queue->engine = &fake->base;
}

void fake_engine_end(struct fake_engine *fake, enum engine_verb verb, int error)
{
	unsigned i = 0;
	bool found;

	(void)pthread_mutex_lock(&lock);
	while (i < fake->nr_flying && fake->flying[i].verb != verb)
		i++;
	found = i < fake->nr_flying;
	if (found)
		end_at(fake, i, error);
	(void)pthread_mutex_unlock(&lock);
	if (!found)
		fail_msg("nothing of verb %d is in flight", verb);
}

void fake_engine_end_at(struct fake_engine *fake, unsigned i, int error)
{
	(void)pthread_mutex_lock(&lock);
	assert_true(i < fake->nr_flying);
	end_at(fake, i, error);
	(void)pthread_mutex_unlock(&lock);
}

void fake_engine_end_all(struct fake_engine *fake)
{
	(void)pthread_mutex_lock(&lock);
	while (fake->nr_flying > 0)
		end_at(fake, 0, 0);
	(void)pthread_mutex_unlock(&lock);
}

size_t fake_engine_length(const struct engine_io *io)
{
	size_t sum = 0;

	for (unsigned i = 0; i < io->nr_iov; i++)
		sum += io->iov[i].iov_len;
	return sum;
}

uint8_t *fake_engine_byte(const struct engine_io *io, size_t at)
{
	const struct iovec *iov = io->iov;

	assert_true(at < fake_engine_length(io));
	while (at >= iov->iov_len) {
		at -= iov->iov_len;
		iov++;
	}
	return (uint8_t *)iov->iov_base + at;
}

#include "backend/data/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/data/discard.h"
#include "backend/data/storage.h"

/* One ring of jobs: [head, next) have ended, the one at next is at work, those behind it have not begun. */
struct job {
	struct engine_io io;
	int error;
	bool refused;
};

struct helper {
	const char *name;
	unsigned capacity;
	int event_fd;
	struct job *job;
	uint64_t head; /* the queue thread's: reaped so far */

	/* Guards what is below; never held over I/O, and not by a queue that has put nothing. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	uint64_t next; /* done so far */
	uint64_t
		tail; /* put so far; only the queue thread writes it, so it may read it at any time */
	bool stop;

	pthread_t thread;
	bool has_thread; /* the queue thread's */
};

static int perform(const struct engine_io *io)
{
	if (io->verb == ENGINE_SYNC)
		return storage_sync(io->fd);
	return discard_range(
		io->fd, io->discard, io->offset_bytes, io->size_bytes, io->secure, io->stop);
}

static void tell(const struct helper *helper)
{
	uint64_t one = 1;

	/* A full counter has woken the queue already. */
	(void)!write(helper->event_fd, &one, sizeof(one));
}

/* NULL when there is to be no more. */
static struct job *wait_for_job(struct helper *helper)
{
	struct job *job;

	(void)pthread_mutex_lock(&helper->lock);
	while (!helper->stop && helper->next == helper->tail)
		(void)pthread_cond_wait(&helper->work, &helper->lock);
	job = helper->stop ? NULL : &helper->job[helper->next % helper->capacity];
	(void)pthread_mutex_unlock(&helper->lock);
	return job;
}

static void end_job(struct helper *helper)
{
	(void)pthread_mutex_lock(&helper->lock);
	helper->next++;
	(void)pthread_mutex_unlock(&helper->lock);
	tell(helper);
}

static void *helper_thread(void *arg)
{
	struct helper *helper = arg;
	struct job *job;

	while ((job = wait_for_job(helper))) {
		job->error = perform(&job->io);
		end_job(helper);
	}
	return NULL;
}

int helper_create(const char *name, unsigned capacity, int event_fd, struct helper **ret_helper)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (helper == NULL)
		return -ENOMEM;
	helper->name = name;
	helper->capacity = capacity;
	helper->event_fd = event_fd;
	helper->job = calloc(capacity, sizeof(*helper->job));
	if (helper->job == NULL) {
		free(helper);
		return -ENOMEM;
	}
	/* Neither can fail on Linux with the default attributes. */
	(void)pthread_mutex_init(&helper->lock, NULL);
	(void)pthread_cond_init(&helper->work, NULL);
	*ret_helper = helper;
	return 0;
}

void helper_destroy(struct helper *helper)
{
	if (helper == NULL)
		return;
	if (helper->has_thread) {
		(void)pthread_mutex_lock(&helper->lock);
		helper->stop = true;
		(void)pthread_cond_signal(&helper->work);
		(void)pthread_mutex_unlock(&helper->lock);
		(void)pthread_join(helper->thread, NULL);
	}
	(void)pthread_cond_destroy(&helper->work);
	(void)pthread_mutex_destroy(&helper->lock);
	free(helper->job);
	free(helper);
}

static bool start_thread(struct helper *helper)
{
	if (helper->has_thread)
		return true;
	if (pthread_create(&helper->thread, NULL, helper_thread, helper))
		return false;
	(void)pthread_setname_np(helper->thread, helper->name);
	helper->has_thread = true;
	return true;
}

/*
 * There is no thread to be had. A discard may be refused; that nobody is there to start an fdatasync says nothing about the data,
 * and a failed one latches the disk (D5): it is done here and now.
 */
static void do_without(struct helper *helper, struct job *job)
{
	job->refused = job->io.verb != ENGINE_SYNC;
	job->error = job->refused ? -EAGAIN : perform(&job->io);
	helper->next++;
	helper->tail++;
	tell(helper);
}

void helper_put(struct helper *helper, const struct engine_io *io)
{
	struct job *job = &helper->job[helper->tail % helper->capacity];

	*job = (struct job){.io = *io};
	if (!start_thread(helper)) {
		do_without(helper, job);
		return;
	}
	(void)pthread_mutex_lock(&helper->lock);
	helper->tail++;
	(void)pthread_cond_signal(&helper->work);
	(void)pthread_mutex_unlock(&helper->lock);
}

unsigned helper_reap(struct helper *helper, struct engine_done *done, unsigned max)
{
	uint64_t next;
	unsigned n = 0;

	/* The price for those who have nothing here. */
	if (helper->head == helper->tail)
		return 0;
	(void)pthread_mutex_lock(&helper->lock);
	next = helper->next;
	(void)pthread_mutex_unlock(&helper->lock);
	for (; n < max && helper->head != next; helper->head++) {
		const struct job *job = &helper->job[helper->head % helper->capacity];

		done[n++] = (struct engine_done){
			.tag = job->io.tag, .error = job->error, .refused = job->refused};
	}
	return n;
}

unsigned helper_in_flight(const struct helper *helper)
{
	return (unsigned)(helper->tail - helper->head);
}

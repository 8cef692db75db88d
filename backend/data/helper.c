#include "backend/data/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/data/blocking.h"

struct job {
	struct job *next; /* in .work, .done or .free */
	struct engine_io io;
	int error;
	bool refused;
};

struct list {
	struct job *first;
	struct job **end; /* where the next one is to be hung up */
};

struct helper {
	const char *name;
	int event_fd;
	struct job *job;

	/* The queue thread's. */
	struct job *free;
	unsigned nr_touched; /* of .job: those behind have never been used */
	unsigned in_flight;
	unsigned nr_threads, max_threads;
	pthread_t *thread;

	/* Guards what is below; never held over I/O, and not taken by a queue that has put nothing. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list work; /* put, not begun */
	struct list done; /* ended, not reaped */
	unsigned nr_work, nr_idle;
	bool stop;

	atomic_uint nr_done; /* in .done: changed under the lock, read without */
};

/* ---- lists ---- */

static void list_init(struct list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void append(struct list *list, struct job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct job *pop(struct list *list)
{
	struct job *job = list->first;

	if (job == NULL)
		return NULL;
	list->first = job->next;
	if (list->first == NULL)
		list->end = &list->first;
	return job;
}

/* ---- a thread ---- */

static void tell(const struct helper *helper)
{
	uint64_t one = 1;

	/* A full counter has woken the queue already. */
	(void)!write(helper->event_fd, &one, sizeof(one));
}

/* NULL when there is to be no more. */
static struct job *wait_for_job(struct helper *helper)
{
	struct job *job = NULL;

	(void)pthread_mutex_lock(&helper->lock);
	helper->nr_idle++;
	while (!helper->stop && helper->nr_work == 0)
		(void)pthread_cond_wait(&helper->wake, &helper->lock);
	helper->nr_idle--;
	if (!helper->stop) {
		job = pop(&helper->work);
		helper->nr_work--;
	}
	(void)pthread_mutex_unlock(&helper->lock);
	return job;
}

static void end_job(struct helper *helper, struct job *job)
{
	(void)pthread_mutex_lock(&helper->lock);
	append(&helper->done, job);
	atomic_fetch_add_explicit(&helper->nr_done, 1, memory_order_relaxed);
	(void)pthread_mutex_unlock(&helper->lock);
	tell(helper);
}

static void *helper_thread(void *arg)
{
	struct helper *helper = arg;
	struct job *job;

	while ((job = wait_for_job(helper))) {
		job->error = blocking_io(&job->io);
		end_job(helper, job);
	}
	return NULL;
}

/* ---- the queue's side ---- */

int helper_create(const char *name, unsigned capacity, unsigned max_threads, int event_fd,
	struct helper **ret_helper)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (helper == NULL)
		return -ENOMEM;
	helper->name = name;
	helper->max_threads = max_threads;
	helper->event_fd = event_fd;
	helper->job = calloc(capacity, sizeof(*helper->job));
	helper->thread = calloc(max_threads, sizeof(*helper->thread));
	if (helper->job == NULL || helper->thread == NULL) {
		free(helper->job);
		free(helper->thread);
		free(helper);
		return -ENOMEM;
	}
	list_init(&helper->work);
	list_init(&helper->done);
	/* Neither can fail on Linux with the default attributes. */
	(void)pthread_mutex_init(&helper->lock, NULL);
	(void)pthread_cond_init(&helper->wake, NULL);
	*ret_helper = helper;
	return 0;
}

void helper_destroy(struct helper *helper)
{
	if (helper == NULL)
		return;
	(void)pthread_mutex_lock(&helper->lock);
	helper->stop = true;
	(void)pthread_cond_broadcast(&helper->wake);
	(void)pthread_mutex_unlock(&helper->lock);
	for (unsigned i = 0; i < helper->nr_threads; i++)
		(void)pthread_join(helper->thread[i], NULL);
	(void)pthread_cond_destroy(&helper->wake);
	(void)pthread_mutex_destroy(&helper->lock);
	free(helper->thread);
	free(helper->job);
	free(helper);
}

static void start_thread(struct helper *helper)
{
	pthread_t *thread = &helper->thread[helper->nr_threads];

	if (pthread_create(thread, NULL, helper_thread, helper))
		return;
	(void)pthread_setname_np(*thread, helper->name);
	helper->nr_threads++;
}

/*
 * There is no thread to be had. A discard may be refused; of anything else that nobody is there to do it says nothing about the
 * data, and a failed fdatasync latches the disk (D5): it is done here and now.
 */
static void do_without(struct helper *helper, struct job *job)
{
	job->refused = job->io.verb == ENGINE_DISCARD;
	job->error = job->refused ? -EAGAIN : blocking_io(&job->io);
	end_job(helper, job);
}

static struct job *take_job(struct helper *helper)
{
	struct job *job = helper->free;

	helper->in_flight++;
	if (job == NULL)
		return &helper->job[helper->nr_touched++];
	helper->free = job->next;
	return job;
}

void helper_put(struct helper *helper, const struct engine_io *io)
{
	struct job *job = take_job(helper);
	bool is_short;

	*job = (struct job){.io = *io};
	if (helper->nr_threads == 0)
		start_thread(helper);
	if (helper->nr_threads == 0) {
		do_without(helper, job);
		return;
	}
	(void)pthread_mutex_lock(&helper->lock);
	append(&helper->work, job);
	helper->nr_work++;
	is_short = helper->nr_work > helper->nr_idle;
	(void)pthread_cond_signal(&helper->wake);
	(void)pthread_mutex_unlock(&helper->lock);
	/* Those that just start do not count as idle yet: it may be one more than are needed. */
	if (is_short && helper->nr_threads < helper->max_threads)
		start_thread(helper);
}

bool helper_has_done(const struct helper *helper)
{
	return helper->in_flight > 0 &&
	       atomic_load_explicit(&helper->nr_done, memory_order_relaxed) > 0;
}

unsigned helper_reap(struct helper *helper, struct engine_done *done, unsigned max)
{
	struct job *job;
	unsigned n = 0;

	/* The price for those who have nothing here. */
	if (!helper_has_done(helper))
		return 0;
	(void)pthread_mutex_lock(&helper->lock);
	while (n < max && (job = pop(&helper->done))) {
		done[n++] = (struct engine_done){
			.tag = job->io.tag, .error = job->error, .refused = job->refused};
		job->next = helper->free;
		helper->free = job;
	}
	atomic_fetch_sub_explicit(&helper->nr_done, n, memory_order_relaxed);
	(void)pthread_mutex_unlock(&helper->lock);
	helper->in_flight -= n;
	return n;
}

unsigned helper_in_flight(const struct helper *helper)
{
	return helper->in_flight;
}

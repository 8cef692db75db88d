/*
 * An engine on a real file, and a kernel below it that does as a test says: for the tests of the engines.
 *
 * io_submit(), io_uring_submit() and others are ours and pass on to the libraries': a kernel whose queues are full, that has no
 * threads, or does not know the newest ways, cannot be had otherwise.
 */
#ifndef TESTS_LIB_ENGINE_RIG_H
#define TESTS_LIB_ENGINE_RIG_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "backend/data/engine.h"
#include "backend/data/storage.h"

#define CAPACITY    8u
#define DEADLINE_MS 60000 /* a shared disk's fdatasync */
#define FILE_BYTES  65536u

/* What the next calls of io_submit and io_uring_submit do. */
struct rig_kernel {
	unsigned calls;
	long given; /* with the last io_submit */
	unsigned nr_refusals;
	int refusal;
	long most; /* accepts no more at once; 0: any */
	bool no_threads;
	bool slow; /* fallocate() waits until it may go on */
	sem_t may_go_on;
	atomic_uint nr_discarded;
	atomic_uint nr_interrupted; /* the next calls of fdatasync */
	unsigned unknown;           /* flags of io_uring_setup that it has not heard of */
	bool late;                  /* it sets IORING_SQ_TASKRUN when its work is done already */
	unsigned nr_futile; /* so often it does work that makes no result, and leaves more */
	int result;         /* of the next I/Os of io_uring; 0: what it is */
};

extern struct rig_kernel kernel;

typedef int create_engine(unsigned capacity, struct engine **ret_engine);

/* The state that a test of one of them begins with: a pointer to one of these. */
extern create_engine *const aio;
extern create_engine *const uring;

struct fixture {
	create_engine *create;
	struct engine *engine;
	int fd;
	struct storage
		storage; /* on it, by direct I/O as far as the engine knows; the same through the page cache; on nothing */
	struct storage buffered;
	struct storage closed;
	uint8_t *memory;
	struct iovec iov[CAPACITY];
};

/* 0, or why there is no io_uring here. */
int uring_error(void);

int set_up(void **state);
int tear_down(void **state);

/* The @i-th I/O, of 4096 bytes at the @i-th page of memory; its tag is 100 + @i. */
void put(struct fixture *f, enum engine_verb verb, const struct storage *storage, uint64_t offset,
	unsigned i);

/* The descriptor says it; then reap, at most @most at once. Errors by i; each once. */
void reap_all(struct fixture *f, unsigned n, unsigned most, int *ret_error);

#define TEST_OF(engine, name)                                                                      \
	{                                                                                          \
#engine ": " #name, name, set_up, tear_down, (void *)&(engine)                     \
	}

#endif

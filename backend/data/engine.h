/*
 * Asynchronous I/O on one descriptor: the run-time seam below a queue.
 *
 * Thread: the one queue thread that owns the engine. A queue puts I/O into the engine, commits all
 * of a pass with one call, and reaps what has ended. What is for a thread of the engine's own (a SYNC, a DISCARD, anything through
 * the page cache) may begin when it is put, before the commit. Nothing waits for the storage, unless not one thread could be started. Each I/O that
 * was put is reaped exactly once, also when the kernel refused it. Capacity is fixed at creation; nothing but the threads is
 * allocated later. Durability is the descriptor's and the SYNC's: an engine adds nothing.
 */
#ifndef BACKEND_DATA_ENGINE_H
#define BACKEND_DATA_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum engine_verb {
	ENGINE_READ,
	ENGINE_WRITE,
	ENGINE_SYNC, /* fdatasync */
	ENGINE_DISCARD,
};

struct storage;

struct engine_io {
	enum engine_verb verb;
	const struct storage *storage; /* must stay as it is until the I/O is reaped */
	uint64_t offset_bytes;
	const struct iovec *iov; /* must stay until the I/O is reaped */
	unsigned nr_iov;
	uint64_t size_bytes; /* sum of the iovecs; or what is to be discarded */
	const atomic_bool
		*stop; /* DISCARD: give up when it is set, with -ECANCELED; must stay, too */
	bool secure;   /* DISCARD */
	uint32_t tag;  /* the caller's, given back */
};

struct engine_done {
	uint32_t tag;
	int error;    /* 0 or -errno; a read beyond the end is -EIO */
	bool refused; /* the kernel did not take it: it has not come near the storage */
};

struct engine;

struct engine_ops {
	/* Take one I/O. The caller keeps within the capacity, with one SYNC at a time among it. */
	void (*put)(struct engine *e, const struct engine_io *io);
	/* Hand everything that was put to the kernel, as far as it takes it now. */
	void (*commit)(struct engine *e);
	/* Up to @max finished I/Os. */
	unsigned (*reap)(struct engine *e, struct engine_done *done, unsigned max);
	/* There is something to reap, as far as one can see without a system call. What cannot be seen is told by .fd. */
	bool (*has_done)(const struct engine *e);
	/* Readable (edge) when there is something to reap. */
	int (*fd)(const struct engine *e);
	/* Put and not reaped. */
	unsigned (*in_flight)(const struct engine *e);
	/* Nothing may be in flight. */
	void (*destroy)(struct engine *e);
};

struct engine {
	const struct engine_ops *ops;
	/* .has_done sees whatever .fd tells of. False is always right: then each word of .fd costs a reap. */
	bool shows_all;
};

/*
 * libaio for what is done by direct I/O, threads for the rest. @capacity I/Os at a time, one of them a SYNC.
 * -EAGAIN when the host's aio contexts are used up: the remedy is the sysctl fs.aio-max-nr.
 */
int engine_aio_create(unsigned capacity, struct engine **ret_engine)
	__attribute__((nonnull, warn_unused_result));

/*
 * The same with io_uring for direct I/O. Made and destroyed by any thread; of the others the one that commits first is the
 * engine's. -ENOSYS when this kernel has no io_uring, -EPERM when it is not for this process (kernel.io_uring_disabled, seccomp),
 * -EINVAL when it is too old a one.
 */
int engine_uring_create(unsigned capacity, struct engine **ret_engine)
	__attribute__((nonnull, warn_unused_result));

/* Without a storage: reads find zeros, writes are gone. */
int engine_null_create(unsigned capacity, struct engine **ret_engine)
	__attribute__((nonnull, warn_unused_result));

#endif

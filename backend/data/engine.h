/*
 * Asynchronous I/O on one descriptor: the run-time seam below a queue.
 *
 * Thread: the one queue thread that owns the engine. A queue puts I/O into the engine, commits all
 * of a pass with one call, and reaps what has ended. A SYNC or DISCARD may begin when it is put, before the commit: it is for a
 * thread of the engine's own. Nothing waits for the storage, but for an fdatasync where no thread could be started. Each I/O that
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

struct discard;

struct engine_io {
	enum engine_verb verb;
	int fd;
	uint64_t offset_bytes;
	const struct iovec *iov; /* must stay until the I/O is reaped */
	unsigned nr_iov;
	uint64_t
		size_bytes; /* sum of the iovecs, anything shorter is an error; or what is to be discarded */
	const struct discard
		*discard; /* DISCARD: what the storage can do; must stay until it is reaped */
	const atomic_bool
		*stop; /* DISCARD: give up when it is set, with -ECANCELED; must stay, too */
	bool secure;   /* DISCARD */
	uint32_t tag;  /* the caller's, given back */
};

struct engine_done {
	uint32_t tag;
	int error;    /* 0 or -errno; a short read or write is -EIO */
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
	/* Readable (edge) when there is something to reap. */
	int (*fd)(const struct engine *e);
	/* Put and not reaped. */
	unsigned (*in_flight)(const struct engine *e);
	/* Nothing may be in flight. */
	void (*destroy)(struct engine *e);
};

struct engine {
	const struct engine_ops *ops;
};

/*
 * libaio with O_DIRECT descriptors. @capacity I/Os at a time.
 * -EAGAIN when the host's aio contexts are used up: the remedy is the sysctl fs.aio-max-nr.
 */
int engine_aio_create(unsigned capacity, struct engine **ret_engine)
	__attribute__((nonnull, warn_unused_result));

#endif

/*
 * The reads and writes of one ring of bare-backend: libaio and O_DIRECT straight between the guest's pages and a file, one iocb for a request,
 * each page mapped when it is first named and kept. Nothing is checked: the guest is the suite's own.
 *
 * One thread. Errors: negative errno.
 */
#ifndef TESTS_BENCH_BARE_BARE_IO_H
#define TESTS_BENCH_BARE_BARE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include <xengnttab.h>

#include "ring/wire.h"

struct bare_io;

struct bare_io_done {
	uint64_t id;
	uint8_t op;
	int16_t status;
};

/* @path: of the file. @grants: borrowed. */
int bare_io_open(
	struct bare_io **ret_io, const char *path, xengnttab_handle *grants, uint32_t domid);

/* NULL is allowed. Waits for what is in flight. */
void bare_io_close(struct bare_io *io);

/* Queue one request of a 64-bit guest. False when it is neither a read nor a write, or a page of it is not to be had. */
bool bare_io_put(struct bare_io *io, const struct wire_slot *slot);

/* Hand over what was queued, in one system call. */
int bare_io_submit(struct bare_io *io);

bool bare_io_has_done(const struct bare_io *io);

/* One that has ended; false without any. */
bool bare_io_take(struct bare_io *io, struct bare_io_done *ret_done);

/* An eventfd, readable when one has ended. */
int bare_io_fd(const struct bare_io *io);

#endif

/*
 * A guest, its disk on a storage that obeys the test, and the shipped worker between them.
 *
 * One thread. The test is the guest's frontend; the disk lies on tests/lib/recordfs.c, which holds
 * and fails operations when told; the worker is started by the hotplug script, as anywhere. Runs
 * below tests/lib/in-host. Functions fail the test themselves, after a deadline if need be.
 *
 *   int main(int argc, char **argv) { rig_enter(argv); r = cmocka_run...; return rig_leave(r); }
 */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>

#include "frontend-shim/blkfront/blkfront.h"

#define RIG_BACKEND    "/local/domain/0/backend/vbd/5/51712"
#define RIG_DISK_BYTES 1048576u
#define RIG_BLOCK      8u /* sectors of one write */
#define RIG_NO_SECTOR  UINT64_MAX

struct rig {
	char dir[128];
	pid_t storage;
	bool has_storage;
	const char *options; /* of the disk, behind the image's name */
	int to_storage, from_storage;
	char heard[4096]; /* of the storage, not yet a line */
	size_t nr_heard;
	struct blkfront *front;
	unsigned nr_asked;
};

/* One request. Lives until it was answered. */
struct ask {
	struct blkfront_request req;
	struct rig *rig;
	unsigned serial; /* 0 for a read */
	bool answered;
	uint64_t data[RIG_BLOCK * 512 / sizeof(uint64_t)];
};

/* ---- the program ---- */

/* Become a guest of the host, or skip the whole program where there is no FUSE. */
void rig_enter(char **argv);
int rig_leave(int nr_failed);

/* ---- each test: setup and teardown of cmocka; *state is a struct rig, connected ---- */

int rig_setup(void **state);
/* The same for a disk with ",features-off=..." behind its image's name. */
int rig_setup_with(void **state, const char *options);
int rig_teardown(void **state); /* detaches, if the test has not */

/* ---- the toolstack: run in dom0; the exit status ---- */

#define rig_dom0(...) rig_dom0_wait(rig_dom0_start((const char *[]){__VA_ARGS__, NULL}))
pid_t rig_dom0_start(const char **argv);
int rig_dom0_wait(pid_t child); /* killed after two minutes */
int rig_attach(struct rig *rig);
int rig_detach(struct rig *rig);
pid_t rig_worker(const struct rig *rig);
/* Waits until the worker has ended. */
void rig_worker_gone(const struct rig *rig, pid_t worker);

/* ---- the storage: a command of recordfs, and its answer as "ok" or a number ---- */

bool rig_tell(struct rig *rig, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
unsigned rig_count(struct rig *rig, const char *what);
/* Waits until @count operations of that kind have arrived; exactly so many when @settled. */
void rig_arrived(struct rig *rig, const char *kind, unsigned count);
char *rig_record(struct rig *rig);
/* What judge() says of the record: no promise was broken. */
void rig_judge(struct rig *rig);

/* ---- the guest ---- */

void rig_connect(struct rig *rig);
void rig_close(struct rig *rig);
/* Wait until the backend wants to close. */
void rig_await_closing(struct rig *rig);

/* Submit without waiting; @nr_sectors 0 for an empty flush or barrier. */
void rig_ask(struct rig *rig, struct ask *ask, uint8_t op, uint64_t sector, unsigned nr_sectors);
void rig_write(struct rig *rig, struct ask *ask, unsigned block);
void rig_flush(struct rig *rig, struct ask *ask);
void rig_barrier(struct rig *rig, struct ask *ask);
void rig_barrier_write(struct rig *rig, struct ask *ask, unsigned block);

/* Wait for the answer; its status. */
int rig_status(struct ask *ask);
/* Whether it is answered by now. */
bool rig_answered(struct ask *ask);
/* For loops around the next one: a time to come, and a failure when it is over. */
struct rig_deadline {
	int64_t s;
};
struct rig_deadline rig_deadline(void);
void rig_in_time(struct rig_deadline deadline);
/* Wait until something may have changed, @timeout_ms at most. */
void rig_wait(struct rig *rig, int timeout_ms);

/*
 * A few reads there and back: whatever the worker was going to do about what was asked before, it
 * has done. Fails if reads do not get through.
 */
void rig_settle(struct rig *rig);

#endif

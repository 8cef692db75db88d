#include "backend/supervisor/ending.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/control/worker.h"

/* long: one case per exit code, each with its reason */
static enum disk_event of_code(int code)
{
	switch ((enum worker_exit)code) {
	case WORKER_OK:
		/* The disk was taken away, or somebody stopped the worker: that was wanted. */
	case WORKER_LOST:
		/* That too, whatever the storage made of it: the worker has told. */
		return DISK_EV_ENDED;
	case WORKER_USAGE:
		/* This program does not understand how we start it: the next one neither. */
	case WORKER_STORAGE:
		/* It will not become another storage by asking again. */
	case WORKER_RIVALLED:
		/* Somebody has to unload a module, and to attach the disk again. */
		return DISK_EV_HOPELESS;
	case WORKER_NO_DISK:
		/* Taken away meanwhile, which we see too; or an ill-formed directory; or one that
		 * was taken away while the worker looked and is a new one by now. */
	case WORKER_BUSY:
		/* Held by somebody who could not be adopted: just starting or just ending. */
	case WORKER_NO_STORE:
	case WORKER_FAILED:
	default:
		return DISK_EV_FAILED;
	}
}

enum disk_event ending_event(enum child_end end, int value, bool is_orderly)
{
	switch (end) {
	case CHILD_EXITED:
		return of_code(value);
	case CHILD_KILLED:
		/* By what ends it in an orderly way, before it could heed that. */
		return value == SIGTERM || value == SIGINT ? DISK_EV_ENDED : DISK_EV_FAILED;
	case CHILD_UNKNOWN:
		break;
	}
	return is_orderly ? DISK_EV_ENDED : DISK_EV_FAILED;
}

static const char *code_name(int code)
{
	static const char *const names[] = {
		[WORKER_OK] = "the disk was taken away, or it was stopped",
		[WORKER_FAILED] = "failure",
		[WORKER_USAGE] = "usage",
		[WORKER_NO_DISK] = "no such disk",
		[WORKER_NO_STORE] = "no xenstored",
		[WORKER_STORAGE] = "storage cannot be served",
		[WORKER_BUSY] = "the disk is served already",
		[WORKER_LOST] = "data the guest wrote may be lost",
		[WORKER_RIVALLED] =
			"the kernel's xen-blkback has the disk: unload it (modprobe -r xen-blkback), then detach and attach the disk",
	};

	if (code < 0 || (size_t)code >= sizeof(names) / sizeof(names[0]) || !names[code])
		return "unknown";
	return names[code];
}

void ending_describe(enum child_end end, int value, char *ret_text, size_t size)
{
	switch (end) {
	case CHILD_EXITED:
		(void)snprintf(ret_text, size, "exited with code %d (%s)", value, code_name(value));
		break;
	case CHILD_KILLED:
		(void)snprintf(
			ret_text, size, "was killed by signal %d (%s)", value, strsignal(value));
		break;
	case CHILD_UNKNOWN:
		(void)snprintf(ret_text, size, "has ended");
		break;
	}
}

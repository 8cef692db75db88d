/*
 * What the end of a worker means: its exit codes, as blkback-vbd(8) lists them, and signals.
 *
 * Pure; any thread.
 */
#ifndef BACKEND_SUPERVISOR_ENDING_H
#define BACKEND_SUPERVISOR_ENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/supervisor/child.h"
#include "backend/supervisor/disk.h"

/*
 * DISK_EV_ENDED, DISK_EV_FAILED or DISK_EV_HOPELESS. Of an adopted worker only what it leaves
 * behind is known: @is_orderly says whether that is what every orderly end leaves.
 */
enum disk_event ending_event(enum child_end end, int value, bool is_orderly);

/* "exited with code 1 (failure)", for the log. */
void ending_describe(enum child_end end, int value, char *ret_text, size_t size)
	__attribute__((nonnull));

#endif

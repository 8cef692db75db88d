/*
 * Shared by the files of libxenshim.so. The library stands in for libxenevtchn, libxengnttab, parts
 * of libxenctrl and /proc/xen; its contracts are the real headers. It keeps no state outside the
 * handles it returns, so that distinct handles are independent, as with the real libraries.
 */
#ifndef FRONTEND_SHIM_PRELOAD_SHIM_H
#define FRONTEND_SHIM_PRELOAD_SHIM_H

#include <stdarg.h>
#include <stddef.h>
#include <xentoollog.h>

#include "frontend-shim/machine/client.h"

/* Connects a handle of `kind` as the domain this process plays. 0 or -errno. */
int shim_connect(struct hv_client *c, enum hv_kind kind, bool inherit)
	__attribute__((nonnull, warn_unused_result));

/* At the border to the library's callers: sets errno and returns -1 for a negative r, else r. */
int shim_result(int r);

/* Logs to `logger`, or to standard error if there is none. `errnoval` -1: no errno text. */
void shim_log_error(struct xentoollog_logger *logger, const char *context, int errnoval,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

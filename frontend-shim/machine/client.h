/*
 * One connection to xensimd: what stands behind each handle of the simulated libraries, and behind
 * the toolstack's calls. Thread-safe: a mutex makes request and reply one step; the machine mapping
 * may be used without it. Never logs.
 *
 * After fork() the child shares the connection with its parent and must not speak on it:
 * hv_client_close() there only drops the child's copies, as closing an inherited device would.
 */
#ifndef FRONTEND_SHIM_MACHINE_CLIENT_H
#define FRONTEND_SHIM_MACHINE_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "frontend-shim/machine/layout.h"
#include "frontend-shim/machine/wire.h"

struct hv_client {
	int fd;                  /* the connection; -1 when closed */
	int event_fd;            /* HV_KIND_EVTCHN only, else -1 */
	pid_t pid;               /* who opened it */
	uint32_t domid, slot;    /* who it is in the simulation */
	uint64_t id;             /* of the handle */
	struct machine *machine; /* the whole machine */
	pthread_mutex_t lock;    /* guards the connection: one request and its reply */
};

/* One request and its reply. The caller zeroes it and sets send_fd to -1 if it sends none. */
struct hv_call {
	struct hv_request req;
	const void *data; /* request payload */
	size_t data_size;
	int send_fd;
	void *out; /* room for the reply's payload; a longer one is -EMSGSIZE */
	size_t out_room;
	struct hv_reply reply;
	size_t out_size;
	int fds[HV_MAX_FDS]; /* received, or -1; the caller owns them */
};

/*
 * Connects as domain `domid` to the host in directory `dir` (NULL: $XENSIM_DIR) and maps the machine.
 * -ENOENT: no host is named, or it does not run. -ESRCH: it has no such domain.
 * The descriptors are close-on-exec unless `inherit`.
 */
int hv_client_open(struct hv_client *c, const char *dir, uint32_t domid, enum hv_kind kind,
	bool inherit) __attribute__((nonnull(1), warn_unused_result));

/* The domain this process plays: $XENSIM_DOMID, 0 if unset. -EINVAL if it is no domain id. */
int hv_client_domid(uint32_t *ret_domid) __attribute__((nonnull, warn_unused_result));

/* Sends and waits. Returns reply.result; on failure no descriptor is left in call->fds.
 * -EIO: the hypervisor hung up. */
int hv_client_call(struct hv_client *c, struct hv_call *call) __attribute__((nonnull));

/* For calls that carry numbers only. */
int hv_client_simple(struct hv_client *c, const struct hv_request *req, struct hv_reply *ret_reply)
	__attribute__((nonnull(1, 2)));

/* Takes over the event channel handle whose eventfd `fd` was inherited across exec(). */
int hv_client_adopt(struct hv_client *c, int fd) __attribute__((nonnull, warn_unused_result));

/* Releases everything. In the process that opened it this returns when xensimd has let go of all
 * the handle held; in a forked child it drops the child's copies only. May be called twice. */
void hv_client_close(struct hv_client *c) __attribute__((nonnull));

#endif

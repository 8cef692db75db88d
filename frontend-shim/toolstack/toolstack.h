/*
 * xensim's insides: the toolstack of a simulated host, as libxl is of a real one, and the tester's
 * window on the hypervisor. One thread; prints errors to standard error as one line each.
 *
 * Functions return 0 or -errno unless they say otherwise; verbs return the exit code of the program.
 */
#ifndef FRONTEND_SHIM_TOOLSTACK_TOOLSTACK_H
#define FRONTEND_SHIM_TOOLSTACK_TOOLSTACK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h>

#include "frontend-shim/machine/client.h"

enum tool_exit {
	EXIT_DONE,    /* 0 */
	EXIT_FAILED,  /* 1: it did not work; the line on standard error says why */
	EXIT_USAGE,   /* 2: wrong arguments */
	EXIT_TIMEOUT, /* 3: the other side did not answer in time */
};

/* libxl's times. */
#define TOOL_START_MS   60000 /* for our own daemons */
#define TOOL_STATE_MS   10000 /* LIBXL_INIT_TIMEOUT, LIBXL_DESTROY_TIMEOUT; see tool_state_ms() */
#define TOOL_HOTPLUG_MS 40000 /* LIBXL_HOTPLUG_TIMEOUT */

enum xenbus_state_number {
	STATE_INIT_WAIT = 2,
	STATE_CLOSING = 5,
	STATE_CLOSED = 6,
};

/* ---- tool.c ------------------------------------------------------------------------------------ */

void tool_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int tool_parse_domid(const char *s, uint32_t *ret_domid) __attribute__((warn_unused_result));
int64_t tool_now_ms(void);
/* How long to wait for a backend or a domain's end: XENSIM_STATE_SECONDS, or TOOL_STATE_MS. */
int tool_state_ms(void);
/* The directory this program lies in, and another file relative to it. */
int tool_path(char *ret_path, size_t room, const char *relative);
/* The running host's directory, or NULL after an error message. */
const char *tool_host_dir(void);
int tool_connect(struct hv_client *c, const char *dir);
struct xs_handle *tool_store(void);

#define STORE_PATH_ROOM 3073u /* XENSTORE_ABS_PATH_MAX and its end */

/* ---- store.c: transactions with libxl's permissions -------------------------------------------- */

struct tree_acl {
	struct xs_permissions perms[2];
	unsigned nr; /* 0: as the parent */
};

struct tree_tx {
	struct xs_handle *xs;
	xs_transaction_t t;
	int error; /* the first one; later writes are skipped */
};

struct tree_acl tree_acl_owner(uint32_t owner);                   /* n<owner> */
struct tree_acl tree_acl_reader(uint32_t owner, uint32_t reader); /* n<owner>,r<reader> */

/* Runs `body` in a transaction, again as long as it conflicts with others'. */
int tree_transact(struct xs_handle *xs, void (*body)(struct tree_tx *tx, void *arg), void *arg);

void tree_put(struct tree_tx *tx, struct tree_acl acl, const char *value, const char *path, ...)
	__attribute__((format(printf, 4, 5)));
void tree_mkdir(struct tree_tx *tx, struct tree_acl acl, const char *path);
void tree_remove(struct tree_tx *tx, const char *path);
/* Removes the path, then its parents as long as they are empty, as libxl__xs_path_cleanup(). */
void tree_remove_upwards(struct tree_tx *tx, const char *path);

/* A value, NULL if absent or unreadable. The caller frees. */
char *tree_read(struct xs_handle *xs, const char *path, ...) __attribute__((format(printf, 2, 3)));

/* Waits for `path` to have a value in `wanted` (bit per state), or with `gone` to be absent.
 * -ETIMEDOUT after timeout_ms. */
int tree_wait_state(
	struct xs_handle *xs, const char *path, unsigned wanted, bool gone, int timeout_ms);

/* Waits until xenstored has let go of a dead domain's ring. -ETIMEDOUT after timeout_ms. */
int tree_wait_release(struct xs_handle *xs, uint32_t domid, int timeout_ms);

/* ---- device.c: one device of a domain ---------------------------------------------------------- */

struct device {
	uint32_t domid, devid;
	char kind[16]; /* backend/<kind> */
	char backend[128], frontend[128], shadow[128];
};

int device_init(struct device *d, uint32_t domid, uint32_t devid, const char *kind);
/* Finds a domain's vbd, whatever its backend kind, by what libxl noted. -ENOENT. */
int device_find(struct device *d, struct xs_handle *xs, uint32_t domid, uint32_t devid);
/* libxl's removal: online=0 and state=5, wait for 6, script `remove`, delete. With `force` the
 * frontend goes first and the rest is deleted even if the backend does not answer. */
int device_remove(struct device *d, struct xs_handle *xs, bool force, bool run_script);

/* ---- script.c ---------------------------------------------------------------------------------- */

/* Runs the device's hotplug script with `action` ("add", "remove"). 0: it exited 0. -ECHILD: it
 * failed. -ETIMEDOUT: killed after 40 s. Prints nothing. */
int script_run(const struct device *d, const char *script, const char *action);

/* ---- spawn.c ----------------------------------------------------------------------------------- */

struct spawn {
	const char *log;
	char *argv[8];
	char *env[8];
	uint32_t domid;
};

/* Starts a child of xensimd. Its descriptor 3 is `child_fd`, closed here. */
int spawn_child(struct hv_client *c, const struct spawn *s, int child_fd);

/* Waits for a byte on `fd`; -EPIPE if it ends without one. */
int spawn_wait_ready(int fd, int timeout_ms);

/* ---- the rest ---------------------------------------------------------------------------------- */

/* vdev.c: "51712", "xvda", "xvda1", "sdb", "hdc", "d0p1" -> number. -EINVAL. */
int vdev_parse(const char *s, uint32_t *ret_devid);

int verb_host_start(int argc, char **argv);
int verb_host_stop(int argc, char **argv);
int verb_domain_create(int argc, char **argv);
int verb_domain_destroy(int argc, char **argv);
int verb_domain_kill(int argc, char **argv);
int verb_vbd_attach(int argc, char **argv);
int verb_vbd_detach(int argc, char **argv);
int verb_counters(int argc, char **argv);

#endif

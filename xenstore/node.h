/*
 * Strict, typed values of nodes. What a guest or a script wrote is either exactly what the protocol
 * allows or malformed: nothing is trimmed, clamped or guessed, and a missing node is a third thing.
 *
 * The node_parse_*() functions are pure, for any thread. The others are round trips to xenstored:
 * control thread only. Nothing here logs; nothing is written to a ret_ parameter unless the result
 * is NODE_VALUE.
 *
 * Numbers are decimal ASCII digits, whole string: no sign, no space, no 0x, no newline. Leading
 * zeros are malformed except for "0" itself: libxl, the hotplug scripts and every frontend print
 * with %u, %d, %llu or the like, which never pads, and one number having one spelling is worth more
 * than leniency nobody needs.
 */
#ifndef XENSTORE_NODE_H
#define XENSTORE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum node_result {
	NODE_VALUE,     /* there, well-formed and in range */
	NODE_ABSENT,    /* no such node */
	NODE_MALFORMED, /* there, but not what it has to be: the writer's fault */
	NODE_ERROR,     /* could not be read: errno in the node_dir; the store's fault or ours */
};

/* ---- parsing: all return true and set the value, or false for malformed ---- */

bool node_parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value)
	__attribute__((nonnull, warn_unused_result));
bool node_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
	__attribute__((nonnull, warn_unused_result));

/* Exactly "0" or "1". */
bool node_parse_bool(const char *text, bool *ret_value)
	__attribute__((nonnull, warn_unused_result));

/* A real domain's id: 0..DOMID_MAX. */
bool node_parse_domid(const char *text, uint32_t *ret_domid)
	__attribute__((nonnull, warn_unused_result));

/* Exactly one of the `n` strings in `names`; sets its index. NULL entries match nothing. */
bool node_parse_enum(const char *text, const char *const names[], unsigned n, unsigned *ret_index)
	__attribute__((nonnull, warn_unused_result));

/* At most `max_len` bytes, printable ASCII and space only, and of those only the ones in
 * `charset` if that is not NULL. The empty string passes: a caller that cannot use it says so
 * itself. */
bool node_string_ok(const char *text, size_t max_len, const char *charset)
	__attribute__((nonnull(1), warn_unused_result));

/* ---- nodes of one directory ---- */

/* Where to read; filled in by the caller, who keeps all three alive. `error` is set to -errno by
 * a call that returns NODE_ERROR, or is left alone. `txn` is STORE_NO_TXN outside a transaction. */
struct node_dir {
	struct store *store;
	uint32_t txn;
	const char *path; /* the directory, e.g. "backend/vbd/5/51712" */
	int error;
};

enum node_result node_u32(struct node_dir *dir, const char *name, uint32_t min, uint32_t max,
	uint32_t *ret_value) __attribute__((nonnull, warn_unused_result));
enum node_result node_u64(struct node_dir *dir, const char *name, uint64_t min, uint64_t max,
	uint64_t *ret_value) __attribute__((nonnull, warn_unused_result));
enum node_result node_bool(struct node_dir *dir, const char *name, bool *ret_value)
	__attribute__((nonnull, warn_unused_result));
enum node_result node_domid(struct node_dir *dir, const char *name, uint32_t *ret_domid)
	__attribute__((nonnull, warn_unused_result));
enum node_result node_enum(struct node_dir *dir, const char *name, const char *const names[],
	unsigned n, unsigned *ret_index) __attribute__((nonnull, warn_unused_result));

/* `*ret_value` is to be freed by the caller. `charset` may be NULL, see node_string_ok(). */
enum node_result node_string(struct node_dir *dir, const char *name, size_t max_len,
	const char *charset, char **ret_value)
	__attribute__((nonnull(1, 2, 5), warn_unused_result));

/* Writes and removes below the directory: 0 or -errno, as store_printf() and store_remove(). */
int node_printf(const struct node_dir *dir, const char *name, const char *fmt, ...)
	__attribute__((nonnull, format(printf, 3, 4), warn_unused_result));
int node_remove(const struct node_dir *dir, const char *name)
	__attribute__((nonnull, warn_unused_result));

#endif

/*
 * Names of nodes: taking a backend directory's name apart, putting a node's name together, and
 * checking that the frontend directory the toolstack names belongs to the guest it names.
 *
 * Pure: no I/O, no allocation, no state; any thread. All functions reject what they do not fully
 * understand. Limits are XENSTORE_REL_PATH_MAX and XENSTORE_ABS_PATH_MAX of <xen/io/xs_wire.h>;
 * characters are those xenstored accepts: A-Z a-z 0-9 - / _ @.
 */
#ifndef XENSTORE_PATH_H
#define XENSTORE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VBD_KIND_MAX 15    /* "vbd", "vbd3", ... without the terminator */
#define VBD_PATH_MAX 64    /* any name vbd_path_relative() can write, terminator included */
#define DOMID_MAX    32751 /* the highest id of a real domain: DOMID_FIRST_RESERVED - 1 */

/*
 * One virtual disk, as its backend directory names it:
 *
 *   [/local/domain/<backend_domid>/]backend/<kind>/<domid>/<devid>
 *
 * A relative name, as watches and XENBUS_PATH give it, is below our own domain's directory.
 */
struct vbd_path {
	char kind[VBD_KIND_MAX + 1]; /* [a-z0-9_-]+ */
	uint32_t domid;              /* the frontend's domain, 0..DOMID_MAX */
	uint32_t devid;              /* "virtual device": 51712 is xvda */
	bool absolute;
	uint32_t backend_domid; /* 0 in a relative name */
};

/*
 * Takes apart `path`, which must be exactly one of the two forms above: numbers are decimal without
 * sign or leading zeros, there is no empty component and nothing follows the devid. Returns 0;
 * -EINVAL for anything else; -ENAMETOOLONG for a name or a kind over its limit.
 */
int vbd_path_parse(const char *path, struct vbd_path *ret_path)
	__attribute__((nonnull, warn_unused_result));

/*
 * As vbd_path_parse(), for the path of a watch event, which may lie deeper: accepts "<disk>/<rest>"
 * too. `*ret_rest` points into `path`, at <rest> or at its end; a <rest> with an empty component is
 * -EINVAL.
 */
int vbd_path_parse_below(const char *path, struct vbd_path *ret_path, const char **ret_rest)
	__attribute__((nonnull, warn_unused_result));

/* True if both name the same disk of the same kind; the form they were written in does not
 * matter. */
bool vbd_path_same(const struct vbd_path *a, const struct vbd_path *b) __attribute__((nonnull));

/* Writes "backend/<kind>/<domid>/<devid>". Always fits VBD_PATH_MAX. */
void vbd_path_relative(const struct vbd_path *path, char buf[VBD_PATH_MAX])
	__attribute__((nonnull));

/*
 * Writes "<dir>/<name>" with its terminator into `buf`. `dir` is relative or absolute, without a
 * slash at its end; `name` is one component or several, neither empty nor beginning or ending with
 * a slash. Returns 0; -EINVAL for an ill-formed dir or name; -ENAMETOOLONG if the result exceeds
 * `size` or xenstored's own limit. On failure `buf` holds the empty string, unless size is 0.
 */
int path_join(char *buf, size_t size, const char *dir, const char *name)
	__attribute__((nonnull, warn_unused_result));

/*
 * True if `path` is a well-formed absolute path strictly below /local/domain/<frontend_domid>/. The
 * node `frontend` comes from the toolstack, but a worker that followed it anywhere else would read
 * and watch another guest's nodes (the class of XSA-175 and XSA-178).
 */
bool path_frontend_ok(const char *path, uint32_t frontend_domid) __attribute__((nonnull));

#endif

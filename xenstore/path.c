#include "xenstore/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xen/io/xs_wire.h>

#include "xenstore/node.h"

#define DOMAIN_PREFIX "/local/domain/"

/* A number in a path: its digits, terminated, are never longer than those of UINT32_MAX. */
#define NUMBER_MAX 10

static bool component_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '@';
}

/* Components of allowed characters, separated by single slashes, none at either end. */
static bool components_ok(const char *text)
{
	char last = '/';

	for (; *text; text++) {
		if (*text == '/' ? last == '/' : !component_char(*text))
			return false;
		last = *text;
	}
	return last != '/';
}

static bool directory_ok(const char *dir)
{
	return components_ok(*dir == '/' ? dir + 1 : dir);
}

static size_t length_limit(const char *path)
{
	return *path == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX;
}

/* Moves `*at` past `word` if it begins with it. */
static bool take_word(const char **at, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*at, word, n) != 0)
		return false;
	*at += n;
	return true;
}

/* Moves `*at` past a number that ends at a slash or at the end of the text. */
static bool take_number(const char **at, uint32_t max, uint32_t *ret_value)
{
	char digits[NUMBER_MAX + 1];
	size_t n = strcspn(*at, "/");

	if (n > NUMBER_MAX)
		return false;
	memcpy(digits, *at, n);
	digits[n] = '\0';
	if (!node_parse_u32(digits, 0, max, ret_value))
		return false;
	*at += n;
	return true;
}

/* Moves `*at` past "<kind>/". */
static int take_kind(const char **at, char kind[VBD_KIND_MAX + 1])
{
	size_t n = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (n == 0 || (*at)[n] != '/')
		return -EINVAL;
	if (n > VBD_KIND_MAX)
		return -ENAMETOOLONG;
	memcpy(kind, *at, n);
	kind[n] = '\0';
	*at += n + 1;
	return 0;
}

int vbd_path_parse_below(const char *path, struct vbd_path *ret_path, const char **ret_rest)
{
	struct vbd_path p = {.absolute = *path == '/'};
	const char *at = path;
	int r;

	if (strlen(path) > length_limit(path))
		return -ENAMETOOLONG;
	if (p.absolute) {
		if (!take_word(&at, DOMAIN_PREFIX) ||
			!take_number(&at, DOMID_MAX, &p.backend_domid) || !take_word(&at, "/"))
			return -EINVAL;
	}
	if (!take_word(&at, "backend/"))
		return -EINVAL;
	r = take_kind(&at, p.kind);
	if (r < 0)
		return r;
	if (!take_number(&at, DOMID_MAX, &p.domid) || !take_word(&at, "/") ||
		!take_number(&at, UINT32_MAX, &p.devid))
		return -EINVAL;
	if (take_word(&at, "/") && !components_ok(at))
		return -EINVAL;
	*ret_path = p;
	*ret_rest = at;
	return 0;
}

int vbd_path_parse(const char *path, struct vbd_path *ret_path)
{
	struct vbd_path p;
	const char *rest;
	int r;

	r = vbd_path_parse_below(path, &p, &rest);
	if (r < 0)
		return r;
	if (*rest)
		return -EINVAL;
	*ret_path = p;
	return 0;
}

bool vbd_path_same(const struct vbd_path *a, const struct vbd_path *b)
{
	return a->domid == b->domid && a->devid == b->devid && strcmp(a->kind, b->kind) == 0;
}

void vbd_path_relative(const struct vbd_path *path, char buf[VBD_PATH_MAX])
{
	(void)snprintf(buf, VBD_PATH_MAX, "backend/%s/%u/%u", path->kind, path->domid,
		path->devid); /* at most 8 + 15 + 1 + 10 + 1 + 10 */
}

int path_join(char *buf, size_t size, const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);
	size_t name_len = strlen(name);

	if (size > 0)
		buf[0] = '\0';
	if (!directory_ok(dir) || !components_ok(name))
		return -EINVAL;
	/* Bounded one by one first, so that the sum below cannot wrap. */
	if (dir_len > length_limit(dir) || name_len > length_limit(dir) ||
		dir_len + 1 + name_len > length_limit(dir) || dir_len + 1 + name_len + 1 > size)
		return -ENAMETOOLONG;
	memcpy(buf, dir, dir_len);
	buf[dir_len] = '/';
	memcpy(buf + dir_len + 1, name, name_len + 1);
	return 0;
}

bool path_frontend_ok(const char *path, uint32_t frontend_domid)
{
	const char *at = path;
	uint32_t domid;

	if (strlen(path) > XENSTORE_ABS_PATH_MAX)
		return false;
	if (!take_word(&at, DOMAIN_PREFIX) || !take_number(&at, DOMID_MAX, &domid))
		return false;
	return domid == frontend_domid && take_word(&at, "/") && components_ok(at);
}

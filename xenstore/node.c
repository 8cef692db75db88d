#include "xenstore/node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>

#include "xenstore/path.h"
#include "xenstore/store.h"

/* ---- parsing ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool node_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *at = text;

	if (!is_digit(*at) || (*at == '0' && at[1] != '\0'))
		return false;
	for (; is_digit(*at); at++) {
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	}
	if (*at != '\0' || value < min || value > max)
		return false;
	*ret_value = value;
	return true;
}

bool node_parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value)
{
	uint64_t value;

	if (!node_parse_u64(text, min, max, &value))
		return false;
	*ret_value = (uint32_t)value; /* value <= max */
	return true;
}

bool node_parse_bool(const char *text, bool *ret_value)
{
	if ((text[0] != '0' && text[0] != '1') || text[1] != '\0')
		return false;
	*ret_value = text[0] == '1';
	return true;
}

bool node_parse_domid(const char *text, uint32_t *ret_domid)
{
	return node_parse_u32(text, 0, DOMID_MAX, ret_domid);
}

bool node_parse_enum(const char *text, const char *const names[], unsigned n, unsigned *ret_index)
{
	for (unsigned i = 0; i < n; i++) {
		if (names[i] && strcmp(text, names[i]) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

bool node_string_ok(const char *text, size_t max_len, const char *charset)
{
	size_t n = 0;

	for (; text[n]; n++) {
		if (n == max_len || text[n] < ' ' || text[n] > '~')
			return false;
		if (charset && !strchr(charset, text[n]))
			return false;
	}
	return true;
}

/* ---- nodes of one directory ---- */

/* The text of a node, to be freed by the caller if the result is NODE_VALUE. */
static enum node_result read_text(struct node_dir *dir, const char *name, char **ret_text)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	int r;

	r = path_join(path, sizeof(path), dir->path, name);
	if (r == 0)
		r = store_read(dir->store, dir->txn, path, ret_text, NULL);
	if (r == 0)
		return NODE_VALUE;
	if (r == -ENOENT)
		return NODE_ABSENT;
	if (r == -EBADMSG)
		return NODE_MALFORMED;
	dir->error = r;
	return NODE_ERROR;
}

/* What every typed reader ends with. */
static enum node_result parsed(char *text, bool ok)
{
	free(text);
	return ok ? NODE_VALUE : NODE_MALFORMED;
}

enum node_result node_u32(
	struct node_dir *dir, const char *name, uint32_t min, uint32_t max, uint32_t *ret_value)
{
	char *text;
	enum node_result result = read_text(dir, name, &text);

	if (result != NODE_VALUE)
		return result;
	return parsed(text, node_parse_u32(text, min, max, ret_value));
}

enum node_result node_u64(
	struct node_dir *dir, const char *name, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *text;
	enum node_result result = read_text(dir, name, &text);

	if (result != NODE_VALUE)
		return result;
	return parsed(text, node_parse_u64(text, min, max, ret_value));
}

enum node_result node_bool(struct node_dir *dir, const char *name, bool *ret_value)
{
	char *text;
	enum node_result result = read_text(dir, name, &text);

	if (result != NODE_VALUE)
		return result;
	return parsed(text, node_parse_bool(text, ret_value));
}

enum node_result node_domid(struct node_dir *dir, const char *name, uint32_t *ret_domid)
{
	return node_u32(dir, name, 0, DOMID_MAX, ret_domid);
}

enum node_result node_enum(struct node_dir *dir, const char *name, const char *const names[],
	unsigned n, unsigned *ret_index)
{
	char *text;
	enum node_result result = read_text(dir, name, &text);

	if (result != NODE_VALUE)
		return result;
	return parsed(text, node_parse_enum(text, names, n, ret_index));
}

enum node_result node_string(struct node_dir *dir, const char *name, size_t max_len,
	const char *charset, char **ret_value)
{
	char *text;
	enum node_result result = read_text(dir, name, &text);

	if (result != NODE_VALUE)
		return result;
	if (!node_string_ok(text, max_len, charset))
		return parsed(text, false);
	*ret_value = text;
	return NODE_VALUE;
}

int node_printf(const struct node_dir *dir, const char *name, const char *fmt, ...)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	va_list args;
	int r;

	r = path_join(path, sizeof(path), dir->path, name);
	if (r < 0)
		return r;
	va_start(args, fmt);
	r = store_vprintf(dir->store, dir->txn, path, fmt, args);
	va_end(args);
	return r;
}

int node_remove(const struct node_dir *dir, const char *name)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	int r;

	r = path_join(path, sizeof(path), dir->path, name);
	if (r < 0)
		return r;
	return store_remove(dir->store, dir->txn, path);
}

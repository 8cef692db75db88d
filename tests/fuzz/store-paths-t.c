/*
 * Paths of the store, from watches, nodes and command lines: the first line of the input is one, the rest another. What
 * is taken for a disk's directory can be written again as it was; what is joined is the two of them with a slash.
 */
#include <errno.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "tests/fuzz/fuzz.h"
#include "xenstore/node.h"
#include "xenstore/path.h"

static void check_components(const char *text)
{
	for (const char *c = text; *c; c++)
		FUZZ_CHECK((*c >= '-' && *c <= '9' && *c != '.') || (*c >= '@' && *c <= 'Z') ||
				   *c == '_' || (*c >= 'a' && *c <= 'z'),
			"byte %#x in '%s'", *c, text);
	FUZZ_CHECK(!strstr(text, "//"), "'%s'", text);
}

static void check_disk(const char *path)
{
	char relative[VBD_PATH_MAX], whole[VBD_PATH_MAX + 32];
	struct vbd_path disk;
	const char *rest = NULL;
	int r = vbd_path_parse_below(path, &disk, &rest);

	if (r) {
		FUZZ_CHECK(r == -EINVAL || r == -ENAMETOOLONG, "error %d", r);
		FUZZ_CHECK(vbd_path_parse(path, &disk) < 0, "'%s'", path);
		return;
	}
	vbd_path_relative(&disk, relative);
	if (disk.absolute)
		(void)snprintf(
			whole, sizeof(whole), "/local/domain/%u/%s", disk.backend_domid, relative);
	else
		(void)snprintf(whole, sizeof(whole), "%s", relative);
	FUZZ_CHECK(strncmp(path, whole, strlen(whole)) == 0, "'%s' of '%s'", whole, path);
	FUZZ_CHECK(strcmp(path + strlen(whole) + (*rest != '\0'), rest) == 0, "rest '%s' of '%s'",
		rest, path);
	FUZZ_CHECK(disk.domid <= DOMID_MAX, "domain %u", disk.domid);
	check_components(path);
	FUZZ_CHECK((vbd_path_parse(path, &disk) == 0) == (*rest == '\0'), "'%s'", path);
}

static void check_join(const char *dir, const char *name)
{
	char joined[256], expected[8192];
	int r = path_join(joined, sizeof(joined), dir, name);

	if (r) {
		FUZZ_CHECK(r == -EINVAL || r == -ENAMETOOLONG, "error %d", r);
		FUZZ_CHECK(joined[0] == '\0', "'%s' left", joined);
		return;
	}
	(void)snprintf(expected, sizeof(expected), "%s/%s", dir, name);
	FUZZ_CHECK(strcmp(joined, expected) == 0, "'%s', not '%s'", joined, expected);
	check_components(joined);
}

static void check_frontend(const char *path)
{
	char start[40];

	(void)snprintf(start, sizeof(start), "/local/domain/%u/", 7u);
	if (!path_frontend_ok(path, 7))
		return;
	FUZZ_CHECK(strncmp(path, start, strlen(start)) == 0 && path[strlen(start)], "'%s'", path);
	FUZZ_CHECK(strlen(path) <= XENSTORE_ABS_PATH_MAX, "too long");
	check_components(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *name;

	FUZZ_CHECK(text, "no memory");
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	name = strchr(text, '\n');
	if (name)
		*name++ = '\0';
	check_disk(text);
	check_frontend(text);
	check_join(text, name ? name : "state");
	free(text);
	return 0;
}

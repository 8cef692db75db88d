/* The names of virtual disks: docs/man/xen-vbd-interface.7 and libxl__device_disk_dev_number(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

/* "a".."z", "aa".. -> 0..; the letters end at `*ret_end`. */
static int letters_parse(const char *s, const char **ret_end)
{
	int n = 0;

	if (*s < 'a' || *s > 'z')
		return -EINVAL;
	for (; *s >= 'a' && *s <= 'z'; s++) {
		n = n * 26 + (*s - 'a' + 1);
		if (n > 0xfffff)
			return -EINVAL;
	}
	*ret_end = s;
	return n - 1;
}

static int digits_parse(const char *s, const char **ret_end)
{
	unsigned long v;
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || v > INT_MAX)
		return -EINVAL;
	*ret_end = end;
	return (int)v;
}

/* The number of partition `part` (0 = all) of disk `disk` in each naming scheme; -EINVAL. */
static int vdev_xen(int disk, int part)
{
	if (disk <= 15 && part <= 15)
		return 202 << 8 | disk << 4 | part;
	if (disk <= 0xfffff && part <= 255)
		return 1 << 28 | disk << 8 | part;
	return -EINVAL;
}

static int vdev_ide(int disk, int part)
{
	if (disk > 3 || part > 63)
		return -EINVAL;
	return (disk < 2 ? 3 : 22) << 8 | (disk & 1) << 6 | part;
}

static int vdev_scsi(int disk, int part)
{
	return disk > 15 || part > 15 ? -EINVAL : 8 << 8 | disk << 4 | part;
}

static int vdev_named(const char *s)
{
	static const struct {
		const char *prefix;
		int (*number)(int disk, int part);
	} schemes[] = {{"xvd", vdev_xen}, {"hd", vdev_ide}, {"sd", vdev_scsi}};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i].prefix);
		int disk, part = 0;

		if (strncmp(s, schemes[i].prefix, n) != 0)
			continue;
		disk = letters_parse(s + n, &s);
		if (*s && disk >= 0)
			part = digits_parse(s, &s);
		if (disk < 0 || part < 0 || *s)
			return -EINVAL;
		return schemes[i].number(disk, part);
	}
	return -EINVAL;
}

int vdev_parse(const char *s, uint32_t *ret_devid)
{
	const char *end = s;
	int v = digits_parse(s, &end), part = 0;

	if (v < 0 && *s == 'd' && (v = digits_parse(s + 1, &end)) >= 0) {
		if (*end == 'p')
			part = digits_parse(end + 1, &end);
		v = part < 0 ? part : vdev_xen(v, part);
	} else if (v < 0) {
		v = vdev_named(s);
		end = "";
	}
	if (v < 0 || *end)
		return -EINVAL;
	*ret_devid = (uint32_t)v;
	return 0;
}

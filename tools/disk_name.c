#include "tools/disk_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* vbd-interface(7): bits of a device number. */
#define XVD_MAJOR    202u
#define SD_MAJOR     8u
#define HD_MAJOR_0   3u
#define HD_MAJOR_1   22u
#define EXTENDED     (1u << 28)
#define EXTENDED_MAX ((1u << 20) - 1) /* disks */

/* ---- numbers and letters ---- */

/* Decimal digits without leading zeros at *@text, which moves behind them. */
static bool take_u32(const char **text, uint32_t *ret_value)
{
	const char *c = *text;
	uint64_t value = 0;

	if (c[0] == '0' && c[1] >= '0' && c[1] <= '9')
		return false;
	for (; *c >= '0' && *c <= '9'; c++) {
		value = value * 10 + (uint64_t)(*c - '0');
		if (value > UINT32_MAX)
			return false;
	}
	if (c == *text)
		return false;
	*text = c;
	*ret_value = (uint32_t)value;
	return true;
}

/* a is 0, z 25, aa 26: *@text moves behind the letters. */
static bool take_letters(const char **text, uint32_t *ret_disk)
{
	const char *c = *text;
	uint32_t n = 0;

	for (; *c >= 'a' && *c <= 'z'; c++) {
		n = n * 26 + (uint32_t)(*c - 'a') + 1;
		if (n > EXTENDED_MAX + 1)
			return false;
	}
	if (c == *text)
		return false;
	*text = c;
	*ret_disk = n - 1;
	return true;
}

/* ---- devices ---- */

static int xvd_number(uint32_t disk, uint32_t partition, uint32_t *ret_devid)
{
	if (disk < 16 && partition < 16)
		*ret_devid = XVD_MAJOR << 8 | disk << 4 | partition;
	else if (disk <= EXTENDED_MAX && partition < 256)
		*ret_devid = EXTENDED | disk << 8 | partition;
	else
		return -EINVAL;
	return 0;
}

static int sd_number(uint32_t disk, uint32_t partition, uint32_t *ret_devid)
{
	if (disk >= 16 || partition >= 16)
		return -EINVAL;
	*ret_devid = SD_MAJOR << 8 | disk << 4 | partition;
	return 0;
}

static int hd_number(uint32_t disk, uint32_t partition, uint32_t *ret_devid)
{
	if (disk >= 4 || partition >= 64)
		return -EINVAL;
	*ret_devid = (disk < 2 ? HD_MAJOR_0 : HD_MAJOR_1) << 8 | (disk & 1) << 6 | partition;
	return 0;
}

static const struct {
	const char *prefix;
	int (*number)(uint32_t disk, uint32_t partition, uint32_t *ret_devid);
} families[] = {
	{"xvd", xvd_number},
	{"sd", sd_number},
	{"hd", hd_number},
};

#define NR_FAMILIES (sizeof(families) / sizeof(families[0]))

int device_parse(const char *text, uint32_t *ret_devid)
{
	const char *c = text;
	uint32_t disk, partition = 0;

	if (take_u32(&c, ret_devid))
		return *c ? -EINVAL : 0;
	for (unsigned i = 0; i < NR_FAMILIES; i++) {
		size_t n = strlen(families[i].prefix);

		if (strncmp(text, families[i].prefix, n) != 0)
			continue;
		c = text + n;
		if (!take_letters(&c, &disk))
			return -EINVAL;
		/* Without a number it is the whole disk, which is number 0. */
		if (*c && (!take_u32(&c, &partition) || *c || partition == 0))
			return -EINVAL;
		return families[i].number(disk, partition, ret_devid);
	}
	return -EINVAL;
}

static void print_vdev(
	const char *prefix, uint32_t disk, uint32_t partition, char buf[DEVICE_NAME_MAX])
{
	char letters[8];
	unsigned i = sizeof(letters) - 1;
	uint32_t n = disk + 1;

	letters[i] = '\0';
	for (; n > 0; n = (n - 1) / 26)
		letters[--i] = (char)('a' + (n - 1) % 26);
	if (partition)
		(void)snprintf(buf, DEVICE_NAME_MAX, "%s%s%u", prefix, &letters[i], partition);
	else
		(void)snprintf(buf, DEVICE_NAME_MAX, "%s%s", prefix, &letters[i]);
}

static void guess_name(uint32_t devid, char buf[DEVICE_NAME_MAX])
{
	uint32_t major = devid >> 8, disk = (devid >> 4) & 15;

	if (devid >> 28 == 1)
		print_vdev("xvd", (devid >> 8) & EXTENDED_MAX, devid & 255, buf);
	else if (major == XVD_MAJOR)
		print_vdev("xvd", disk, devid & 15, buf);
	else if (major == SD_MAJOR)
		print_vdev("sd", disk, devid & 15, buf);
	else if ((major == HD_MAJOR_0 || major == HD_MAJOR_1) && (devid & 255) < 128)
		print_vdev(
			"hd", (major == HD_MAJOR_1 ? 2 : 0) + ((devid >> 6) & 1), devid & 63, buf);
	else
		(void)snprintf(buf, DEVICE_NAME_MAX, "%u", devid);
}

/* Some numbers look like a disk's and are not what its name stands for. */
void device_name(uint32_t devid, char buf[DEVICE_NAME_MAX])
{
	uint32_t named;

	guess_name(devid, buf);
	if (device_parse(buf, &named) || named != devid)
		(void)snprintf(buf, DEVICE_NAME_MAX, "%u", devid);
}

/* ---- disks ---- */

/* [a-z0-9_-]+, up to the last @separator that leaves a domain and a device behind it. */
static bool take_kind(const char **text, size_t n, char kind[DISK_KIND_MAX])
{
	if (n == 0 || n >= DISK_KIND_MAX ||
		strspn(*text, "abcdefghijklmnopqrstuvwxyz0123456789_-") < n)
		return false;
	(void)memcpy(kind, *text, n);
	kind[n] = '\0';
	*text += n;
	return true;
}

/* The rest: <domid><separator><devid>, the device by number or, if @by_name, by name. */
static int parse_numbers(const char *text, char separator, bool by_name, struct disk_name *name)
{
	if (!take_u32(&text, &name->domid) || *text++ != separator)
		return -EINVAL;
	if (by_name)
		return device_parse(text, &name->devid);
	return take_u32(&text, &name->devid) && *text == '\0' ? 0 : -EINVAL;
}

int disk_name_parse_exact(const char *text, struct disk_name *ret_name)
{
	struct disk_name name = {.kind = ""};
	const char *last = strrchr(text, '-');
	const char *dash = last && last > text ? memrchr(text, '-', (size_t)(last - text)) : NULL;
	int r;

	if (dash == NULL || !take_kind(&text, (size_t)(dash - text), name.kind))
		return -EINVAL;
	r = parse_numbers(dash + 1, '-', false, &name);
	if (r == 0)
		*ret_name = name;
	return r;
}

/* backend/<kind>/<domid>/<devid> */
static int parse_backend(const char *text, struct disk_name *name)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL || !take_kind(&text, (size_t)(slash - text), name->kind))
		return -EINVAL;
	return parse_numbers(slash + 1, '/', false, name);
}

static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

int disk_name_parse(const char *text, struct disk_name *ret_name)
{
	struct disk_name name = {.kind = ""};
	const char *rest = after(text, "/local/domain/");
	uint32_t backend_domid;
	int r;

	if (rest) {
		if (!take_u32(&rest, &backend_domid) || *rest != '/' ||
			!after(rest + 1, "backend/"))
			return -EINVAL;
		text = rest + 1;
	}
	rest = after(text, "backend/");
	if (rest)
		r = parse_backend(rest, &name);
	else if (*text >= '0' && *text <= '9')
		r = parse_numbers(text, '/', true, &name);
	else
		return disk_name_parse_exact(text, ret_name);
	if (r == 0)
		*ret_name = name;
	return r;
}

bool disk_name_matches(const struct disk_name *wanted, const struct disk_name *name)
{
	return wanted->domid == name->domid && wanted->devid == name->devid &&
	       (wanted->kind[0] == '\0' || strcmp(wanted->kind, name->kind) == 0);
}

int disk_name_compare(const struct disk_name *a, const struct disk_name *b)
{
	if (a->domid != b->domid)
		return a->domid < b->domid ? -1 : 1;
	if (a->devid != b->devid)
		return a->devid < b->devid ? -1 : 1;
	return strcmp(a->kind, b->kind);
}

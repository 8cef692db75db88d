#include "backend/data/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend/util/limits.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* ---- what a block device can do ---- */

/* A whole number in a file that has nothing else; -1 where there is none, or something else. */
static int64_t read_number(const char *path)
{
	char text[24], *end;
	int64_t value;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
	}
	if (n <= 0)
		return -1;
	text[n] = '\0';
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || end == text || (*end && *end != '\n') || value < 0 ? -1 : value;
}

/*
 * @attribute of a device, from sysfs; of a partition its disk's, if it has none itself. 0 where there is none, or no
 * sensible one: -1 is what some kernels say of a device that is aligned in no way.
 */
static uint32_t read_attribute(dev_t device, const char *attribute)
{
	static const char *const places[] = {"", "../"};

	for (unsigned i = 0; i < 2; i++) {
		char path[96];
		int64_t value;

		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s%s", major(device),
			minor(device), places[i], attribute);
		value = read_number(path);
		if (value >= 0)
			return value <= UINT32_MAX ? (uint32_t)value : 0;
	}
	return 0;
}

/* A range no device can have: EINVAL says that it would otherwise have been done, EOPNOTSUPP that it never is. */
static bool takes_ioctl(int fd, unsigned long request)
{
	uint64_t range[2] = {1, 1};

	return ioctl(fd, request, range) < 0 && errno == EINVAL;
}

/*
 * Whether what takes_ioctl() finds out about BLKSECDISCARD can be believed: before 5.19 Linux looked at the range first,
 * and at the device later.
 */
static bool kernel_knows_secure(void)
{
	struct utsname name;
	unsigned long release, version;
	char *end;

	if (uname(&name) < 0)
		return false;
	release = strtoul(name.release, &end, 10);
	if (release != 5 || *end != '.')
		return release > 5;
	version = strtoul(end + 1, NULL, 10);
	return version >= 19;
}

static void probe_block_device(int fd, struct discard *d)
{
	struct stat st;
	int logical;

	if (fstat(fd, &st) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 || logical <= 0 ||
		!takes_ioctl(fd, BLKDISCARD))
		return;
	d->possible = true;
	d->secure = kernel_knows_secure() && takes_ioctl(fd, BLKSECDISCARD);
	d->step_bytes = LIMIT_DISCARD_STEP_DEVICE;
	d->unit_bytes = (uint32_t)logical;
	d->granularity_bytes = read_attribute(st.st_rdev, "queue/discard_granularity");
	d->alignment_bytes = read_attribute(st.st_rdev, "discard_alignment");
	if (d->granularity_bytes < d->unit_bytes)
		d->granularity_bytes = d->unit_bytes;
	d->alignment_bytes %= d->granularity_bytes;
}

/* ---- what a file can do ---- */

/*
 * The block a file system allocates. A part of one it would have to overwrite with zeros instead. What a network's
 * says, perhaps a megabyte, is how much it likes to have sent.
 */
static uint32_t block_of(int fd)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0 || st.f_frsize < 512 || st.f_frsize > 4096 ||
		(st.f_frsize & (st.f_frsize - 1)) != 0)
		return 4096;
	return (uint32_t)st.f_frsize;
}

/*
 * By a hole far behind the end, where there is nothing to be lost: right behind it somebody may just be writing, who makes
 * the file larger. The file stays as long as it is.
 */
#define FAR_BEHIND ((off_t)1 << 40)

static void probe_file(int fd, struct discard *d)
{
	struct stat st;
	off_t hole;

	if (fstat(fd, &st) < 0)
		return;
	d->step_bytes = LIMIT_DISCARD_STEP_FILE;
	d->unit_bytes = block_of(fd);
	d->granularity_bytes = d->unit_bytes;
	hole = st.st_size / d->unit_bytes * d->unit_bytes + FAR_BEHIND;
	d->possible = fallocate(fd, PUNCH, hole, d->unit_bytes) == 0;
}

void discard_probe(int fd, bool is_block_device, struct discard *ret_discard)
{
	*ret_discard = (struct discard){.is_block_device = is_block_device};
	if (is_block_device)
		probe_block_device(fd, ret_discard);
	else
		probe_file(fd, ret_discard);
}

/* ---- doing it ---- */

static int discard_step(
	int fd, const struct discard *d, uint64_t offset_bytes, uint64_t length_bytes, bool secure)
{
	uint64_t range[2] = {offset_bytes, length_bytes};
	int r;

	do {
		if (d->is_block_device)
			r = ioctl(fd, secure ? BLKSECDISCARD : BLKDISCARD, range);
		else
			r = fallocate(fd, PUNCH, (off_t)offset_bytes, (off_t)length_bytes);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

uint64_t discard_step_end(const struct discard *discard, uint64_t at, uint64_t end)
{
	uint64_t granularity = discard->granularity_bytes, alignment = discard->alignment_bytes;
	uint64_t step = discard->step_bytes > granularity ? discard->step_bytes : granularity;
	uint64_t rest;

	if (end - at <= step)
		return end;
	/* Cut between two pieces, not through one: neither half of that would be given back. */
	rest = (at + step + granularity - alignment) % granularity;
	return at + step - rest > at ? at + step - rest : at + step - rest + granularity;
}

int discard_range(int fd, const struct discard *discard, uint64_t offset_bytes,
	uint64_t length_bytes, bool secure, const atomic_bool *stop)
{
	uint64_t unit = discard->unit_bytes;
	uint64_t at = (offset_bytes + unit - 1) / unit * unit;
	uint64_t end = (offset_bytes + length_bytes) / unit * unit;
	int r = 0;

	while (r == 0 && at < end) {
		uint64_t next = discard_step_end(discard, at, end);

		if (atomic_load(stop))
			return -ECANCELED;
		r = discard_step(fd, discard, at, next - at, secure);
		at = next;
	}
	return r;
}

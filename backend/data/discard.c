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
#include <unistd.h>

#include "backend/util/limits.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* ---- what a block device can do ---- */

/*
 * @attribute below the device's directory in sysfs; of a partition its disk's, if it has none itself. 0 when there
 * is none.
 */
static uint32_t read_attribute(dev_t device, const char *attribute)
{
	static const char *const places[] = {"", "../"};
	char path[96], text[24];

	for (unsigned i = 0; i < 2; i++) {
		ssize_t n = -1;
		int fd;

		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s%s", major(device),
			minor(device), places[i], attribute);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		return (uint32_t)strtoul(text, NULL, 10);
	}
	return 0;
}

/* A range no device can have: EINVAL says that it would otherwise have been done, EOPNOTSUPP that it never is. */
static bool takes_ioctl(int fd, unsigned long request)
{
	uint64_t range[2] = {1, 1};

	return ioctl(fd, request, range) < 0 && errno == EINVAL;
}

static void probe_block_device(int fd, struct discard *d)
{
	struct stat st;
	int logical;

	if (fstat(fd, &st) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 ||
		!takes_ioctl(fd, BLKDISCARD))
		return;
	d->possible = true;
	d->secure = takes_ioctl(fd, BLKSECDISCARD);
	d->unit_bytes = (uint32_t)logical;
	d->granularity_bytes = read_attribute(st.st_rdev, "queue/discard_granularity");
	d->alignment_bytes = read_attribute(st.st_rdev, "discard_alignment");
	if (d->granularity_bytes < d->unit_bytes)
		d->granularity_bytes = d->unit_bytes;
}

/* ---- what a file can do ---- */

/* The block a file system allocates. A part of one it would have to overwrite with zeros instead. */
static uint32_t block_of(int fd)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0 || st.f_frsize < 512 || st.f_frsize > LIMIT_DISCARD_STEP ||
		(st.f_frsize & (st.f_frsize - 1)) != 0)
		return 4096;
	return (uint32_t)st.f_frsize;
}

/* Behind its end there is nothing to be lost, and the file stays as long as it is. */
static void probe_file(int fd, struct discard *d)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	d->unit_bytes = block_of(fd);
	d->granularity_bytes = d->unit_bytes;
	d->possible = fallocate(fd, PUNCH, (st.st_size / d->unit_bytes + 1) * d->unit_bytes,
			      d->unit_bytes) == 0;
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

int discard_range(int fd, const struct discard *discard, uint64_t offset_bytes,
	uint64_t length_bytes, bool secure)
{
	uint64_t unit = discard->unit_bytes;
	uint64_t at = (offset_bytes + unit - 1) / unit * unit;
	uint64_t end = (offset_bytes + length_bytes) / unit * unit;
	int r = 0;

	while (r == 0 && at < end) {
		uint64_t n = end - at;

		if (n > LIMIT_DISCARD_STEP)
			n = LIMIT_DISCARD_STEP;
		r = discard_step(fd, discard, at, n, secure);
		at += n;
	}
	return r;
}

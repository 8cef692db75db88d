#include "frontend-shim/blkfront/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring/request.h"

void blkfront_options_init(struct blkfront_options *options)
{
	*options = (struct blkfront_options){
		.frontend = "device/vbd/51712",
		.persistent = true,
		.nr_queues = 1,
		.indirect = 32,
		.timeout_ms = 30000,
	};
}

static int parse_unsigned(const char *text, unsigned max, unsigned *ret_value)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || *end || value > max)
		return -EINVAL;
	*ret_value = (unsigned)value;
	return 0;
}

static int parse_bool(const char *text, bool *ret_value)
{
	unsigned value;

	if (parse_unsigned(text, 1, &value))
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int parse_protocol(const char *text, enum blkfront_protocol *ret_protocol)
{
	static const char *const names[] = {
		[BLKFRONT_PROTOCOL_64] = "x86_64-abi",
		[BLKFRONT_PROTOCOL_32] = "x86_32-abi",
		[BLKFRONT_PROTOCOL_ABSENT] = "none",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_protocol = (enum blkfront_protocol)i;
			return 0;
		}
	return -EINVAL;
}

static int set_frontend(struct blkfront_options *options, const char *node)
{
	if (*node == '\0' || strlen(node) >= sizeof(options->frontend))
		return -EINVAL;
	snprintf(options->frontend, sizeof(options->frontend), "%s", node);
	return 0;
}

static int set_vdev(struct blkfront_options *options, const char *vdev)
{
	unsigned number;

	if (blkfront_vdev_parse(vdev, &number))
		return -EINVAL;
	snprintf(options->frontend, sizeof(options->frontend), "device/vbd/%u", number);
	return 0;
}

static int set_timeout(struct blkfront_options *options, const char *seconds)
{
	unsigned value;

	if (parse_unsigned(seconds, INT_MAX / 1000, &value) || value == 0)
		return -EINVAL;
	options->timeout_ms = value * 1000;
	return 0;
}

static int set_queues(struct blkfront_options *options, const char *number)
{
	unsigned value;

	if (parse_unsigned(number, BLKFRONT_QUEUES_MAX, &value) || value == 0)
		return -EINVAL;
	options->nr_queues = value;
	return 0;
}

int blkfront_options_set(struct blkfront_options *options, const char *key, const char *value)
{
	if (strcmp(key, "vdev") == 0)
		return set_vdev(options, value);
	if (strcmp(key, "frontend") == 0)
		return set_frontend(options, value);
	if (strcmp(key, "protocol") == 0)
		return parse_protocol(value, &options->protocol);
	if (strcmp(key, "persistent") == 0)
		return parse_bool(value, &options->persistent);
	if (strcmp(key, "grant-per-request") == 0)
		return parse_bool(value, &options->grant_per_request);
	if (strcmp(key, "pages") == 0)
		return parse_unsigned(value, 1u << 20, &options->nr_pages);
	if (strcmp(key, "ring-order") == 0)
		return parse_unsigned(value, BLKFRONT_RING_ORDER_MAX, &options->ring_order);
	if (strcmp(key, "queues") == 0)
		return set_queues(options, value);
	if (strcmp(key, "indirect") == 0)
		return parse_unsigned(value, BLK_SEGMENTS_MAX, &options->indirect);
	if (strcmp(key, "first-sect") == 0)
		return parse_unsigned(value, WIRE_PAGE_SECTORS - 1, &options->first_sect);
	if (strcmp(key, "timeout") == 0)
		return set_timeout(options, value);
	return -ENOENT;
}

/* ---- virtual disk names ----------------------------------------------------------------------- */

/* "a".."z", "aa".. as in drive letters. Returns the text behind, or NULL. */
static const char *parse_letters(const char *text, unsigned *ret_disk)
{
	unsigned disk = 0;
	const char *p = text;

	for (; *p >= 'a' && *p <= 'z'; p++) {
		if (p - text > 4)
			return NULL;
		disk = disk * 26 + (unsigned)(*p - 'a') + 1;
	}
	if (p == text)
		return NULL;
	*ret_disk = disk - 1;
	return p;
}

/* Numbers from blkif.h's companion xen-vbd-interface(7): PEERS of the same name agree on them. */
static int encode_xvd(unsigned disk, unsigned part, unsigned *ret_number)
{
	if (disk < 16 && part < 16)
		*ret_number = 202u << 8 | disk << 4 | part;
	else if (disk < 1u << 20 && part < 256)
		*ret_number = 1u << 28 | disk << 8 | part;
	else
		return -EINVAL;
	return 0;
}

static int encode_sd(unsigned disk, unsigned part, unsigned *ret_number)
{
	if (disk >= 16 || part >= 16)
		return -EINVAL;
	*ret_number = 8u << 8 | disk << 4 | part;
	return 0;
}

static int encode_hd(unsigned disk, unsigned part, unsigned *ret_number)
{
	if (disk >= 4 || part >= 64)
		return -EINVAL;
	*ret_number = disk < 2 ? 3u << 8 | disk << 6 | part : 22u << 8 | (disk - 2) << 6 | part;
	return 0;
}

int blkfront_vdev_parse(const char *text, unsigned *ret_number)
{
	static const struct {
		const char *prefix;
		int (*encode)(unsigned disk, unsigned part, unsigned *ret_number);
	} kinds[] = {{"xvd", encode_xvd}, {"sd", encode_sd}, {"hd", encode_hd}};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);
		unsigned disk, part = 0;
		const char *rest;

		if (strncmp(text, kinds[i].prefix, n) != 0)
			continue;
		rest = parse_letters(text + n, &disk);
		if (!rest || *rest == '0' || (*rest && parse_unsigned(rest, 255, &part)))
			return -EINVAL;
		return kinds[i].encode(disk, part, ret_number);
	}
	return parse_unsigned(text, INT_MAX, ret_number);
}

/*
 * What kind of guest a blkfront plays, and the parameters that say so in every program built on it.
 *
 * Any thread; plain data and pure functions. Never logs.
 */
#ifndef FRONTEND_SHIM_BLKFRONT_OPTIONS_H
#define FRONTEND_SHIM_BLKFRONT_OPTIONS_H

#include <stdbool.h>

/* The value of the `protocol` node. Without it a backend on x86 assumes the 32-bit one (R19). */
enum blkfront_protocol {
	BLKFRONT_PROTOCOL_64 = 0,
	BLKFRONT_PROTOCOL_32,
	BLKFRONT_PROTOCOL_ABSENT,
};

#define BLKFRONT_RING_ORDER_MAX 4u
#define BLKFRONT_QUEUES_MAX     8u

struct blkfront_options {
	char frontend[64]; /* the frontend's node as the guest names it: "device/vbd/51712" */
	enum blkfront_protocol protocol;
	bool persistent;        /* offer feature-persistent */
	bool grant_per_request; /* grant fresh pages for each request and take them back after it */
	unsigned
		nr_pages; /* in the pool; 0: enough for rings full of direct requests, or 32 indirect ones in each */
	unsigned ring_order; /* a ring has 2^order pages */
	unsigned nr_queues;  /* rings */
	unsigned indirect; /* segments of the largest request wanted; up to 11: no indirect ones */
	unsigned first_sect; /* where in its page a buffer starts: 0..7 */
	unsigned timeout_ms; /* for each step of the handshake */
};

/* A well-behaved 64-bit Linux guest whose disk is xvda. */
void blkfront_options_init(struct blkfront_options *options) __attribute__((nonnull));

/*
 * Set one option from text. Keys: vdev, frontend, protocol, persistent, grant-per-request, pages,
 * ring-order, queues, indirect, first-sect, timeout (seconds). -ENOENT: no such key; -EINVAL: not a value for it.
 */
int blkfront_options_set(struct blkfront_options *options, const char *key, const char *value)
	__attribute__((nonnull, warn_unused_result));

/* One line per key, for --help. */
#define BLKFRONT_OPTIONS_HELP                                                                               \
	"vdev=NAME              the disk: xvda, sdb1, 51712 ... (default xvda)\n"                           \
	"frontend=NODE          its node, if not device/vbd/NUMBER\n"                                       \
	"protocol=PROTOCOL      x86_64-abi (default), x86_32-abi, or none: no such node\n"                  \
	"persistent=0|1         offer persistent grants (default 1)\n"                                      \
	"grant-per-request=0|1  grant pages for one request only (needs persistent=0)\n"                    \
	"pages=N                pages in the pool (default: enough for full rings)\n"                       \
	"queues=1..8            so many rings (default 1)\n"                                                \
	"ring-order=0..4        a ring has 2^N pages (default 0)\n"                                         \
	"indirect=0..256        segments of the largest request; up to 11: only direct ones (default 32)\n" \
	"first-sect=0..7        where in its page a buffer starts, in 512-byte units\n"                     \
	"timeout=SECONDS        for each step of the handshake (default 30)\n"

/*
 * The device number of a virtual disk's name, by xen-vbd-interface(7): "xvda", "xvdb3", "hda",
 * "sdc1", or a number. -EINVAL.
 */
int blkfront_vdev_parse(const char *text, unsigned *ret_number)
	__attribute__((nonnull, warn_unused_result));

#endif

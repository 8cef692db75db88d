/*
 * hand-over-hazard [OPTION]...: an image goes back and forth between a QEMU (opener.h) and a guest on a worker, as when a guest boots from its
 * emulated disk and then uses its PV disk, and boots again. Counts what one has written and another does not find. Runs as the guest (below
 * in-host), whose disk the worker serves already; prints one line of figures:
 *
 *   hand-overs=N reads=N stale=N lost=N pages=N
 *
 *   reads  sectors that QEMU and the guest have read and compared
 *   stale  sectors of these that were older than what their last writer had been told is written; each version counts once
 *   lost   sectors that are still older when at the end all that is dirty is written, all caches are dropped and the medium is read
 *   pages  of all nodes, still in the page cache after a hand-over; the most there ever were
 *
 * One life of the image: QEMU opens it, reads and writes at random, and quits or is killed (then what it wrote is in the page cache, as dirty as
 * it left it); the guest connects, reads and writes, and closes. From time to time somebody holds a node open or lets it go again, as tools of
 * dom0 do: the kernel drops a device's pages when nobody has it open. And somebody reads, through QEMU's node, beside the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "frontend-shim/blkfront/sync.h"
#include "tests/lib/dice.h"
#include "tests/lib/opener.h"
#include "tests/lib/page_count.h"
#include "tests/lib/stamps.h"

#define NODES_MAX    4u
#define EXTENT_MAX   32u /* sectors of one read or write */
#define EXTENT_BYTES (EXTENT_MAX * STAMP_SECTOR)

static const char usage[] =
	"usage: hand-over-hazard OPTION...\n"
	"qemu=NODE         what QEMU opens\n"
	"nodes=NODE,...    all that lies over the blocks, what is above before what is below; the last one is the image's file\n"
	"served-at=BYTES   where on the guest's disk the stretch lies that is written (default 0)\n"
	"qemu-at=BYTES     ... and on QEMU's node\n"
	"file-at=BYTES     ... and in the file\n"
	"hand-overs=N      from one to the other (default 20)\n"
	"seed=N            (default 1)\n"
	"plan=random|plain plain: QEMU reads all of it, the guest writes all of it, and so on, and somebody holds all nodes open\n"
	"scratch=FILE      for data on its way to QEMU\n";

struct figures {
	unsigned hand_overs, reads, stale, lost;
	uint64_t pages;
};

struct hazard {
	const char *qemu, *scratch;
	const char *node[NODES_MAX];
	unsigned nr_nodes;
	int held[NODES_MAX]; /* open descriptors, or -1 */
	uint64_t served_at, qemu_at, file_at;
	unsigned nr_wanted;
	bool is_plain;
	struct dice dice;
	struct stamps stamps;
	struct figures figures;
};

static _Alignas(4096) unsigned char buffer[STAMP_BYTES];

static bool fail(const char *what, const char *object)
{
	(void)fprintf(stderr, "hand-over-hazard: %s '%s': %s\n", what, object, strerror(errno));
	return false;
}

/* ---- the nodes -------------------------------------------------------------------------------- */

static const char *file_of(const struct hazard *h)
{
	return h->node[h->nr_nodes - 1];
}

static bool hold(struct hazard *h, unsigned i)
{
	h->held[i] = open(h->node[i], O_RDONLY | O_CLOEXEC);
	return h->held[i] >= 0 || fail("cannot open", h->node[i]);
}

static void let_go(struct hazard *h, unsigned i)
{
	if (h->held[i] >= 0)
		(void)close(h->held[i]);
	h->held[i] = -1;
}

static bool shuffle_holders(struct hazard *h)
{
	unsigned i = (unsigned)dice_below(&h->dice, h->nr_nodes);

	if (h->is_plain || !dice_one_in(&h->dice, 3))
		return true;
	if (h->held[i] < 0)
		return hold(h, i);
	let_go(h, i);
	return true;
}

/* After a hand-over. A node that nobody has open is opened for that, which brings no page in. */
static bool count_pages(struct hazard *h)
{
	uint64_t sum = 0;

	h->figures.hand_overs++;
	for (unsigned i = 0; i < h->nr_nodes; i++) {
		struct page_count count;
		int fd = open(h->node[i], O_RDONLY | O_CLOEXEC);
		int r = fd < 0 ? -errno : page_count(fd, false, &count);

		if (fd >= 0)
			(void)close(fd);
		errno = -r;
		if (r)
			return fail("cannot count the pages of", h->node[i]);
		sum += count.pages;
	}
	if (sum > h->figures.pages)
		h->figures.pages = sum;
	return true;
}

/* From above to below, so that what is written through one is in those below before they are. */
static bool settle(struct hazard *h)
{
	for (unsigned i = 0; i < h->nr_nodes; i++) {
		int fd = open(h->node[i], O_RDONLY | O_CLOEXEC);
		bool is_done = fd >= 0 && fsync(fd) == 0 &&
			       (ioctl(fd, BLKFLSBUF, 0) == 0 ||
				       posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);

		if (fd >= 0)
			(void)close(fd);
		if (!is_done)
			return fail("cannot settle", h->node[i]);
	}
	return true;
}

/* All of the stretch, past the page cache: written or read. */
static bool on_medium(struct hazard *h, bool is_write)
{
	int fd = open(file_of(h), O_RDWR | O_DIRECT | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0)
		n = is_write ? pwrite(fd, buffer, STAMP_BYTES, (off_t)h->file_at)
			     : pread(fd, buffer, STAMP_BYTES, (off_t)h->file_at);
	if (fd >= 0)
		(void)close(fd);
	return n == (ssize_t)STAMP_BYTES || fail("no direct I/O with", file_of(h));
}

/* ---- what each of the two does ---------------------------------------------------------------- */

struct extent {
	unsigned first, n;
};

/* Parts of pages, too: what is beside them comes from the page, however old that is. */
static struct extent some_extent(struct hazard *h)
{
	unsigned n = dice_between(&h->dice, 1, EXTENT_MAX);
	unsigned first = (unsigned)dice_below(&h->dice, STAMP_COUNT - n + 1);

	return (struct extent){first, n};
}

static void compare(struct hazard *h, struct extent e)
{
	h->figures.reads += e.n;
	h->figures.stale += stamps_miss(&h->stamps, e.first, e.n, buffer);
}

static bool qemu_reads(struct hazard *h, struct opener *qemu, struct extent e)
{
	if (!opener_read(qemu, h->qemu_at + e.first * STAMP_SECTOR, e.n * STAMP_SECTOR, buffer))
		return false;
	compare(h, e);
	return true;
}

static bool qemu_writes(struct hazard *h, struct opener *qemu, struct extent e)
{
	size_t size_bytes = e.n * STAMP_SECTOR;
	FILE *scratch = fopen(h->scratch, "we");
	bool is_written;

	if (!scratch)
		return fail("cannot make", h->scratch);
	stamps_write(&h->stamps, e.first, e.n, buffer);
	is_written = fwrite(buffer, size_bytes, 1, scratch) == 1;
	if (fclose(scratch) || !is_written)
		return fail("cannot write", h->scratch);
	return opener_write(
		qemu, h->qemu_at + e.first * STAMP_SECTOR, (unsigned)size_bytes, h->scratch);
}

static bool guest_reads(struct hazard *h, struct blkfront_sync *guest, struct extent e)
{
	int r = blkfront_sync_read(
		guest, buffer, e.n * STAMP_SECTOR, h->served_at + e.first * STAMP_SECTOR);

	errno = -r;
	if (r)
		return fail("the guest cannot read", file_of(h));
	compare(h, e);
	return true;
}

static bool guest_writes(struct hazard *h, struct blkfront_sync *guest, struct extent e)
{
	int r;

	stamps_write(&h->stamps, e.first, e.n, buffer);
	r = blkfront_sync_write(
		guest, buffer, e.n * STAMP_SECTOR, h->served_at + e.first * STAMP_SECTOR);
	errno = -r;
	return r == 0 || fail("the guest cannot write", file_of(h));
}

/* Beside the guest, and nobody looks at what it reads. */
static bool tool_reads(struct hazard *h)
{
	struct extent e = some_extent(h);
	int fd = open(h->qemu, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0)
		n = pread(fd, buffer, e.n * STAMP_SECTOR,
			(off_t)(h->qemu_at + e.first * STAMP_SECTOR));
	if (fd >= 0)
		(void)close(fd);
	return n > 0 || fail("cannot read", h->qemu);
}

/* ---- their turns ------------------------------------------------------------------------------ */

static bool qemu_plain(struct hazard *h, struct opener *qemu)
{
	bool is_fine = true;

	for (unsigned first = 0; is_fine && first < STAMP_COUNT; first += EXTENT_MAX)
		is_fine = qemu_reads(h, qemu, (struct extent){first, EXTENT_MAX});
	return is_fine;
}

static bool qemu_random(struct hazard *h, struct opener *qemu)
{
	unsigned n = dice_between(&h->dice, 1, 6);
	bool is_fine = true;

	while (is_fine && n-- > 0) {
		switch (dice_below(&h->dice, 5)) {
		case 0:
			is_fine = opener_flush(qemu);
			break;
		case 1:
		case 2:
			is_fine = qemu_writes(h, qemu, some_extent(h));
			break;
		default:
			is_fine = qemu_reads(h, qemu, some_extent(h));
		}
	}
	return is_fine;
}

static bool turn_of_qemu(struct hazard *h)
{
	bool is_system = dice_one_in(&h->dice, 4);
	bool is_killed = !h->is_plain && dice_one_in(&h->dice, 2);
	struct opener qemu;
	bool is_fine;

	if (!opener_start(&qemu, is_system ? OPENER_QEMU_SYSTEM : OPENER_QEMU_IO, h->qemu))
		return false;
	is_fine = h->is_plain ? qemu_plain(h, &qemu) : qemu_random(h, &qemu);
	return opener_end(&qemu, is_killed || !is_fine) && is_fine;
}

static bool guest_plain(struct hazard *h, struct blkfront_sync *guest)
{
	const struct extent all = {0, STAMP_COUNT};

	return guest_reads(h, guest, all) && guest_writes(h, guest, all);
}

static bool guest_random(struct hazard *h, struct blkfront_sync *guest)
{
	unsigned n = dice_between(&h->dice, 1, 6);
	bool is_fine = true;

	while (is_fine && n-- > 0) {
		switch (dice_below(&h->dice, 8)) {
		case 0:
			is_fine = tool_reads(h);
			break;
		case 1:
		case 2:
		case 3:
			is_fine = guest_reads(h, guest, some_extent(h));
			break;
		default:
			is_fine = guest_writes(h, guest, some_extent(h));
		}
	}
	return is_fine;
}

static bool turn_of_guest(struct hazard *h)
{
	struct blkfront_options options;
	struct blkfront_sync *guest;
	char *problem = NULL;
	bool is_fine;

	blkfront_options_init(&options);
	if (blkfront_sync_create(&options, &guest, &problem)) {
		(void)fprintf(stderr, "hand-over-hazard: the guest cannot connect: %s\n",
			problem ? problem : "?");
		free(problem);
		return false;
	}
	is_fine = count_pages(h) && shuffle_holders(h) &&
		  (h->is_plain ? guest_plain(h, guest) : guest_random(h, guest));
	blkfront_sync_destroy(guest);
	return is_fine && count_pages(h);
}

static bool run(struct hazard *h)
{
	bool is_fine;

	stamps_write(&h->stamps, 0, STAMP_COUNT, buffer);
	is_fine = on_medium(h, true) && settle(h);
	for (unsigned i = 0; is_fine && h->is_plain && i < h->nr_nodes; i++)
		is_fine = hold(h, i);
	while (is_fine && h->figures.hand_overs < h->nr_wanted)
		is_fine = shuffle_holders(h) && turn_of_qemu(h) && turn_of_guest(h);
	if (is_fine && h->is_plain)
		is_fine = turn_of_qemu(h);
	is_fine = is_fine && settle(h) && on_medium(h, false);
	for (unsigned i = 0; i < h->nr_nodes; i++)
		let_go(h, i);
	if (is_fine)
		h->figures.lost = stamps_differ(&h->stamps, 0, STAMP_COUNT, buffer);
	return is_fine;
}

/* ---- options ---------------------------------------------------------------------------------- */

static bool set_nodes(struct hazard *h, char *list)
{
	char *node;

	while ((node = strsep(&list, ","))) {
		if (h->nr_nodes == NODES_MAX || *node == '\0')
			return false;
		h->held[h->nr_nodes] = -1;
		h->node[h->nr_nodes++] = node;
	}
	return true;
}

static bool set_number(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool set_option(struct hazard *h, const char *key, char *value)
{
	uint64_t number = 0;

	if (strcmp(key, "qemu") == 0)
		h->qemu = value;
	else if (strcmp(key, "scratch") == 0)
		h->scratch = value;
	else if (strcmp(key, "nodes") == 0)
		return set_nodes(h, value);
	else if (strcmp(key, "plan") == 0)
		return (h->is_plain = strcmp(value, "plain") == 0) || strcmp(value, "random") == 0;
	else if (strcmp(key, "served-at") == 0)
		return set_number(value, &h->served_at);
	else if (strcmp(key, "qemu-at") == 0)
		return set_number(value, &h->qemu_at);
	else if (strcmp(key, "file-at") == 0)
		return set_number(value, &h->file_at);
	else if (strcmp(key, "seed") == 0)
		return set_number(value, &h->dice.state);
	else if (strcmp(key, "hand-overs") == 0 && set_number(value, &number) && number <= 1000000)
		h->nr_wanted = (unsigned)number;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct hazard h = {.nr_wanted = 20, .dice.state = 1};

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value)
			*value++ = '\0';
		if (!value || !set_option(&h, argv[i], value)) {
			(void)fputs(usage, stderr);
			return 2;
		}
	}
	if (!h.qemu || !h.scratch || h.nr_nodes == 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (!run(&h))
		return 1;
	printf("hand-overs=%u reads=%u stale=%u lost=%u pages=%" PRIu64 "\n", h.figures.hand_overs,
		h.figures.reads, h.figures.stale, h.figures.lost, h.figures.pages);
	return 0;
}

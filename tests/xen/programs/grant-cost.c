/*
 * What it costs to get at a guest's pages: copying them against mapping and unmapping them.
 *
 *   grant-cost FILE
 *
 * Grants pages to this domain itself, and does with each number of segments what the worker does in one
 * pass: one call for all. One line per number, nanoseconds per segment:
 *
 *   grant-cost: segments=N copy_ns=N map_ns=N
 *
 * copy: one page of data each, the call alone. map: the mapping, a touch of each page, the unmapping. Then
 *
 *   grant-cost: direct reads own_ns=N mapped_ns=N
 *
 * nanoseconds for reading a page of FILE with libaio and direct I/O, 32 in flight: into memory of our own, and
 * into granted pages that stay mapped.
 */
#include <err.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <xengnttab.h>

#define PAGE    4096u
#define MAX     64u
#define DEPTH   32u
#define SPAN_NS 500000000u /* each figure is taken for so long */

static xengnttab_handle *tab;
static uint32_t refs[MAX];
static xengnttab_grant_copy_segment_t segment[MAX];
static volatile uint8_t sink;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void copy(unsigned n)
{
	if (xengnttab_grant_copy(tab, n, segment))
		err(1, "grant copy");
	for (unsigned i = 0; i < n; i++)
		if (segment[i].status != 0)
			errx(1, "grant copy: status %d", segment[i].status);
}

static void map(unsigned n)
{
	uint8_t *pages = xengnttab_map_domain_grant_refs(tab, n, 0, refs, PROT_READ | PROT_WRITE);

	if (!pages)
		err(1, "%u grants cannot be mapped", n);
	for (unsigned i = 0; i < n; i++)
		sink = pages[(size_t)i * PAGE];
	if (xengnttab_unmap(tab, pages, n))
		err(1, "%u grants cannot be unmapped", n);
}

/* ---- direct I/O ------------------------------------------------------------------------------- */

static io_context_t aio;
static int file;
static uint8_t *target[DEPTH];

/* The first @n pages of the file, each into its target. */
static void read_pages(unsigned n)
{
	struct iocb iocb[DEPTH], *list[DEPTH];
	struct io_event event[DEPTH];

	for (unsigned i = 0; i < n; i++) {
		list[i] = &iocb[i];
		io_prep_pread(list[i], file, target[i], PAGE, (long long)i * PAGE);
	}
	if (io_submit(aio, (long)n, list) != (int)n ||
		io_getevents(aio, (long)n, (long)n, event, NULL) != (int)n)
		errx(1, "reading fails");
	for (unsigned i = 0; i < n; i++)
		if (event[i].res != PAGE)
			errx(1, "a read gives %ld", (long)event[i].res);
}

static void open_file(const char *name)
{
	file = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (file < 0)
		err(1, "'%s'", name);
	if (io_setup(DEPTH, &aio) < 0)
		errx(1, "io_setup");
}

/* ---- what is measured ------------------------------------------------------------------------- */

static uint64_t cost_ns(void (*act)(unsigned n), unsigned n)
{
	uint64_t begin, now, rounds = 0;

	act(n);
	begin = now_ns();
	do {
		act(n);
		rounds++;
		now = now_ns();
	} while (now - begin < SPAN_NS);
	return (now - begin) / rounds / n;
}

static void print_direct(uint8_t *own)
{
	uint64_t own_ns;

	for (unsigned i = 0; i < DEPTH; i++)
		target[i] = own + (size_t)i * PAGE;
	own_ns = cost_ns(read_pages, DEPTH);
	for (unsigned i = 0; i < DEPTH; i++) {
		target[i] = xengnttab_map_grant_ref(tab, 0, refs[i], PROT_READ | PROT_WRITE);
		if (!target[i])
			err(1, "a grant cannot be mapped");
	}
	printf("grant-cost: direct reads own_ns=%ju mapped_ns=%ju\n", (uintmax_t)own_ns,
		(uintmax_t)cost_ns(read_pages, DEPTH));
}

int main(int argc, char **argv)
{
	static const unsigned numbers[] = {1, 2, 4, 8, 11, 16, 32, 64};
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	uint8_t *buffer = aligned_alloc(PAGE, MAX * PAGE);

	if (argc != 2)
		errx(2, "usage: grant-cost FILE");
	open_file(argv[1]);
	tab = xengnttab_open(NULL, 0);
	if (!shr || !tab || !buffer || !xengntshr_share_pages(shr, 0, MAX, refs, 1))
		err(1, "no grants here");
	for (unsigned i = 0; i < MAX; i++)
		segment[i] = (xengnttab_grant_copy_segment_t){
			.source.foreign = {.ref = refs[i], .domid = 0},
			.dest.virt = buffer + (size_t)i * PAGE,
			.len = PAGE,
			.flags = GNTCOPY_source_gref};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		printf("grant-cost: segments=%u copy_ns=%ju map_ns=%ju\n", numbers[i],
			(uintmax_t)cost_ns(copy, numbers[i]), (uintmax_t)cost_ns(map, numbers[i]));
	print_direct(buffer);
	return 0;
}

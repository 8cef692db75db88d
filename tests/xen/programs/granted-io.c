/*
 * Does direct I/O hold on granted pages that are mapped here, as the worker's persistent grants are?
 *
 *   granted-io aio|uring FILE rounds=100
 *
 * Grants pages to this domain itself and maps them; then, in each round, writes DEPTH blocks of FILE from
 * mapped pages, all in flight at once, reads them back into other mapped pages, and looks at the bytes
 * through the pages of the one who granted them. FILE is overwritten. Exit code 0: every byte was right.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xengnttab.h>

#define PAGE  4096u
#define DEPTH 32u

/* One set of pages: as the owner sees them, and as they are mapped. */
struct pages {
	uint8_t *owned;
	void *mapped[DEPTH];
};

struct program {
	const char *file;
	int fd;
	unsigned rounds;
	struct pages source, target;
	io_context_t aio;
	struct io_uring uring;
};

static struct program program;

/* ---- pages ------------------------------------------------------------------------------------ */

/* Each is mapped by a call of its own, as grants come. */
static void share(xengntshr_handle *shr, xengnttab_handle *tab, struct pages *pages)
{
	uint32_t refs[DEPTH];

	pages->owned = xengntshr_share_pages(shr, 0, DEPTH, refs, 1);
	if (!pages->owned)
		err(1, "pages cannot be granted");
	for (unsigned i = 0; i < DEPTH; i++) {
		pages->mapped[i] = xengnttab_map_grant_ref(tab, 0, refs[i], PROT_READ | PROT_WRITE);
		if (!pages->mapped[i])
			err(1, "grant %u cannot be mapped", refs[i]);
	}
}

static void fill(unsigned round)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		memset(program.source.owned + i * PAGE, (int)(round * 7 + i), PAGE);
		memset(program.target.owned + i * PAGE, 0xee, PAGE);
	}
}

static void verify(unsigned round)
{
	for (size_t i = 0; i < (size_t)DEPTH * PAGE; i++)
		if (program.target.owned[i] != (uint8_t)(round * 7 + i / PAGE))
			errx(1, "'%s': round %u: byte %zu is wrong", program.file, round, i);
}

/* ---- the two engines: DEPTH requests, and all their results ----------------------------------- */

static void expect_page(int64_t result)
{
	if (result != PAGE)
		errx(1, "'%s': a request gives %jd", program.file, (intmax_t)result);
}

static void batch_aio(bool is_write, const struct pages *pages)
{
	struct iocb iocb[DEPTH], *list[DEPTH];
	struct io_event event[DEPTH];
	int n;

	for (unsigned i = 0; i < DEPTH; i++) {
		list[i] = &iocb[i];
		if (is_write)
			io_prep_pwrite(list[i], program.fd, pages->mapped[i], PAGE, i * PAGE);
		else
			io_prep_pread(list[i], program.fd, pages->mapped[i], PAGE, i * PAGE);
	}
	n = io_submit(program.aio, DEPTH, list);
	if (n == DEPTH)
		n = io_getevents(program.aio, DEPTH, DEPTH, event, NULL);
	if (n != DEPTH)
		errx(1, "libaio: %s", n < 0 ? strerror(-n) : "not all requests were taken");
	for (unsigned i = 0; i < DEPTH; i++)
		expect_page((int64_t)event[i].res);
}

static void batch_uring(bool is_write, const struct pages *pages)
{
	struct io_uring_cqe *cqe;
	int n;

	for (unsigned i = 0; i < DEPTH; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&program.uring);

		if (is_write)
			io_uring_prep_write(sqe, program.fd, pages->mapped[i], PAGE, i * PAGE);
		else
			io_uring_prep_read(sqe, program.fd, pages->mapped[i], PAGE, i * PAGE);
	}
	n = io_uring_submit(&program.uring);
	if (n != DEPTH)
		errx(1, "io_uring: %s", n < 0 ? strerror(-n) : "not all requests were taken");
	for (unsigned i = 0; i < DEPTH; i++) {
		n = io_uring_wait_cqe(&program.uring, &cqe);
		if (n < 0)
			errx(1, "io_uring: %s", strerror(-n));
		expect_page(cqe->res);
		io_uring_cqe_seen(&program.uring, cqe);
	}
}

/* ---- setting up ------------------------------------------------------------------------------- */

static void (*prepare(const char *engine))(bool is_write, const struct pages *pages)
{
	int r;

	if (strcmp(engine, "aio") == 0) {
		r = io_setup(DEPTH, &program.aio);
		if (r < 0)
			errx(1, "io_setup: %s", strerror(-r));
		return batch_aio;
	}
	if (strcmp(engine, "uring") != 0)
		errx(2, "'%s' is no engine: use aio or uring", engine);
	r = io_uring_queue_init(DEPTH, &program.uring, 0);
	if (r < 0)
		errx(1, "io_uring: %s", strerror(-r));
	return batch_uring;
}

int main(int argc, char **argv)
{
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	xengnttab_handle *tab = xengnttab_open(NULL, 0);
	void (*batch)(bool is_write, const struct pages *pages);

	if (argc < 3 || (argc > 3 && sscanf(argv[3], "rounds=%u", &program.rounds) != 1))
		errx(2, "usage: granted-io aio|uring FILE [rounds=N]");
	if (!shr || !tab)
		err(1, "no grants here");
	if (program.rounds == 0)
		program.rounds = 100;
	program.file = argv[2];
	program.fd = open(program.file, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (program.fd < 0)
		err(1, "'%s'", program.file);
	batch = prepare(argv[1]);
	share(shr, tab, &program.source);
	share(shr, tab, &program.target);
	for (unsigned round = 0; round < program.rounds; round++) {
		fill(round);
		batch(true, &program.source);
		batch(false, &program.target);
		verify(round);
	}
	printf("granted-io: right requests=%u\n", program.rounds * DEPTH * 2);
	return 0;
}

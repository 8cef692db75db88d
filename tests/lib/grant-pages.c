/*
 * Pages a guest grants to dom0 as a test wants them: for blkfront-io's requests with foreign grants.
 *
 *   grant-pages [--read-only] NUMBER [BYTE]
 *
 * Grants NUMBER pages full of BYTE (0) and prints their references in one line. Then each line of
 * standard input is a command: "show" prints one line per page, "0x5a" or "mixed"; "revoke" takes the
 * pages back, also while dom0 has them mapped. Ends with standard input.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xengnttab.h>

#define PAGE_SIZE 4096u
#define MAX_PAGES 64u

struct pages {
	xengntshr_handle *gntshr;
	uint8_t *memory; /* NULL once revoked */
	unsigned n;
	uint32_t gref[MAX_PAGES];
};

static int share(struct pages *pages, bool writable, int byte)
{
	pages->gntshr = xengntshr_open(NULL, 0);
	if (!pages->gntshr) {
		perror("grant-pages: xengntshr_open");
		return -1;
	}
	pages->memory =
		xengntshr_share_pages(pages->gntshr, 0, (int)pages->n, pages->gref, writable);
	if (!pages->memory) {
		perror("grant-pages: xengntshr_share_pages");
		return -1;
	}
	memset(pages->memory, byte, (size_t)pages->n * PAGE_SIZE);
	for (unsigned i = 0; i < pages->n; i++)
		printf("%s%u", i ? " " : "", pages->gref[i]);
	puts("");
	return 0;
}

static void show(const struct pages *pages)
{
	for (unsigned i = 0; pages->memory && i < pages->n; i++) {
		const uint8_t *page = pages->memory + (size_t)i * PAGE_SIZE;

		if (memcmp(page, page + 1, PAGE_SIZE - 1) == 0)
			printf("0x%02x\n", page[0]);
		else
			puts("mixed");
	}
}

static void revoke(struct pages *pages)
{
	if (pages->memory)
		(void)xengntshr_unshare(pages->gntshr, pages->memory, pages->n);
	pages->memory = NULL;
	puts("revoked");
}

static void obey(struct pages *pages)
{
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "show\n") == 0)
			show(pages);
		else if (strcmp(line, "revoke\n") == 0)
			revoke(pages);
		else
			puts("show or revoke?");
	}
}

int main(int argc, char **argv)
{
	bool writable = argc < 2 || strcmp(argv[1], "--read-only") != 0;
	char **arg = argv + (writable ? 1 : 2);
	struct pages pages = {0};

	if (*arg)
		pages.n = (unsigned)strtoul(*arg, NULL, 0);
	if (pages.n == 0 || pages.n > MAX_PAGES) {
		fprintf(stderr, "usage: grant-pages [--read-only] NUMBER [BYTE]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (share(&pages, writable, arg[1] ? (int)strtoul(arg[1], NULL, 0) : 0))
		return 1;
	obey(&pages);
	if (pages.memory)
		(void)xengntshr_unshare(pages.gntshr, pages.memory, pages.n);
	xengntshr_close(pages.gntshr);
	return 0;
}

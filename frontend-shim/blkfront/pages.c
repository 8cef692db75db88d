#include "frontend-shim/blkfront/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xengnttab.h>

#include "ring/request.h"

#define SHARE_MAX BLK_SEGMENTS_MAX

int blkfront_pages_init(struct blkfront_pages *pages, struct xengntdev_handle *gntshr,
	uint32_t domid, unsigned nr_pages)
{
	uint32_t *grefs;
	int r;

	pages->gntshr = gntshr;
	pages->domid = domid;
	pages->memory = NULL;
	pages->free = NULL;
	pages->nr_pages = 0;
	pages->nr_free = 0;
	if (nr_pages == 0)
		return 0;
	grefs = calloc(nr_pages, sizeof(*grefs));
	pages->free = calloc(nr_pages, sizeof(*pages->free));
	if (!grefs || !pages->free) {
		r = -ENOMEM;
		goto out;
	}
	pages->memory = xengntshr_share_pages(gntshr, domid, (int)nr_pages, grefs, 1);
	if (!pages->memory) {
		r = -errno;
		goto out;
	}
	pages->nr_pages = nr_pages;
	pages->nr_free = nr_pages;
	pages->nr_shared += nr_pages;
	for (unsigned i = 0; i < nr_pages; i++)
		pages->free[i] = (struct blkfront_page){
			pages->memory + (size_t)i * WIRE_PAGE_SIZE, grefs[i]};
	r = 0;
out:
	free(grefs);
	if (r) {
		free(pages->free);
		pages->free = NULL;
	}
	return r;
}

/* Count what became of pages we wanted back: a backend may still have them mapped. */
static void revoke(struct blkfront_pages *pages, void *memory, unsigned n)
{
	if (xengntshr_unshare(pages->gntshr, memory, n))
		pages->nr_still_mapped += n;
	else
		pages->nr_revoked += n;
}

void blkfront_pages_fini(struct blkfront_pages *pages)
{
	if (pages->memory)
		revoke(pages, pages->memory, pages->nr_pages);
	free(pages->free);
	pages->memory = NULL;
	pages->free = NULL;
	pages->nr_pages = 0;
	pages->nr_free = 0;
}

bool blkfront_pages_get(struct blkfront_pages *pages, struct blkfront_page *ret_page)
{
	if (pages->nr_free == 0)
		return false;
	*ret_page = pages->free[--pages->nr_free];
	return true;
}

void blkfront_pages_put(struct blkfront_pages *pages, const struct blkfront_page *page)
{
	if (pages->nr_free < pages->nr_pages)
		pages->free[pages->nr_free++] = *page;
}

int blkfront_pages_share(
	struct blkfront_pages *pages, unsigned n, bool writable, struct blkfront_page *ret_pages)
{
	uint32_t grefs[SHARE_MAX];
	uint8_t *memory;

	if (n == 0 || n > SHARE_MAX)
		return -EINVAL;
	memory = xengntshr_share_pages(pages->gntshr, pages->domid, (int)n, grefs, writable);
	if (!memory)
		return -errno;
	pages->nr_shared += n;
	for (unsigned i = 0; i < n; i++)
		ret_pages[i] =
			(struct blkfront_page){memory + (size_t)i * WIRE_PAGE_SIZE, grefs[i]};
	return 0;
}

void blkfront_pages_unshare(
	struct blkfront_pages *pages, const struct blkfront_page *shared, unsigned n)
{
	if (n > 0)
		revoke(pages, shared[0].address, n);
}

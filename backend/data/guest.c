#include "backend/data/guest.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <xengnttab.h>
#include <xentoollog.h>

#include "backend/data/budget.h"
#include "backend/data/stats.h"
#include "backend/util/limits.h"

/* Ring pages do not count among those of data. */
#define RING_PAGES (1u << LIMIT_RING_ORDER)

int guest_open(struct guest *guest, uint32_t domid, unsigned max_pages, struct budget *budget,
	struct queue_stats *stats)
{
	*guest = (struct guest){
		.stats = stats, .budget = budget, .max_pages = max_pages, .domid = domid};
	guest->quiet = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
	if (guest->quiet == NULL)
		return -ENOMEM;
	guest->handle = xengnttab_open(guest->quiet, 0);
	if (guest->handle == NULL) {
		int r = -errno;

		guest_close(guest);
		return r ? r : -ENODEV;
	}
	/* A wish: most kernels have no limit per handle, and do without the request. */
	(void)xengnttab_set_max_grants(guest->handle, RING_PAGES + max_pages);
	return 0;
}

static void give_budget(struct guest *guest, unsigned n)
{
	if (guest->budget == NULL)
		return;
	guest->has_counted = true;
	budget_give(guest->budget, n);
}

bool guest_may_rest(const struct guest *guest)
{
	return guest->has_counted && budget_may_rest(guest->budget);
}

void guest_rest(struct guest *guest)
{
	if (guest->has_counted)
		budget_rest(guest->budget);
	guest->has_counted = false;
}

void guest_close(struct guest *guest)
{
	if (guest->handle)
		(void)xengnttab_close(guest->handle);
	guest->handle = NULL;
	/* Whatever could not be unmapped has gone with the handle. */
	if (guest->nr_pages > 0)
		give_budget(guest, guest->nr_pages);
	guest->nr_pages = 0;
	guest_rest(guest);
	if (guest->quiet)
		xtl_logger_destroy(guest->quiet);
	guest->quiet = NULL;
}

static void *map(struct guest *guest, int protection, uint32_t *refs, unsigned n)
{
	void *pages =
		xengnttab_map_domain_grant_refs(guest->handle, n, guest->domid, refs, protection);

	if (pages)
		stat_add(&guest->stats->grants_mapped, n);
	return pages;
}

void *guest_map_ring(struct guest *guest, uint32_t *refs, unsigned n)
{
	return map(guest, PROT_READ | PROT_WRITE, refs, n);
}

void guest_unmap_ring(struct guest *guest, void *pages, unsigned n)
{
	if (xengnttab_unmap(guest->handle, pages, n) == 0)
		stat_add(&guest->stats->grants_unmapped, n);
}

static bool take_budget(struct guest *guest, unsigned n)
{
	if (guest->nr_pages + n > guest->max_pages)
		return false;
	if (guest->budget == NULL)
		return true;
	guest->has_counted = true;
	return budget_take(guest->budget, n);
}

bool guest_may_map(const struct guest *guest, enum guest_access access)
{
	return !guest->map_failed[access];
}

void guest_begin_pass(struct guest *guest)
{
	memset(guest->map_failed, 0, sizeof(guest->map_failed));
}

void *guest_map(struct guest *guest, enum guest_access access, uint32_t *refs, unsigned n)
{
	void *pages;

	if (!take_budget(guest, n)) {
		stat_add(&guest->stats->grants_over_limit, n);
		errno = EDQUOT;
		return NULL;
	}
	pages = map(guest, access == GUEST_READ ? PROT_READ : PROT_READ | PROT_WRITE, refs, n);
	if (pages) {
		guest->nr_pages += n;
	} else {
		guest->map_failed[access] = true;
		give_budget(guest, n);
	}
	return pages;
}

void guest_unmap(struct guest *guest, void *pages, unsigned n)
{
	/* What stays mapped stays counted. */
	if (xengnttab_unmap(guest->handle, pages, n))
		return;
	stat_add(&guest->stats->grants_unmapped, n);
	guest->nr_pages -= n;
	give_budget(guest, n);
}

static xengnttab_grant_copy_segment_t segment_of(const struct guest *guest,
	enum guest_copy_direction direction, const struct guest_copy *part)
{
	union xengnttab_copy_ptr local = {.virt = part->local};
	union xengnttab_copy_ptr foreign = {.foreign = {.ref = part->ref,
						    .offset = part->offset_bytes,
						    .domid = (uint16_t)guest->domid}};
	xengnttab_grant_copy_segment_t seg = {.len = part->length_bytes};

	if (direction == GUEST_COPY_IN) {
		seg.source = foreign;
		seg.dest = local;
		seg.flags = GNTCOPY_source_gref;
	} else {
		seg.source = local;
		seg.dest = foreign;
		seg.flags = GNTCOPY_dest_gref;
	}
	return seg;
}

void guest_copy_all(struct guest *guest, enum guest_copy_direction direction,
	struct guest_copy *parts, unsigned n)
{
	xengnttab_grant_copy_segment_t seg[GUEST_COPY_MAX];
	bool all_failed;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		seg[i] = segment_of(guest, direction, &parts[i]);
	all_failed = xengnttab_grant_copy(guest->handle, n, seg) != 0;
	/* XSA-361 and others: every part has a status of its own, and each is looked at. */
	for (unsigned i = 0; i < n; i++)
		parts[i].failed = all_failed || seg[i].status != GNTST_okay;
}

/*
 * xengnttab_grant_copy() straight from the shared grant tables. Which errors fail the whole call and
 * which become one segment's status is as with Linux's gntdev over Xen's gnttab_copy:
 *   the call, EINVAL: a segment without any grant; offset + len beyond the granted page
 *   the segment:      GNTST_bad_domain     no such domain
 *                     GNTST_bad_gntref     reference beyond the grant table
 *                     GNTST_general_error  entry unused, not for us, or read-only and to be written
 * A bad local address faults in the caller, where the real driver would say EFAULT.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xengnttab.h>

#include "frontend-shim/preload/gnt.h"

/* One side of a copy that names a grant; the three fields of xengnttab_copy_ptr.foreign. */
struct copy_foreign {
	uint32_t ref;
	uint16_t offset, domid;
	bool write;
};

static struct copy_foreign copy_foreign(const union xengnttab_copy_ptr *ptr, bool write)
{
	return (struct copy_foreign){
		ptr->foreign.ref, ptr->foreign.offset, ptr->foreign.domid, write};
}

static int16_t copy_find_domain(
	xengnttab_handle *xgt, struct copy_foreign *f, struct gnt_memory **ret_memory)
{
	uint32_t word;

	if (f->domid == DOMID_SELF)
		f->domid = (uint16_t)xgt->client.domid;
	if (f->domid >= DOMID_FIRST_RESERVED)
		return GNTST_bad_domain;
	word = atomic_load_explicit(&xgt->client.machine->slot_of[f->domid], memory_order_acquire);
	if (word == MACHINE_NO_SLOT)
		return GNTST_bad_domain;
	*ret_memory = gnt_memory(xgt, f->domid, word);
	return *ret_memory ? GNTST_okay : GNTST_bad_domain;
}

static int16_t copy_find_page(xengnttab_handle *xgt, const struct copy_foreign *f,
	const struct gnt_memory *memory, uint8_t **ret_ptr)
{
	uint64_t word;

	if (f->ref >= GUEST_GRANTS)
		return GNTST_bad_gntref;
	word = atomic_load((_Atomic uint64_t *)(void *)memory->base + f->ref);
	if (!(grant_flags(word) & GRANT_PERMIT) || grant_domid(word) != xgt->client.domid)
		return GNTST_general_error;
	if (f->write && (grant_flags(word) & GRANT_READONLY))
		return GNTST_general_error;
	*ret_ptr = memory->base + (size_t)grant_frame(word) * GUEST_PAGE + f->offset;
	return GNTST_okay;
}

/* Xen looks up both domains first, then pins the source, then the destination. */
static int16_t copy_segment(xengnttab_handle *xgt, const xengnttab_grant_copy_segment_t *seg)
{
	struct copy_foreign from = copy_foreign(&seg->source, false);
	struct copy_foreign to = copy_foreign(&seg->dest, true);
	struct gnt_memory *from_memory = NULL, *to_memory = NULL;
	uint8_t *src = seg->source.virt, *dst = seg->dest.virt;
	int16_t status = GNTST_okay;

	if (seg->flags & GNTCOPY_source_gref)
		status = copy_find_domain(xgt, &from, &from_memory);
	if (status == GNTST_okay && (seg->flags & GNTCOPY_dest_gref))
		status = copy_find_domain(xgt, &to, &to_memory);
	if (status == GNTST_okay && from_memory)
		status = copy_find_page(xgt, &from, from_memory, &src);
	if (status == GNTST_okay && to_memory)
		status = copy_find_page(xgt, &to, to_memory, &dst);
	if (status == GNTST_okay)
		memmove(dst, src, seg->len);
	return status;
}

static bool copy_is_valid(const xengnttab_grant_copy_segment_t *seg)
{
	if (!(seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref)))
		return false;
	if ((seg->flags & GNTCOPY_source_gref) &&
		(uint32_t)seg->source.foreign.offset + seg->len > GUEST_PAGE)
		return false;
	return !(seg->flags & GNTCOPY_dest_gref) ||
	       (uint32_t)seg->dest.foreign.offset + seg->len <= GUEST_PAGE;
}

int xengnttab_grant_copy(
	xengnttab_handle *xgt, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
	uint64_t bytes = 0;
	uint32_t i;

	/* Counted before any entry is looked at, and sequentially consistent: xensimd clears an entry
	 * and then looks whether a copy is under way, so one of the two sees the other. */
	atomic_fetch_add(&xgt->self->copies_begun, 1);
	for (i = 0; i < count && copy_is_valid(&segs[i]); i++) {
		segs[i].status = segs[i].len ? copy_segment(xgt, &segs[i]) : GNTST_okay;
		if (segs[i].status == GNTST_okay)
			bytes += segs[i].len;
	}
	atomic_fetch_add(&xgt->self->copies_done, 1);
	atomic_fetch_add_explicit(&xgt->self->nr_copied_segments, i, memory_order_relaxed);
	atomic_fetch_add_explicit(&xgt->self->nr_copied_bytes, bytes, memory_order_relaxed);
	return shim_result(i < count ? -EINVAL : 0);
}

#include "tests/fuzz/fake_xen.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "backend/util/limits.h"
#include "tests/fuzz/fuzz.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n)   ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

#define PAGE       ((size_t)WIRE_PAGE_SIZE)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* Mappings of several pages at a time. Each page of them that was ever used costs the kernel something. */
#define NR_AREAS    LIMIT_SLOTS
#define AREA_PAGES  ((size_t)LIMIT_SEGMENTS)
#define SHOWN_MAX   20000u
#define AREAS_BYTES (NR_AREAS * AREA_PAGES * PAGE)

struct fake_xen fake_xen;

static int memory_fd = -1;
static uint8_t *views;                /* one page for each reference, then the ring */
static uint8_t view_shows[FAKE_REFS]; /* the page */
static uint32_t changed[FAKE_REFS];   /* grants that are not as they come */
static unsigned nr_changed;
static bool is_changed[FAKE_REFS];

struct area_page {
	uint32_t ref;
	uint8_t page;
	uint8_t prot; /* 0: nothing shown yet */
};

static struct area {
	unsigned n; /* 0: free */
	bool writable;
	struct area_page page[AREA_PAGES];
} areas[NR_AREAS];
static uint8_t *area_space;
static unsigned nr_shown;

struct xengntdev_handle {
	bool used;
};

struct xenevtchn_handle {
	int fd;
};

/* ---- pages and their views ---- */

static unsigned first_page(uint32_t ref)
{
	return ref < FAKE_DATA_REFS ? ref % FAKE_DATA_PAGES
				    : FAKE_DATA_PAGES + ref - FAKE_DATA_REFS;
}

static uint8_t *view_of(uint32_t ref)
{
	return views + ref * PAGE;
}

static uint8_t *ring_view(void)
{
	return views + FAKE_REFS * PAGE;
}

static void show(uint8_t *at, unsigned first, unsigned n, int prot)
{
	void *shown =
		mmap(at, n * PAGE, prot, MAP_SHARED | MAP_FIXED, memory_fd, (off_t)(first * PAGE));

	FUZZ_CHECK(shown == at, "no memory");
}

/* Nobody can touch what is not shown. */
static void hide_areas(void)
{
	area_space = mmap(area_space, AREAS_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (area_space ? MAP_FIXED : 0), -1, 0);
	FUZZ_CHECK(area_space != MAP_FAILED, "no memory");
	for (unsigned i = 0; i < NR_AREAS; i++)
		for (unsigned j = 0; j < AREA_PAGES; j++)
			areas[i].page[j].prot = 0;
	nr_shown = 0;
}

static uint8_t *area_at(const struct area *area)
{
	return area_space + (size_t)(area - areas) * AREA_PAGES * PAGE;
}

/* The one that @at is in; NULL if it is in none. */
static struct area *area_of(const void *at)
{
	size_t offset = (size_t)((const uint8_t *)at - area_space);

	return (const uint8_t *)at >= area_space && offset < AREAS_BYTES
		       ? &areas[offset / (AREA_PAGES * PAGE)]
		       : NULL;
}

static void set_up(void)
{
	size_t all = (FAKE_REFS + FAKE_RING_PAGES) * PAGE;

	memory_fd = memfd_create("guest", MFD_CLOEXEC);
	FUZZ_CHECK(memory_fd >= 0 && ftruncate(memory_fd, (off_t)(FAKE_PAGES * PAGE)) == 0,
		"no memory");
	fake_xen.guest =
		mmap(NULL, FAKE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	views = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FUZZ_CHECK(fake_xen.guest != MAP_FAILED && views != MAP_FAILED, "no memory");
	for (uint32_t ref = 0; ref < FAKE_DATA_REFS; ref += FAKE_DATA_PAGES)
		show(view_of(ref), 0, FAKE_DATA_PAGES, READ_WRITE);
	show(view_of(FAKE_DATA_REFS), FAKE_DATA_PAGES, FAKE_RING_PAGES, READ_WRITE);
	show(ring_view(), FAKE_DATA_PAGES, FAKE_RING_PAGES, READ_WRITE);
	ASAN_POISON_MEMORY_REGION(views, all);
	hide_areas();
	for (uint32_t ref = 0; ref < FAKE_REFS; ref++) {
		fake_xen.grant[ref] = (struct fake_grant){
			.page = (uint8_t)first_page(ref), .access = FAKE_READ_WRITE};
		view_shows[ref] = fake_xen.grant[ref].page;
	}
}

void fake_xen_reset(void)
{
	if (views == NULL)
		set_up();
	FUZZ_CHECK(fake_xen.nr_handles == 0, "%u handles left open", fake_xen.nr_handles);
	FUZZ_CHECK(fake_xen.nr_mapped == 0, "%u pages left mapped", fake_xen.nr_mapped);
	if (nr_shown > SHOWN_MAX)
		hide_areas();
	while (nr_changed > 0) {
		uint32_t ref = changed[--nr_changed];

		is_changed[ref] = false;
		fake_xen.grant[ref].page = (uint8_t)first_page(ref);
		fake_xen.grant[ref].access = FAKE_READ_WRITE;
	}
	fake_xen.map_fails = false;
	fake_xen.copy_fails = false;
	fake_xen.no_port = false;
	fake_xen.nr_notified = 0;
	fake_xen.mapped_again = false;
	fake_xen.on_map = NULL;
	fake_xen.on_unmap = NULL;
	fake_xen.pass = 0;
	for (uint32_t ref = 0; ref < FAKE_REFS; ref++)
		fake_xen.grant[ref].writable_to_pass = 0;
	memset(fake_xen.guest, 0, FAKE_PAGES * PAGE);
}

static bool is_mapped(const struct fake_grant *grant)
{
	return grant->mapped || grant->nr_mapped > 0;
}

void fake_xen_grant(uint32_t ref, unsigned page, enum fake_access access)
{
	struct fake_grant *grant = &fake_xen.grant[ref];

	if (!is_changed[ref])
		changed[nr_changed++] = ref;
	is_changed[ref] = true;
	grant->access = (uint8_t)access;
	if (!is_mapped(grant))
		grant->page = (uint8_t)page;
}

const struct fake_grant *fake_xen_writable(uint32_t ref)
{
	const struct fake_grant *grant = ref < FAKE_REFS ? &fake_xen.grant[ref] : NULL;

	return grant && (grant->mapped || grant->nr_writable > 0 ||
				grant->access == FAKE_READ_WRITE ||
				(grant->writable_to_pass == fake_xen.pass && fake_xen.pass > 0))
		       ? grant
		       : NULL;
}

const struct fake_grant *fake_xen_readable(uint32_t ref)
{
	const struct fake_grant *grant = ref < FAKE_REFS ? &fake_xen.grant[ref] : NULL;

	return grant && (is_mapped(grant) || grant->access != FAKE_NONE) ? grant : NULL;
}

int64_t fake_xen_mapped_at(const void *at)
{
	size_t ref = (size_t)((const uint8_t *)at - views) / PAGE;
	const struct area *area = area_of(at);
	size_t page;

	if ((const uint8_t *)at >= views && ref < FAKE_REFS)
		return fake_xen.grant[ref].mapped ? (int64_t)ref : -1;
	if (area == NULL)
		return -1;
	page = (size_t)((const uint8_t *)at - area_at(area)) / PAGE;
	return page < area->n ? (int64_t)area->page[page].ref : -1;
}

static bool fails(int error)
{
	if (!fake_xen.fails || !fake_xen.fails())
		return false;
	errno = error;
	return true;
}

/* ---- libxengnttab ---- */

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	xengnttab_handle *handle = fails(ENOENT) ? NULL : calloc(1, sizeof(*handle));

	(void)logger;
	(void)open_flags;
	fake_xen.nr_handles += handle != NULL;
	return handle;
}

int xengnttab_close(xengnttab_handle *handle)
{
	free(handle);
	fake_xen.nr_handles--;
	return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t nr_grants)
{
	(void)handle;
	(void)nr_grants;
	return 0;
}

/* The first mapping through a handle is the ring's. */
static void *map_ring(uint32_t count, const uint32_t *refs)
{
	if (fails(ENOMEM))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		FUZZ_CHECK(refs[i] == FAKE_DATA_REFS + i, "ring page %u is %u", i, refs[i]);
		if (fake_xen.grant[refs[i]].access != FAKE_READ_WRITE) {
			errno = EINVAL;
			return NULL;
		}
	}
	fake_xen.ring_mapped = true;
	fake_xen.nr_mapped += count;
	ASAN_UNPOISON_MEMORY_REGION(ring_view(), count * PAGE);
	return ring_view();
}

/* All of them, or none. */
static bool may_map(uint32_t count, const uint32_t *refs, bool writable)
{
	if (fake_xen.map_fails)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (refs[i] >= FAKE_REFS || fake_xen.grant[refs[i]].access <
						    (writable ? FAKE_READ_WRITE : FAKE_READ_ONLY))
			return false;
	return true;
}

static void *map_view(uint32_t ref)
{
	struct fake_grant *grant = &fake_xen.grant[ref];

	grant->mapped = true;
	if (view_shows[ref] != grant->page)
		show(view_of(ref), grant->page, 1, READ_WRITE);
	view_shows[ref] = grant->page;
	ASAN_UNPOISON_MEMORY_REGION(view_of(ref), PAGE);
	return view_of(ref);
}

static void map_area_page(struct area *area, unsigned i, uint32_t ref)
{
	struct fake_grant *grant = &fake_xen.grant[ref];
	uint8_t prot = (uint8_t)(area->writable ? READ_WRITE : PROT_READ);
	struct area_page *page = &area->page[i];

	if (page->prot != prot || page->page != grant->page)
		show(area_at(area) + i * PAGE, grant->page, 1, prot);
	nr_shown += page->prot == 0;
	*page = (struct area_page){.ref = ref, .page = grant->page, .prot = prot};
	grant->nr_mapped++;
	grant->nr_writable += area->writable;
}

static void *map_area(uint32_t count, const uint32_t *refs, bool writable)
{
	struct area *area = areas;

	FUZZ_CHECK(count <= AREA_PAGES, "%u pages at once", count);
	while (area->n > 0)
		FUZZ_CHECK(++area < areas + NR_AREAS, "more mappings than requests");
	area->n = count;
	area->writable = writable;
	for (uint32_t i = 0; i < count; i++)
		map_area_page(area, i, refs[i]);
	ASAN_UNPOISON_MEMORY_REGION(area_at(area), count * PAGE);
	return area_at(area);
}

void *xengnttab_map_domain_grant_refs(
	xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	bool writable = prot & PROT_WRITE, again;

	FUZZ_CHECK(domid == FAKE_DOMID && prot & PROT_READ, "a mapping of %u", domid);
	if (!handle->used) {
		handle->used = true;
		return map_ring(count, refs);
	}
	FUZZ_CHECK(count > 0, "no pages to be mapped");
	if (fake_xen.on_map)
		fake_xen.on_map(refs, count, writable);
	if (!may_map(count, refs, writable)) {
		errno = EINVAL;
		return NULL;
	}
	fake_xen.nr_mapped += count;
	again = fake_xen.grant[refs[0]].mapped;
	FUZZ_CHECK(!again || fake_xen.mapped_again, "%u mapped twice", refs[0]);
	return count == 1 && writable && !again ? map_view(refs[0])
						: map_area(count, refs, writable);
}

static void unmap_view(uint32_t ref)
{
	struct fake_grant *grant = &fake_xen.grant[ref];

	FUZZ_CHECK(grant->mapped, "%u unmapped twice", ref);
	grant->mapped = false;
	grant->writable_to_pass = fake_xen.pass;
}

static void unmap_area(struct area *area)
{
	for (unsigned i = 0; i < area->n; i++) {
		struct fake_grant *grant = &fake_xen.grant[area->page[i].ref];

		grant->nr_mapped--;
		grant->nr_writable -= area->writable;
		if (area->writable)
			grant->writable_to_pass = fake_xen.pass;
	}
	area->n = 0;
}

int xengnttab_unmap(xengnttab_handle *handle, void *start_address, uint32_t count)
{
	size_t ref = (size_t)((uint8_t *)start_address - views) / PAGE;
	struct area *area = area_of(start_address);

	(void)handle;
	if (fake_xen.on_unmap && start_address != ring_view())
		fake_xen.on_unmap();
	if (start_address == ring_view()) {
		FUZZ_CHECK(fake_xen.ring_mapped, "the ring unmapped twice");
		fake_xen.ring_mapped = false;
	} else if (area) {
		FUZZ_CHECK(start_address == area_at(area) && count > 0 && count == area->n,
			"%u pages unmapped of %u", count, area->n);
		unmap_area(area);
	} else {
		FUZZ_CHECK(ref < FAKE_REFS && start_address == view_of((uint32_t)ref) && count == 1,
			"%p unmapped", start_address);
		unmap_view((uint32_t)ref);
	}
	ASAN_POISON_MEMORY_REGION(start_address, count * PAGE);
	fake_xen.nr_mapped -= count;
	return 0;
}

static int16_t copy_one(const xengnttab_grant_copy_segment_t *seg)
{
	bool out = seg->flags == GNTCOPY_dest_gref;
	const struct fake_grant *grant;
	uint32_t ref = out ? seg->dest.foreign.ref : seg->source.foreign.ref;
	uint32_t offset = out ? seg->dest.foreign.offset : seg->source.foreign.offset;
	uint8_t *page;

	FUZZ_CHECK(out || seg->flags == GNTCOPY_source_gref, "a copy with flags %u", seg->flags);
	FUZZ_CHECK((out ? seg->dest.foreign.domid : seg->source.foreign.domid) == FAKE_DOMID,
		"a copy of another domain");
	FUZZ_CHECK(seg->len > 0 && offset + seg->len <= PAGE, "%u bytes at %u", seg->len, offset);
	if (ref >= FAKE_REFS)
		return GNTST_bad_gntref;
	grant = &fake_xen.grant[ref];
	if (grant->access < (out ? FAKE_READ_WRITE : FAKE_READ_ONLY))
		return GNTST_permission_denied;
	page = fake_xen_page(grant->page) + offset;
	if (out)
		memcpy(page, seg->source.virt, seg->len);
	else
		memcpy(seg->dest.virt, page, seg->len);
	return GNTST_okay;
}

int xengnttab_grant_copy(
	xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segs)
{
	(void)handle;
	if (fake_xen.copy_fails) {
		errno = ENOMEM;
		return -1;
	}
	for (uint32_t i = 0; i < count; i++)
		segs[i].status = copy_one(&segs[i]);
	return 0;
}

/* ---- libxenevtchn ---- */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	xenevtchn_handle *handle = fails(ENOENT) ? NULL : calloc(1, sizeof(*handle));

	(void)logger;
	(void)open_flags;
	if (handle == NULL)
		return NULL;
	handle->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_xen.nr_handles++;
	return handle;
}

int xenevtchn_close(xenevtchn_handle *handle)
{
	(void)close(handle->fd);
	free(handle);
	fake_xen.nr_handles--;
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
	return handle->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(
	xenevtchn_handle *handle, uint32_t domid, evtchn_port_t remote_port)
{
	(void)handle;
	FUZZ_CHECK(domid == FAKE_DOMID && remote_port == FAKE_PORT, "port %u", remote_port);
	if (!fake_xen.no_port && !fails(EINVAL))
		return 3;
	errno = EINVAL;
	return -1;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
	(void)handle;
	FUZZ_CHECK(port == 3, "port %u told", port);
	fake_xen.nr_notified++;
	return 0;
}

/* Nobody sleeps here. */
xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
	(void)handle;
	errno = EAGAIN;
	return -1;
}

int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
	(void)handle;
	(void)port;
	return 0;
}

#include "tests/fuzz/fake_xen.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

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

#define PAGE ((size_t)WIRE_PAGE_SIZE)

struct fake_xen fake_xen;

static int memory_fd = -1;
static uint8_t *views;                /* one page for each reference, then the ring */
static uint8_t view_shows[FAKE_REFS]; /* the page */
static uint32_t changed[FAKE_REFS];   /* grants that are not as they come */
static unsigned nr_changed;
static bool is_changed[FAKE_REFS];

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

static void show(uint8_t *at, unsigned first, unsigned n)
{
	void *shown = mmap(at, n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory_fd,
		(off_t)(first * PAGE));

	FUZZ_CHECK(shown == at, "no memory");
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
		show(view_of(ref), 0, FAKE_DATA_PAGES);
	show(view_of(FAKE_DATA_REFS), FAKE_DATA_PAGES, FAKE_RING_PAGES);
	show(ring_view(), FAKE_DATA_PAGES, FAKE_RING_PAGES);
	ASAN_POISON_MEMORY_REGION(views, all);
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
	memset(fake_xen.guest, 0, FAKE_PAGES * PAGE);
}

void fake_xen_grant(uint32_t ref, unsigned page, enum fake_access access)
{
	struct fake_grant *grant = &fake_xen.grant[ref];

	if (!is_changed[ref])
		changed[nr_changed++] = ref;
	is_changed[ref] = true;
	grant->access = (uint8_t)access;
	if (!grant->mapped)
		grant->page = (uint8_t)page;
}

const struct fake_grant *fake_xen_writable(uint32_t ref)
{
	const struct fake_grant *grant = ref < FAKE_REFS ? &fake_xen.grant[ref] : NULL;

	return grant && (grant->mapped || grant->access == FAKE_READ_WRITE) ? grant : NULL;
}

const struct fake_grant *fake_xen_readable(uint32_t ref)
{
	const struct fake_grant *grant = ref < FAKE_REFS ? &fake_xen.grant[ref] : NULL;

	return grant && (grant->mapped || grant->access != FAKE_NONE) ? grant : NULL;
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

void *xengnttab_map_domain_grant_refs(
	xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	struct fake_grant *grant;

	FUZZ_CHECK(
		domid == FAKE_DOMID && prot == (PROT_READ | PROT_WRITE), "a mapping of %u", domid);
	if (!handle->used) {
		handle->used = true;
		return map_ring(count, refs);
	}
	FUZZ_CHECK(count == 1, "%u pages at once", count);
	if (refs[0] >= FAKE_REFS || fake_xen.map_fails ||
		fake_xen.grant[refs[0]].access != FAKE_READ_WRITE) {
		errno = EINVAL;
		return NULL;
	}
	grant = &fake_xen.grant[refs[0]];
	FUZZ_CHECK(!grant->mapped, "%u mapped twice", refs[0]);
	grant->mapped = true;
	fake_xen.nr_mapped++;
	if (view_shows[refs[0]] != grant->page)
		show(view_of(refs[0]), grant->page, 1);
	view_shows[refs[0]] = grant->page;
	ASAN_UNPOISON_MEMORY_REGION(view_of(refs[0]), PAGE);
	return view_of(refs[0]);
}

int xengnttab_unmap(xengnttab_handle *handle, void *start_address, uint32_t count)
{
	size_t ref = (size_t)((uint8_t *)start_address - views) / PAGE;

	(void)handle;
	if (start_address == ring_view()) {
		FUZZ_CHECK(fake_xen.ring_mapped, "the ring unmapped twice");
		fake_xen.ring_mapped = false;
	} else {
		FUZZ_CHECK(ref < FAKE_REFS && start_address == view_of((uint32_t)ref) && count == 1,
			"%p unmapped", start_address);
		FUZZ_CHECK(fake_xen.grant[ref].mapped, "%zu unmapped twice", ref);
		fake_xen.grant[ref].mapped = false;
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

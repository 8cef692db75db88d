/*
 * Mapping other domains' grants, as xengnttab.h says. xensimd checks and counts; the pages are then
 * mapped from the guest's memory into one reserved range.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xengnttab.h>

#include "frontend-shim/preload/gnt.h"

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	(void)open_flags;
	return gnt_open(logger, HV_KIND_GNTTAB, "gnttab");
}

int xengnttab_close(xengnttab_handle *xgt)
{
	return gnt_close(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
	return xgt->client.fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	(void)xgt; /* as with Linux since 2.6.39: the limit is the driver's own */
	(void)nr_grants;
	return 0;
}

/* Puts the `count` pages of one map to `at`, contiguous frames with one call. */
static int gnttab_place(xengnttab_handle *xgt, uint8_t *at, const uint32_t *domids,
	const struct hv_mapped *mapped, uint32_t count, int prot)
{
	for (uint32_t i = 0, n; i < count; i += n) {
		struct gnt_memory *m = gnt_memory(xgt, domids[i], mapped[i].memory);

		if (!m)
			return -EINVAL; /* the domain died under us: its grants are no more */
		n = 1;
		while (i + n < count && mapped[i + n].memory == mapped[i].memory &&
			mapped[i + n].frame == mapped[i].frame + n)
			n++;
		if (mmap(at + (size_t)i * GUEST_PAGE, (size_t)n * GUEST_PAGE, prot,
			    MAP_SHARED | MAP_FIXED, m->fd,
			    (off_t)mapped[i].frame * GUEST_PAGE) == MAP_FAILED)
			return -errno;
	}
	/* As gntdev's mappings. */
	(void)madvise(at, (size_t)count * GUEST_PAGE, MADV_DONTFORK);
	return 0;
}

static int gnttab_request(xengnttab_handle *xgt, const struct hv_request *req,
	const uint32_t *domids, const uint32_t *refs, struct hv_mapped *mapped, uint64_t *ret_id)
{
	struct hv_call call = {.req = *req,
		.send_fd = -1,
		.out = mapped,
		.out_room = req->count * sizeof(*mapped)};
	struct hv_ref *list;
	int r;

	list = calloc(req->count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < req->count; i++)
		list[i] = (struct hv_ref){domids[i], refs[i]};
	call.data = list;
	call.data_size = req->count * sizeof(*list);
	r = hv_client_call(&xgt->client, &call);
	free(list);
	if (r < 0)
		return r;
	*ret_id = call.reply.value;
	return 0;
}

static int gnttab_map(xengnttab_handle *xgt, const struct hv_request *req, const uint32_t *domids,
	const uint32_t *refs, void **ret_addr)
{
	size_t size = (size_t)req->count * GUEST_PAGE;
	struct hv_request undo = {.op = HV_UNMAP};
	struct hv_mapped *mapped;
	void *at;
	int r;

	if (!req->count || req->count > HV_MAX_REFS)
		return -EINVAL;
	mapped = calloc(req->count, sizeof(*mapped));
	at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!mapped || at == MAP_FAILED) {
		r = -ENOMEM;
		goto out;
	}
	r = gnttab_request(xgt, req, domids, refs, mapped, &undo.value);
	if (r < 0)
		goto out;
	r = gnttab_place(xgt, at, domids, mapped, req->count, (int)req->flags);
	if (!r) {
		(void)pthread_mutex_lock(&xgt->lock);
		r = regions_add(&xgt->regions, at, req->count, undo.value);
		(void)pthread_mutex_unlock(&xgt->lock);
	}
	if (r < 0) {
		(void)hv_client_simple(&xgt->client, &undo, NULL);
		goto out;
	}
	*ret_addr = at;
	at = MAP_FAILED;
out:
	if (at != MAP_FAILED)
		(void)munmap(at, size);
	free(mapped);
	return r;
}

static void *gnttab_map_logged(xengnttab_handle *xgt, uint32_t count, const uint32_t *domids,
	const uint32_t *refs, const struct hv_request *how)
{
	struct hv_request req = *how;
	void *addr = NULL;
	int r;

	req.op = HV_MAP;
	req.count = count;
	r = gnttab_map(xgt, &req, domids, refs, &addr);
	if (r < 0) {
		shim_log_error(xgt->logger, xgt->context, -r,
			"cannot map %u grant(s), the first "
			"being reference %u of domain %u",
			count, count ? refs[0] : 0, count ? domids[0] : 0);
		errno = -r;
		return NULL;
	}
	return addr;
}

static struct hv_request gnttab_plain(int prot)
{
	return (struct hv_request){
		.flags = (uint32_t)prot, .port = HV_NO_NOTIFY, .value = HV_NO_NOTIFY};
}

void *xengnttab_map_grant_refs(
	xengnttab_handle *xgt, uint32_t count, uint32_t *domids, uint32_t *refs, int prot)
{
	struct hv_request how = gnttab_plain(prot);

	return gnttab_map_logged(xgt, count, domids, refs, &how);
}

void *xengnttab_map_domain_grant_refs(
	xengnttab_handle *xgt, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	struct hv_request how = gnttab_plain(prot);
	uint32_t *domids;
	void *addr;

	domids = calloc(count ? count : 1, sizeof(*domids));
	if (!domids)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		domids[i] = domid;
	addr = gnttab_map_logged(xgt, count, domids, refs, &how);
	free(domids);
	return addr;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	struct hv_request how = gnttab_plain(prot);

	return gnttab_map_logged(xgt, 1, &domid, &ref, &how);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
	uint32_t notify_offset, evtchn_port_t notify_port)
{
	struct hv_request how = gnttab_plain(prot);

	how.value = notify_offset;
	how.port = notify_port;
	return gnttab_map_logged(xgt, 1, &domid, &ref, &how);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	struct hv_request req = {.op = HV_UNMAP};
	int r;

	if (!start_address)
		return shim_result(-EINVAL);
	(void)pthread_mutex_lock(&xgt->lock);
	r = regions_take(&xgt->regions, start_address, count, &req.value);
	(void)pthread_mutex_unlock(&xgt->lock);
	if (r < 0)
		return shim_result(r);
	(void)munmap(start_address, (size_t)count * GUEST_PAGE);
	return shim_result(hv_client_simple(&xgt->client, &req, NULL));
}

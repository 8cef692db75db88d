/*
 * Granting pages to other domains, as xengnttab.h says and Linux's gntalloc does: a page the peer
 * still maps when it is unshared stays granted until the peer lets go.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xengnttab.h>

#include "frontend-shim/preload/gnt.h"

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	(void)open_flags;
	return gnt_open(logger, HV_KIND_GNTSHR, "gntshr");
}

int xengntshr_close(xengntshr_handle *xgs)
{
	return gnt_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
	return xgs->client.fd;
}

static int gntshr_map(xengntshr_handle *xgs, const struct hv_call *call, void **ret_addr)
{
	size_t size = (size_t)call->req.count * GUEST_PAGE;
	const uint32_t *answer = call->out;
	void *at;
	int r;

	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, call->fds[0],
		(off_t)answer[0] * GUEST_PAGE);
	if (at == MAP_FAILED)
		return -errno;
	(void)pthread_mutex_lock(&xgs->lock);
	r = regions_add(&xgs->regions, at, call->req.count, call->reply.value);
	(void)pthread_mutex_unlock(&xgs->lock);
	if (r < 0) {
		(void)munmap(at, size);
		return r;
	}
	/* gnt_close() leaves a child's addresses alone, so a child must not inherit these. */
	(void)madvise(at, size, MADV_DONTFORK);
	*ret_addr = at;
	return 0;
}

static int gntshr_share(
	xengntshr_handle *xgs, const struct hv_request *req, uint32_t *refs, void **ret_addr)
{
	struct hv_call call = {.req = *req, .send_fd = -1};
	struct hv_request undo = {.op = HV_UNSHARE};
	uint32_t *answer;
	int r;

	if (!req->count || req->count > HV_MAX_REFS)
		return -EINVAL;
	answer = calloc(req->count + 1, sizeof(*answer));
	if (!answer)
		return -ENOMEM;
	call.out = answer;
	call.out_room = (req->count + 1) * sizeof(*answer);
	r = hv_client_call(&xgs->client, &call);
	if (r < 0)
		goto out;
	r = gntshr_map(xgs, &call, ret_addr);
	(void)close(call.fds[0]);
	if (r < 0) {
		undo.value = call.reply.value;
		(void)hv_client_simple(&xgs->client, &undo, NULL);
		goto out;
	}
	for (uint32_t i = 0; i < req->count; i++)
		refs[i] = answer[i + 1];
out:
	free(answer);
	return r;
}

void *xengntshr_share_pages(
	xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs, int writable)
{
	struct hv_request req = {.op = HV_SHARE,
		.domid = domid,
		.count = (uint32_t)count,
		.flags = !!writable,
		.port = HV_NO_NOTIFY,
		.value = HV_NO_NOTIFY};
	void *addr = NULL;

	if (shim_result(gntshr_share(xgs, &req, refs, &addr)) < 0)
		return NULL;
	return addr;
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
	int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
	struct hv_request req = {.op = HV_SHARE,
		.domid = domid,
		.count = 1,
		.flags = !!writable,
		.port = notify_port,
		.value = notify_offset};
	void *addr = NULL;

	if (shim_result(gntshr_share(xgs, &req, ref, &addr)) < 0)
		return NULL;
	return addr;
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
	struct hv_request req = {.op = HV_UNSHARE};
	int r;

	(void)pthread_mutex_lock(&xgs->lock);
	r = regions_take(&xgs->regions, start_address, count, &req.value);
	(void)pthread_mutex_unlock(&xgs->lock);
	if (r < 0)
		return shim_result(r);
	(void)munmap(start_address, (size_t)count * GUEST_PAGE);
	return shim_result(hv_client_simple(&xgs->client, &req, NULL));
}

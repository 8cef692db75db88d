/*
 * The handles QEMU opens when it starts as a Xen backend and hardly uses: foreign memory and the
 * device model. They open, and close; there is no CPU and no device model behind them, so what is
 * asked of them fails with ENOSYS, or goes to the real library, which finds no hypervisor.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xenforeignmemory.h>
/* Not self-contained: wants the types of the others. */
#include <xendevicemodel.h>

#include "frontend-shim/preload/shim.h"

/* A connection, so that an open handle shows up in the counters and dies with its process. */
struct xenforeignmemory_handle {
	struct hv_client client;
};

struct xendevicemodel_handle {
	struct hv_client client;
};

static void *privcmd_open(struct xentoollog_logger *logger, const char *context)
{
	struct hv_client *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (c)
		r = shim_connect(c, HV_KIND_CTRL, false);
	if (r < 0) {
		shim_log_error(logger, context, -r,
			"cannot open a handle on the simulated host (XENSIM_DIR, XENSIM_DOMID)");
		free(c);
		errno = -r;
		return NULL;
	}
	return c;
}

static int privcmd_close(struct hv_client *c)
{
	if (c)
		hv_client_close(c);
	free(c);
	return 0;
}

xenforeignmemory_handle *xenforeignmemory_open(
	struct xentoollog_logger *logger, unsigned open_flags)
{
	(void)open_flags;
	return privcmd_open(logger, "foreignmemory");
}

int xenforeignmemory_close(xenforeignmemory_handle *fmem)
{
	return privcmd_close(fmem ? &fmem->client : NULL);
}

void *xenforeignmemory_map2(xenforeignmemory_handle *fmem, uint32_t dom, void *addr, int prot,
	int flags, size_t pages, const xen_pfn_t arr[/*pages*/], int err[/*pages*/])
{
	(void)fmem, (void)dom, (void)addr, (void)prot, (void)flags, (void)pages, (void)arr,
		(void)err;
	errno = ENOSYS;
	return NULL;
}

void *xenforeignmemory_map(xenforeignmemory_handle *fmem, uint32_t dom, int prot, size_t pages,
	const xen_pfn_t arr[/*pages*/], int err[/*pages*/])
{
	return xenforeignmemory_map2(fmem, dom, NULL, prot, 0, pages, arr, err);
}

int xenforeignmemory_unmap(xenforeignmemory_handle *fmem, void *addr, size_t pages)
{
	(void)fmem, (void)addr, (void)pages;
	errno = EINVAL; /* nothing was ever mapped */
	return -1;
}

xendevicemodel_handle *xendevicemodel_open(
	struct xentoollog_logger *logger, unsigned int open_flags)
{
	(void)open_flags;
	return privcmd_open(logger, "devicemodel");
}

int xendevicemodel_close(xendevicemodel_handle *dmod)
{
	return privcmd_close(dmod ? &dmod->client : NULL);
}

/*
 * The part of libxenctrl that xenstored, QEMU's Xen backend and a supervisor use: which domains are
 * there, and in which state.
 */
#include <errno.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "frontend-shim/preload/shim.h"

#define CTRL_LIST_MAX 512u

struct xc_interface_core {
	struct hv_client client; /* not connected if opened with XC_OPENFLAG_DUMMY */
};

xc_interface *xc_interface_open(
	xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned open_flags)
{
	xc_interface *xch = calloc(1, sizeof(*xch));
	int r;

	(void)dombuild_logger;
	if (!xch)
		return NULL;
	xch->client.fd = xch->client.event_fd = -1;
	if (open_flags & XC_OPENFLAG_DUMMY)
		return xch;
	r = shim_connect(&xch->client, HV_KIND_CTRL, false);
	if (r < 0) {
		shim_log_error(logger, "xc", -r,
			"cannot open a handle on the simulated host (XENSIM_DIR, XENSIM_DOMID)");
		free(xch);
		errno = -r;
		return NULL;
	}
	return xch;
}

int xc_interface_close(xc_interface *xch)
{
	if (!xch)
		return 0;
	hv_client_close(&xch->client);
	free(xch);
	return 0;
}

static int ctrl_list(xc_interface *xch, uint32_t first, uint32_t max, struct hv_domain *list)
{
	struct hv_call call = {.req = {.op = HV_DOMAIN_LIST,
				       .domid = first,
				       .count = max < CTRL_LIST_MAX ? max : CTRL_LIST_MAX},
		.send_fd = -1,
		.out = list,
		.out_room = CTRL_LIST_MAX * sizeof(*list)};
	int r;

	r = hv_client_call(&xch->client, &call);
	return r < 0 ? r : (int)call.reply.count;
}

int xc_domain_getinfolist(
	xc_interface *xch, uint32_t first_domain, unsigned int max_domains, xc_domaininfo_t *info)
{
	struct hv_domain list[CTRL_LIST_MAX];
	int n = ctrl_list(xch, first_domain, max_domains, list);

	if (n < 0)
		return shim_result(n);
	for (int i = 0; i < n; i++) {
		uint32_t flags = list[i].reason << XEN_DOMINF_shutdownshift;

		if (list[i].flags & HV_DOMAIN_HVM)
			flags |= XEN_DOMINF_hvm_guest;
		if (list[i].state == HV_DOMAIN_DYING)
			flags |= XEN_DOMINF_dying;
		flags |= list[i].state == HV_DOMAIN_RUNNING ? XEN_DOMINF_running
							    : XEN_DOMINF_shutdown;
		info[i] = (xc_domaininfo_t){.domain = (domid_t)list[i].domid,
			.flags = flags,
			.tot_pages = list[i].nr_frames,
			.max_pages = GUEST_FRAMES,
			.nr_online_vcpus = 1};
	}
	return n;
}

int xc_domain_getinfo(
	xc_interface *xch, uint32_t first_domid, unsigned int max_doms, xc_dominfo_t *info)
{
	struct hv_domain list[CTRL_LIST_MAX];
	int n = ctrl_list(xch, first_domid, max_doms, list);

	if (n <= 0)
		return shim_result(n < 0 ? n : -ESRCH);
	for (int i = 0; i < n; i++) {
		bool down = list[i].state != HV_DOMAIN_RUNNING;
		bool crashed = down && list[i].reason == SHUTDOWN_crash;

		info[i] = (xc_dominfo_t){.domid = list[i].domid,
			.nr_pages = list[i].nr_frames,
			.dying = list[i].state == HV_DOMAIN_DYING,
			.shutdown = down && !crashed,
			.crashed = crashed,
			.hvm = list[i].flags & HV_DOMAIN_HVM,
			.running = !down,
			.shutdown_reason = list[i].reason,
			.nr_online_vcpus = 1};
	}
	return n;
}

int xc_domain_shutdown(xc_interface *xch, uint32_t domid, int reason)
{
	struct hv_request req = {
		.op = HV_DOMAIN_SHUTDOWN, .domid = domid, .flags = (uint32_t)reason};

	return shim_result(hv_client_simple(&xch->client, &req, NULL));
}

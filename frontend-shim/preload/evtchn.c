/* xenevtchn.h on the simulated machine; see machine/events.h for what stands behind it. */
#include <errno.h>
#include <stdlib.h>
#include <xenevtchn.h>

#include "frontend-shim/machine/events.h"
#include "frontend-shim/preload/shim.h"

struct xenevtchn_handle {
	struct events events;
};

static xenevtchn_handle *evtchn_create(bool inherit)
{
	xenevtchn_handle *xce = calloc(1, sizeof(*xce));
	uint32_t domid = 0;
	int r = -ENOMEM;

	if (xce)
		r = hv_client_domid(&domid);
	if (!r)
		r = events_open(&xce->events, NULL, domid, inherit);
	if (r < 0) {
		free(xce);
		errno = -r;
		return NULL;
	}
	return xce;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger; /* "None of these do any logging." */
	if (flags & ~XENEVTCHN_NO_CLOEXEC) {
		errno = EINVAL;
		return NULL;
	}
	return evtchn_create(flags & XENEVTCHN_NO_CLOEXEC);
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned open_flags)
{
	xenevtchn_handle *xce;
	int r;

	(void)logger;
	if (open_flags) {
		errno = EINVAL;
		return NULL;
	}
	xce = evtchn_create(false);
	if (!xce)
		return NULL;
	r = events_adopt(&xce->events, fd);
	if (r < 0) {
		(void)xenevtchn_close(xce);
		errno = -r;
		return NULL;
	}
	return xce;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	if (!xce)
		return 0;
	events_close(&xce->events);
	free(xce);
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->events.client.event_fd;
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
	struct hv_request req = {.op = HV_RESTRICT, .domid = domid};

	return shim_result(hv_client_simple(&xce->events.client, &req, NULL));
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	struct hv_request req = {.op = HV_ALLOC_UNBOUND, .domid = domid};

	return shim_result(events_bind(&xce->events, &req));
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(
	xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
	struct hv_request req = {.op = HV_BIND_INTERDOMAIN, .domid = domid, .port = remote_port};

	return shim_result(events_bind(&xce->events, &req));
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	struct hv_request req = {.op = HV_BIND_VIRQ, .count = virq};

	return shim_result(events_bind(&xce->events, &req));
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct hv_request req = {.op = HV_CLOSE_PORT, .port = port};

	return shim_result(hv_client_simple(&xce->events.client, &req, NULL));
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	return shim_result(events_notify(&xce->events, port));
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	return shim_result(events_pending(&xce->events));
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	events_unmask(&xce->events, port);
	return 0;
}

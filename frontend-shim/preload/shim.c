#include "frontend-shim/preload/shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int shim_connect(struct hv_client *c, enum hv_kind kind, bool inherit)
{
	uint32_t domid;
	int r;

	r = hv_client_domid(&domid);
	if (r < 0)
		return r;
	return hv_client_open(c, NULL, domid, kind, inherit);
}

int shim_result(int r)
{
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

void shim_log_error(struct xentoollog_logger *logger, const char *context, int errnoval,
	const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	if (logger) {
		logger->vmessage(logger, XTL_ERROR, errnoval, context, format, ap);
	} else {
		char text[256];

		(void)vsnprintf(text, sizeof(text), format, ap);
		fprintf(stderr, "%s: error: %s%s%s\n", context, text, errnoval > 0 ? ": " : "",
			errnoval > 0 ? strerror(errnoval) : "");
	}
	va_end(ap);
	errno = saved;
}

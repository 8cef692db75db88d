#include "backend/supervisor/domains.h"

#include <stdlib.h>
#include <xenctrl.h>

struct domains {
	xc_interface *xch;
};

struct domains *domains_open(void)
{
	struct domains *domains = calloc(1, sizeof(*domains));

	if (!domains)
		return NULL;
	domains->xch = xc_interface_open(NULL, NULL, 0);
	if (domains->xch)
		return domains;
	free(domains);
	return NULL;
}

void domains_close(struct domains *domains)
{
	if (!domains)
		return;
	(void)xc_interface_close(domains->xch);
	free(domains);
}

/* The list call is in every version of libxenctrl, xc_domain_getinfo() only up to 4.17. */
bool domains_is_gone(struct domains *domains, uint32_t domid)
{
	xc_domaininfo_t info;
	int n;

	if (!domains)
		return false;
	/* The first domain from @domid on: a later one if there is no such. */
	n = xc_domain_getinfolist(domains->xch, domid, 1, &info);
	if (n < 0)
		return false;
	return n == 0 || info.domain != domid || (info.flags & XEN_DOMINF_dying);
}

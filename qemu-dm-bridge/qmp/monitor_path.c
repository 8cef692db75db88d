#include "qemu-dm-bridge/qmp/monitor_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/un.h>

bool monitor_path(const char *rundir, uint32_t domid, char *ret_path, size_t size)
{
	struct sockaddr_un address;
	int n = snprintf(ret_path, size, "%s/" MONITOR_PREFIX "%" PRIu32, rundir, domid);

	return n > 0 && (size_t)n < size && (size_t)n < sizeof(address.sun_path);
}

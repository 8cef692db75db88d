#include "qemu-dm-bridge/dialect/usual.h"

#include <stddef.h>

/* Where libxl has its device model, then any other. */
static const char *const usual[] = {
	"/usr/libexec/xen-qemu-system-i386",
	"/usr/lib/xen/bin/qemu-system-i386",
	"/usr/libexec/xen/bin/qemu-system-i386",
	"qemu-system-i386",
	"qemu-system-x86_64",
};

const char *usual_qemu(unsigned i)
{
	return i < sizeof(usual) / sizeof(usual[0]) ? usual[i] : NULL;
}

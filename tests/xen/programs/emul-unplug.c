/* Take the emulated disks away from a running HVM guest, as its kernel does when it boots: the guest tells the
 * device model through the port of Xen's platform device (Xen: docs/misc/hvm-emulated-unplug.pandoc).
 *
 *   emul-unplug MASK       1: disks of all kinds, 2: network cards, 4: all disks but the primary master; together
 *
 * Prints the port's magic number and exits with 1, unplugging nothing, if it is not that of the platform device.
 * The port knows words only, so that /dev/port, which writes bytes, will not do.
 *
 * An unplug is synchronous: the processor waits for the device model.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>

#define UNPLUG_PORT  0x10
#define UNPLUG_MAGIC 0x49d2

int main(int argc, char **argv)
{
	char *end;
	unsigned long mask;
	uint16_t magic;

	if (argc != 2) {
		fprintf(stderr, "usage: emul-unplug MASK\n");
		return 2;
	}
	errno = 0;
	mask = strtoul(argv[1], &end, 0);
	if (errno || end == argv[1] || *end || mask > UINT16_MAX) {
		fprintf(stderr, "emul-unplug: '%s' is no mask\n", argv[1]);
		return 2;
	}
	if (ioperm(UNPLUG_PORT, 4, 1)) {
		fprintf(stderr, "emul-unplug: the port cannot be used: %s\n", strerror(errno));
		return 2;
	}
	magic = inw(UNPLUG_PORT);
	printf("emul-unplug: the port says 0x%04x\n", magic);
	if (magic != UNPLUG_MAGIC)
		return 1;
	outw((uint16_t)mask, UNPLUG_PORT);
	return 0;
}

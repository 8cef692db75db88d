#include "qemu-dm-bridge/ownership/claims.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "qemu-dm-bridge/nodes/holders.h"
#include "qemu-dm-bridge/ownership/bytes.h"
#include "qemu-dm-bridge/ownership/lock_holder.h"

#define NR_NAMED 4u

int claims_check(int fd, const char *subject, struct problem *ret_problem)
{
	struct holder holders[NR_NAMED];
	char text[220];
	unsigned n = 0;

	if (holders_find_claims(fd, holders, NR_NAMED, &n) || n == 0)
		return 0;
	holders_text(holders, n, text, sizeof(text));
	return problem_set(ret_problem, -EBUSY, "%s is in use: %s", subject, text);
}

/* Other disks of ours have locks beside their claims. 0 if none has. */
static unsigned find_writers(int fd, struct lock_holders *ret_holders)
{
	char name[32];
	int again;
	unsigned n = 0;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	again = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (again < 0)
		return 0;
	/* Of a file on which we have no lock we do not know what it is called in /proc. */
	if (bytes_lock(again, BYTE_LOOKS) == 0)
		n = lock_holder_find(again, BYTE_DOES + 1, -1, ret_holders);
	(void)close(again);
	return n;
}

int claims_problem(int fd, const char *subject, struct problem *ret_problem)
{
	struct lock_holders writers;
	int r = claims_check(fd, subject, ret_problem);

	if (r)
		return r;
	if (find_writers(fd, &writers) > 0)
		return problem_set(ret_problem, -EBUSY, "%s is in use by %s, which writes it",
			subject, writers.text);
	return problem_set(ret_problem, -EBUSY,
		"%s is in use: it, or a part of it, is mounted, has a volume or an array on it, or another disk writes it (lsblk shows the first three)",
		subject);
}

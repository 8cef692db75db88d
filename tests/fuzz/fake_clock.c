#include "tests/fuzz/fake_clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t now_s;

void fake_clock_reset(void)
{
	now_s = 1;
}

void fake_clock_pass(unsigned seconds)
{
	now_s += (time_t)seconds;
}

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ret_now);
	*ret_now = (struct timespec){.tv_sec = now_s};
	return 0;
}

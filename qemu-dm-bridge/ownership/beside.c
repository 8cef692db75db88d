#include "qemu-dm-bridge/ownership/beside.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "qemu-dm-bridge/ownership/bytes.h"
#include "qemu-dm-bridge/ownership/lock_holder.h"

/* Tries to get past others that come at the same time, and the longest pause between two. */
#define NR_TRIES     100u
#define NR_LOOKS     3u
#define PAUSE_MAX_MS 8

/* The byte of what forbids what @byte does, or the other way round. */
static int counterpart(int byte)
{
	return byte < BYTE_FORBIDS ? byte - BYTE_DOES + BYTE_FORBIDS
				   : byte - BYTE_FORBIDS + BYTE_DOES;
}

/*
 * Whether @byte is a stranger's: 1, 0 or -errno. A byte does not tell how many have it. But one of ours that has the counterpart, and has
 * looked, lets no stranger have this one, and we let none come from now on. If none of ours has the counterpart, and one has
 * this byte, a stranger may have it, too: then /proc tells.
 */
static int is_strangers(int fd, int byte)
{
	struct lock_holders ignored;
	int r = bytes_is_locked(fd, byte);

	if (r <= 0)
		return r;
	r = bytes_is_locked(fd, counterpart(byte) + BYTE_BESIDE);
	if (r)
		return r < 0 ? r : 0;
	r = bytes_is_locked(fd, byte + BYTE_BESIDE);
	if (r <= 0)
		return r < 0 ? r : 1;
	return lock_holder_find(fd, byte, byte + BYTE_BESIDE, &ignored) > 0;
}

/* The byte that a stranger has, 0, or -errno. */
static int look(int fd, const struct rights *rights)
{
	for (int i = 0; i < NR_RIGHTS; i++) {
		int r = 0, byte = 0;

		if (rights->does & 1u << i) {
			byte = BYTE_FORBIDS + i;
			r = is_strangers(fd, byte);
		}
		if (r == 0 && rights->forbids & 1u << i) {
			byte = BYTE_DOES + i;
			r = is_strangers(fd, byte);
		}
		if (r)
			return r < 0 ? r : byte;
	}
	return 0;
}

static int lock_and_look(int fd, const struct rights *rights)
{
	int r = bytes_lock(fd, BYTE_COMES);

	if (r == 0)
		r = bytes_lock_rights(fd, BYTE_DOES, rights->does);
	if (r == 0)
		r = bytes_lock_rights(fd, BYTE_FORBIDS, rights->forbids);
	return r ? r : look(fd, rights);
}

/* Of two that meet, not for the same time. */
static void pause_for_others(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)poll(NULL, 0, 1 + (int)(now.tv_nsec / 1000 % PAUSE_MAX_MS));
}

/*
 * One of ours that comes at the same time has not looked yet, so it proves nothing, and seems a stranger: both go back and come again.
 * If nobody comes, that one may just have finished: a stranger is who is seen again and again.
 */
static int settle(int fd, const struct rights *rights)
{
	int byte = lock_and_look(fd, rights);
	unsigned nr_seen = 1;

	for (unsigned i = 0; i < NR_TRIES && byte > 0 && nr_seen < NR_LOOKS; i++) {
		if (bytes_is_locked(fd, BYTE_COMES) == 0) {
			nr_seen++;
			byte = look(fd, rights);
			continue;
		}
		bytes_unlock_all(fd);
		pause_for_others();
		byte = lock_and_look(fd, rights);
		nr_seen = 1;
	}
	return byte;
}

/* From now on others may rely on us. */
static int mark(int fd, const struct rights *rights)
{
	int r = bytes_lock_rights(fd, BYTE_DOES + BYTE_BESIDE, rights->does);

	if (r == 0)
		r = bytes_lock_rights(fd, BYTE_FORBIDS + BYTE_BESIDE, rights->forbids);
	return r;
}

int beside_take(int fd, const char *name, enum ownership_access access, struct problem *ret_problem)
{
	struct rights rights = bytes_rights(access);
	struct lock_holders holders;
	int r, gone;

	/* Its size is its own. */
	rights.forbids &= ~RIGHT_RESIZE;
	r = settle(fd, &rights);
	if (r > 0) {
		(void)lock_holder_find(fd, r, r + BYTE_BESIDE, &holders);
		return problem_set(ret_problem, -EBUSY,
			"the image is in use by %s, which %s, as '%.128s'", holders.text,
			bytes_conflict(r), name);
	}
	if (r == 0)
		r = mark(fd, &rights);
	/* Also what keeps its lock for want of some other: nobody is to wait for one that does not come any more. */
	gone = bytes_unlock(fd, BYTE_COMES);
	r = r ? r : gone;
	if (bytes_is_conflict(r))
		return problem_set(ret_problem, -EBUSY,
			"'%.128s', which has blocks of the image, is locked as a whole by another program",
			name);
	if (r)
		return problem_set(ret_problem, -ENOLCK,
			"'%.128s', which has blocks of the image, has no locks (%s): nobody is kept from using it beside this disk",
			name, strerror(-r));
	return 0;
}

/*
 * Which message of the kernel says that our block device has changed. Everything else does not: other devices and
 * actions, messages that contradict themselves, and any bytes; nothing beyond the message is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/control/uevent.h"

/* As Linux 6.18 sends them; every word has its NUL. */
#define HEADING "change@/devices/virtual/block/dm-3\0"
#define GROWN                                                                                      \
	HEADING "ACTION=change\0DEVPATH=/devices/virtual/block/dm-3\0SUBSYSTEM=block\0RESIZE=1\0"  \
		"MAJOR=253\0MINOR=3\0DEVNAME=dm-3\0DEVTYPE=disk\0DISKSEQ=21\0SEQNUM=1183\0"

/* The message lies before a page that must not be touched, and behind bytes that are no part of it. */
static char *page_end;

static bool is_change(const char *message, size_t n)
{
	char *copy = page_end - n;

	memset(page_end - UEVENT_MAX, 'M', UEVENT_MAX - n);
	memcpy(copy, message, n);
	return uevent_is_change(copy, n, 253, 3);
}

static int map_pages(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, UEVENT_MAX + page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (pages == MAP_FAILED || mprotect(pages + UEVENT_MAX, page, PROT_NONE))
		return -1;
	page_end = pages + UEVENT_MAX;
	return 0;
}

#define YES(text) assert_true(is_change(text, sizeof(text) - 1))
#define NO(text)  assert_false(is_change(text, sizeof(text) - 1))

static void test_ours(void **state)
{
	(void)state;
	YES(GROWN);
	YES(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0");
	YES(HEADING "MINOR=3\0MAJOR=253\0SUBSYSTEM=block\0ACTION=change\0");
	YES(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0MINORS=4\0X=MINOR=4\0=\0");
}

static void test_others(void **state)
{
	(void)state;
	NO("add@/devices/virtual/block/dm-3\0ACTION=add\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=4\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=25\0MINOR=3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=2530\0MINOR=3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=33\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=blocks\0MAJOR=253\0MINOR=3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=tty\0MAJOR=253\0MINOR=3\0");
	NO("change@/devices/virtual/net/vif\0ACTION=change\0SUBSYSTEM=net\0");
}

static void test_garbled(void **state)
{
	(void)state;
	NO("");
	NO("\0");
	NO("change@/");
	NO("change@/\0");
	NO("libudev\0\xfe\xed\xca\xfe");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0word\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0MINOR=3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0MINOR=4\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=03\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR= 3\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=\0");
	NO(HEADING "ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0minor=3\0");
	NO(HEADING "ACTION=change SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0");
	NO("remove@/x\0ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0");
	NO("ACTION=change\0SUBSYSTEM=block\0MAJOR=253\0MINOR=3\0");
}

/* Cut anywhere it is not what it was, up to the last word that decides; and no byte less can be spared. */
static void test_cut(void **state)
{
	size_t decided =
		sizeof(GROWN) - 1 - sizeof("DEVNAME=dm-3\0DEVTYPE=disk\0DISKSEQ=21\0SEQNUM=1183");

	(void)state;
	for (size_t n = 0; n < decided; n++)
		assert_false(is_change(GROWN, n));
	assert_true(is_change(GROWN, decided));
}

/* Bytes changed at will: whatever it says, it comes back, and mostly it says no. */
static void test_any_bytes(void **state)
{
	char message[sizeof(GROWN) - 1];
	unsigned nr_yes = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(message, GROWN, sizeof(message));
		for (unsigned j = 0; j < 1 + i % 8; j++)
			message[random() % (long)sizeof(message)] = (char)random();
		nr_yes += is_change(message, (size_t)random() % sizeof(message) + 1);
	}
	assert_true(nr_yes < 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_garbled),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}

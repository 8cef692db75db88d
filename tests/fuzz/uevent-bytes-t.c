/*
 * A message on the kernel's netlink socket, from whoever: the input is its bytes. Nothing beyond it is looked at, and only
 * one with each of the words that decide, once and with our values, is a change of our device.
 */
#include "backend/control/uevent.h"
#include "tests/fuzz/fuzz.h"

static const char heading[] = "change@/";
static const char *const wanted[] = {"ACTION=change", "SUBSYSTEM=block", "MAJOR=253", "MINOR=3"};

/* Words with that key; and whether @word is one of them. */
static unsigned count(const char *at, const char *end, const char *word, bool *ret_same)
{
	size_t key = strcspn(word, "=") + 1;
	unsigned n = 0;

	*ret_same = false;
	for (; at < end; at += strlen(at) + 1) {
		n += strncmp(at, word, key) == 0;
		*ret_same = *ret_same || strcmp(at, word) == 0;
	}
	return n;
}

static bool expect(const char *message, size_t n)
{
	const char *words, *end = message + n;
	bool same;

	if (n < sizeof(heading) || end[-1] != '\0' ||
		strncmp(message, heading, sizeof(heading) - 1) != 0)
		return false;
	words = message + strlen(message) + 1;
	for (const char *at = words; at < end; at += strlen(at) + 1)
		if (!strchr(at, '='))
			return false;
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (count(words, end, wanted[i], &same) != 1 || !same)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_change = uevent_is_change((const char *)data, size, 253, 3);

	FUZZ_CHECK(is_change == expect((const char *)data, size), "is %sa change",
		is_change ? "" : "not ");
	return 0;
}

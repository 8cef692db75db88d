/*
 * Nodes in memory in the place of xenstored, for fuzzing what reads them: the functions of libxenstore that
 * xenstore/store.c calls. Values are any bytes, as a guest's may be.
 */
#ifndef TESTS_FUZZ_FAKE_STORE_H
#define TESTS_FUZZ_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_NODES 192u

struct fake_node {
	char path[96];
	const uint8_t *value;
	size_t n;
	int error; /* of reading it, or 0 */
};

/* No nodes. */
void fake_store_reset(void);

/* The value is borrowed. False when there is no room. A second node of that name replaces the first. */
bool fake_store_set(const char *path, const uint8_t *value, size_t n, int error);

#endif

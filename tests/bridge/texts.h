/*
 * What QEMUs have said of themselves, recorded in tests/bridge/help, for C tests.
 */
#ifndef TESTS_BRIDGE_TEXTS_H
#define TESTS_BRIDGE_TEXTS_H

struct dialect;

/* The recorded text @name, without the lines that say where it is from; NULL for NULL. For free(). */
char *texts_load(const char *name);

/* What the QEMU offers that says those; each may be NULL. */
void texts_read(
	const char *help, const char *devices, const char *qmp, struct dialect *ret_dialect);

#endif

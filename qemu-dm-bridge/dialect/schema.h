/*
 * The schema of QEMU's QMP (query-qmp-schema, since QEMU 2.5), as far as it tells what blockdev-add takes.
 * Its types have no names, only numbers that differ between binaries, so it is walked from the command.
 *
 * Pure; any thread; untrusted text: whatever it is, something is there or is not.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_SCHEMA_H
#define QEMU_DM_BRIDGE_DIALECT_SCHEMA_H

#include <stdbool.h>

struct schema;

/* An argument of blockdev-add. */
struct schema_place {
	const char *driver; /* of this block driver; NULL: of all */
	const char *member; /* "cache.direct": direct in the object cache */
	const char *value;  /* one of an enumeration; NULL: whatever it takes */
};

/*
 * Find the schema in @qmp, all that a QMP session wrote. 0; -ENOENT when there is none, or it is not
 * one; -ENOMEM.
 */
int schema_create(const char *qmp, struct schema **ret_schema)
	__attribute__((nonnull, warn_unused_result));
void schema_destroy(struct schema *schema);

bool schema_has(const struct schema *schema, const struct schema_place *place)
	__attribute__((nonnull));

#endif

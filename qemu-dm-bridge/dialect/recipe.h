/*
 * Which options give which cache mode: a table, and the choice from it. How what is chosen is written is
 * drive_args.c; how it replaces what somebody else wrote is rewrite.c.
 *
 * Pure; any thread; never logs.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_RECIPE_H
#define QEMU_DM_BRIDGE_DIALECT_RECIPE_H

#include <stdbool.h>

#include "backend/util/cache.h"
#include "qemu-dm-bridge/dialect/dialect.h"

enum drive_style {
	DRIVE_STYLE_ANY, /* whichever of the others comes nearest to the mode, the first of equals */
	DRIVE_STYLE_DRIVE,
	DRIVE_STYLE_BLOCKDEV,
	DRIVE_STYLE_HDA,
	DRIVE_STYLE_COUNT,
};

/* The guest's device: its properties are told and written by the same entries, never by another's. */
struct recipe_device {
	const char *name; /* NULL: there is none */
	enum dialect_option drive, write_cache_on, write_cache_off;
};

#define RECIPE_OPTIONS 3

struct recipe {
	enum cache_mode mode;
	enum drive_style style;
	enum dialect_option options[RECIPE_OPTIONS]; /* up to DIALECT_END */
	enum {
		RECIPE_DEVICE_AS_IT_IS,
		RECIPE_WRITE_CACHE_ON,
		RECIPE_WRITE_CACHE_OFF,
	} device;
};

/*
 * The way of @style to @wanted with what @dialect has, or to the nearest mode that is safer (B31), with a
 * device @device, NULL for one that is not ours to write. NULL if there is none.
 */
const struct recipe *recipe_choose(const struct dialect *dialect, enum cache_mode wanted,
	enum drive_style style, const struct recipe_device *device)
	__attribute__((nonnull(1), warn_unused_result));

/* The property that @recipe writes for the device, or DIALECT_END. */
enum dialect_option recipe_write_cache(
	const struct recipe *recipe, const struct recipe_device *device) __attribute__((nonnull));

/*
 * How far @mode is from @wanted: 0 the same, then modes that are safer, which may stand for it: what survives
 * is no less, and the host's page cache is not used where it was to be bypassed. UINT_MAX for all others.
 */
unsigned recipe_distance(enum cache_mode wanted, enum cache_mode mode);

/* Why there is none: what is lacking, as a sentence's second half. */
const char *recipe_lacks(enum cache_mode wanted) __attribute__((returns_nonnull));

#endif

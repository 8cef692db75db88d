#include "qemu-dm-bridge/dialect/recipe.h"

#include <limits.h>
#include <stddef.h>

/*
 * In the order of preference among those of one mode and style.
 *
 * cache=on and cache=off of 2008 are today's writeback and none: the page cache without O_DSYNC, and
 * O_DIRECT. writethrough needs O_DSYNC, which came with its name. directsync came long after none: before,
 * only the device's own write cache, switched off, makes none durable.
 * -blockdev has no word for writing through at all: that is the device's. Its own default is a write cache.
 */
static const struct recipe recipes[] = {
	{CACHE_NONE, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_NONE}, RECIPE_DEVICE_AS_IT_IS},
	{CACHE_NONE, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_OFF}, RECIPE_DEVICE_AS_IT_IS},
	{CACHE_DIRECTSYNC, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_DIRECTSYNC},
		RECIPE_DEVICE_AS_IT_IS},
	{CACHE_DIRECTSYNC, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_NONE, DIALECT_DRIVE_ID},
		RECIPE_WRITE_CACHE_OFF},
	{CACHE_WRITETHROUGH, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_WRITETHROUGH},
		RECIPE_DEVICE_AS_IT_IS},
	{CACHE_WRITEBACK, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_WRITEBACK},
		RECIPE_DEVICE_AS_IT_IS},
	{CACHE_WRITEBACK, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_ON}, RECIPE_DEVICE_AS_IT_IS},
	{CACHE_UNSAFE, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_UNSAFE}, RECIPE_DEVICE_AS_IT_IS},
	{CACHE_UNSAFE, DRIVE_STYLE_DRIVE, {DIALECT_DRIVE_CACHE_VOLATILE}, RECIPE_DEVICE_AS_IT_IS},

	{CACHE_NONE, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_ON, DIALECT_BLOCKDEV_NO_FLUSH_OFF}, RECIPE_WRITE_CACHE_ON},
	{CACHE_NONE, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_ON, DIALECT_BLOCKDEV_NO_FLUSH_OFF},
		RECIPE_DEVICE_AS_IT_IS},
	{CACHE_DIRECTSYNC, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_ON, DIALECT_BLOCKDEV_NO_FLUSH_OFF},
		RECIPE_WRITE_CACHE_OFF},
	{CACHE_WRITETHROUGH, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_OFF, DIALECT_BLOCKDEV_NO_FLUSH_OFF},
		RECIPE_WRITE_CACHE_OFF},
	{CACHE_WRITEBACK, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_OFF, DIALECT_BLOCKDEV_NO_FLUSH_OFF},
		RECIPE_WRITE_CACHE_ON},
	{CACHE_WRITEBACK, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_OFF, DIALECT_BLOCKDEV_NO_FLUSH_OFF},
		RECIPE_DEVICE_AS_IT_IS},
	{CACHE_UNSAFE, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_OFF, DIALECT_BLOCKDEV_NO_FLUSH_ON}, RECIPE_WRITE_CACHE_ON},
	{CACHE_UNSAFE, DRIVE_STYLE_BLOCKDEV,
		{DIALECT_BLOCKDEV_DIRECT_OFF, DIALECT_BLOCKDEV_NO_FLUSH_ON},
		RECIPE_DEVICE_AS_IT_IS},

	/* Without a word about caches the page cache takes what is written. */
	{CACHE_WRITEBACK, DRIVE_STYLE_HDA, {DIALECT_HDA}, RECIPE_DEVICE_AS_IT_IS},
};

/*
 * The wanted mode, then what may stand for it (B31), the nearest first. none does not become writethrough,
 * nor directsync: stale pages in the host's cache are what they keep away. directsync becomes nothing.
 */
static const struct {
	unsigned nr;
	enum cache_mode modes[CACHE_MODE_COUNT];
} safer[CACHE_MODE_COUNT] = {
	[CACHE_NONE] = {2, {CACHE_NONE, CACHE_DIRECTSYNC}},
	[CACHE_DIRECTSYNC] = {1, {CACHE_DIRECTSYNC}},
	[CACHE_WRITETHROUGH] = {2, {CACHE_WRITETHROUGH, CACHE_DIRECTSYNC}},
	[CACHE_WRITEBACK] = {4,
		{CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_DIRECTSYNC}},
	[CACHE_UNSAFE] = {5,
		{CACHE_UNSAFE, CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_DIRECTSYNC}},
};

/* What has to be there before a style's first option is thought of. */
static const enum dialect_option styles[DRIVE_STYLE_COUNT] = {
	[DRIVE_STYLE_DRIVE] = DIALECT_DRIVE,
	[DRIVE_STYLE_BLOCKDEV] = DIALECT_BLOCKDEV,
	[DRIVE_STYLE_HDA] = DIALECT_HDA,
};

enum dialect_option recipe_write_cache(
	const struct recipe *recipe, const struct recipe_device *device)
{
	if (recipe->device == RECIPE_WRITE_CACHE_ON)
		return device->write_cache_on;
	return recipe->device == RECIPE_WRITE_CACHE_OFF ? device->write_cache_off : DIALECT_END;
}

/* Does this QEMU have the device that the style hands its disk to? */
static bool device_fits(const struct recipe *recipe, const struct dialect *dialect,
	const struct recipe_device *device)
{
	bool written = recipe->style == DRIVE_STYLE_BLOCKDEV || recipe->device;

	/* -drive with if= and -hda make the device themselves. */
	if (!written)
		return true;
	if (device == NULL || device->name == NULL)
		return recipe->device == RECIPE_DEVICE_AS_IT_IS;
	return dialect->has[DIALECT_DEVICE] && dialect->has[device->drive] &&
	       (recipe->device == RECIPE_DEVICE_AS_IT_IS ||
		       dialect->has[recipe_write_cache(recipe, device)]);
}

/* Every option that it writes was looked for (B30). */
static bool fits(const struct recipe *recipe, const struct dialect *dialect,
	const struct recipe_device *device)
{
	if (!dialect->has[styles[recipe->style]])
		return false;
	for (unsigned i = 0; i < RECIPE_OPTIONS && recipe->options[i] != DIALECT_END; i++)
		if (!dialect->has[recipe->options[i]])
			return false;
	return device_fits(recipe, dialect, device);
}

static const struct recipe *find(const struct dialect *dialect, enum cache_mode mode,
	enum drive_style style, const struct recipe_device *device)
{
	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++)
		if (recipes[i].mode == mode && recipes[i].style == style &&
			fits(&recipes[i], dialect, device))
			return &recipes[i];
	return NULL;
}

const struct recipe *recipe_choose(const struct dialect *dialect, enum cache_mode wanted,
	enum drive_style style, const struct recipe_device *device)
{
	for (unsigned i = 0; i < safer[wanted].nr; i++) {
		const struct recipe *recipe = find(dialect, safer[wanted].modes[i], style, device);

		if (recipe)
			return recipe;
	}
	return NULL;
}

unsigned recipe_distance(enum cache_mode wanted, enum cache_mode mode)
{
	for (unsigned i = 0; i < safer[wanted].nr; i++)
		if (safer[wanted].modes[i] == mode)
			return i;
	return UINT_MAX;
}

const char *recipe_lacks(enum cache_mode wanted)
{
	static const char *const lacks[CACHE_MODE_COUNT] = {
		[CACHE_NONE] = "it has neither cache=none nor cache=off nor cache.direct",
		[CACHE_DIRECTSYNC] =
			"it has no cache=directsync, nor direct I/O with a device whose write cache can be off",
		[CACHE_WRITETHROUGH] =
			"it has no cache=writethrough, nor a device whose write cache can be off",
		[CACHE_WRITEBACK] = "it has no way to open a disk at all",
		[CACHE_UNSAFE] = "it has no way to open a disk at all",
	};

	return lacks[wanted];
}

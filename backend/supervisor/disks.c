#include "backend/supervisor/disks.h"

#include <stdlib.h>

struct disks_entry *disks_find(const struct disks *disks, const struct vbd_path *path)
{
	for (struct disks_entry *e = disks->first; e; e = e->next)
		if (vbd_path_same(&e->path, path))
			return e;
	return NULL;
}

struct disks_entry *disks_find_pidfd(const struct disks *disks, int pidfd)
{
	for (struct disks_entry *e = disks->first; e; e = e->next)
		if (e->child.pidfd == pidfd)
			return e;
	return NULL;
}

struct disks_entry *disks_add(struct disks *disks, const struct vbd_path *path)
{
	struct disks_entry *e = disks_find(disks, path);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->path = *path;
	vbd_path_relative(path, e->backend);
	child_name(path, e->name);
	e->state = DISK_ABSENT;
	e->child = CHILD_NONE;
	e->next = disks->first;
	disks->first = e;
	disks->n++;
	return e;
}

void disks_remove(struct disks *disks, struct disks_entry *entry)
{
	struct disks_entry **at = &disks->first;

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	disks->n--;
	child_leave(&entry->child);
	free(entry);
}

void disks_fini(struct disks *disks)
{
	while (disks->first)
		disks_remove(disks, disks->first);
}

unsigned disks_count(const struct disks *disks, enum disk_state state)
{
	unsigned n = 0;

	for (const struct disks_entry *e = disks->first; e; e = e->next)
		n += e->state == state;
	return n;
}

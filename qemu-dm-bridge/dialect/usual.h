/*
 * Where a Xen host has its device model, when nobody says which it is.
 *
 * Pure; any thread.
 */
#ifndef QEMU_DM_BRIDGE_DIALECT_USUAL_H
#define QEMU_DM_BRIDGE_DIALECT_USUAL_H

/* The place to look at after @i others, a path or a name to be looked for in PATH; NULL after the last one. */
const char *usual_qemu(unsigned i);

#endif

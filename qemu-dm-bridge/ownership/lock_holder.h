/*
 * Which processes hold a lock on a byte of a file. The kernel names none for the locks of open file descriptions, but tells in
 * /proc/PID/fdinfo which locks each descriptor has.
 *
 * For a sentence after a failure: it looks at every descriptor of every process, opens none, and touches no storage. What it may not
 * see, it does not find. Any thread.
 */
#ifndef QEMU_DM_BRIDGE_OWNERSHIP_LOCK_HOLDER_H
#define QEMU_DM_BRIDGE_OWNERSHIP_LOCK_HOLDER_H

/* At most three of them: "process 4711 (qemu-system-i38)", several with "and" between them. */
struct lock_holders {
	char text[160];
};

/*
 * Of the file that @fd is open on, on which it holds a lock itself. Another description than @fd's is meant, and none that holds @but_byte, too
 * (-1: any). How many are named.
 */
unsigned lock_holder_find(int fd, int byte, int but_byte, struct lock_holders *ret_holders)
	__attribute__((nonnull));

#endif

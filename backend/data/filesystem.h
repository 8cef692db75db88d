/*
 * What a file's file system is called, for sentences to people: "ext4", "fuse.sshfs".
 *
 * Control thread; reads /proc. Never logs.
 */
#ifndef BACKEND_DATA_FILESYSTEM_H
#define BACKEND_DATA_FILESYSTEM_H

#define FILESYSTEM_NAME_MAX 32

/* "its file system" when @fd is -1, or nothing is known. */
void filesystem_name(int fd, char ret_name[FILESYSTEM_NAME_MAX]) __attribute__((nonnull));

#endif

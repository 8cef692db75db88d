/*
 * hold-mapped FILE: map the first page of a file or block device, say "mapped", and keep it until standard input ends: a page that nobody can
 * drop from the page cache.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile char *map = MAP_FAILED;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	char byte;

	if (fd >= 0)
		map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		perror("hold-mapped");
		return 1;
	}
	(void)map[0]; /* only now it is there */
	printf("mapped\n");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

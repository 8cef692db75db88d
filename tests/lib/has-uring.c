/*
 * has-uring - exit 0: a worker may use io_uring here; 1: it may not, and standard error says why.
 */
#include <liburing.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct io_uring ring;
	int r = io_uring_queue_init(1, &ring, 0);

	if (r) {
		fprintf(stderr, "has-uring: %s\n", strerror(-r));
		return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}

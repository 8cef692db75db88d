#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/xenbus/xenbus.h"

int bus_buffer_add(struct bus_buffer *b, const void *data, size_t size)
{
	if (b->start == b->end)
		b->start = b->end = 0;
	if (b->end + size > b->room && b->start) {
		memmove(b->data, b->data + b->start, b->end - b->start);
		b->end -= b->start;
		b->start = 0;
	}
	if (b->end + size > b->room) {
		size_t room = (b->end + size) * 2;
		char *data_new = realloc(b->data, room);

		if (!data_new)
			return -ENOMEM;
		b->data = data_new;
		b->room = room;
	}
	memcpy(b->data + b->end, data, size);
	b->end += size;
	return 0;
}

void bus_buffer_free(struct bus_buffer *b)
{
	free(b->data);
	*b = (struct bus_buffer){0};
}

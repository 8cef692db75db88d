#include "backend/data/times.h"

void times_add(struct queue_times *sum, const struct queue_times *from)
{
	for (unsigned i = 0; i < TIMES_ANSWERED_COUNT; i++)
		histogram_add(&sum->answered[i], &from->answered[i]);
	for (unsigned i = 0; i < TIMES_STORED_COUNT; i++)
		histogram_add(&sum->stored[i], &from->stored[i]);
}

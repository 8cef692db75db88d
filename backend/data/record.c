#include "backend/data/record.h"

/* Other queues of the disk add to the same word; the order of words does not matter to anyone. */
static void add(uint64_t *word, uint64_t *told, uint64_t now)
{
	if (now == *told)
		return;
	(void)__atomic_fetch_add(word, now - *told, __ATOMIC_RELAXED);
	*told = now;
}

void record_add(struct record *record, struct record *told, const struct queue_stats *now)
{
	add(&record->reads_taken, &told->reads_taken, now->reads_taken);
	add(&record->reads_answered, &told->reads_answered, now->reads_answered);
	add(&record->read_sectors, &told->read_sectors, now->read_sectors);
	add(&record->reads_us, &told->reads_us, now->reads_ns / 1000);
	add(&record->writes_taken, &told->writes_taken, now->writes_taken);
	add(&record->writes_answered, &told->writes_answered, now->writes_answered);
	add(&record->write_sectors, &told->write_sectors, now->write_sectors);
	add(&record->writes_us, &told->writes_us, now->writes_ns / 1000);
	add(&record->errors, &told->errors, now->failed);
}

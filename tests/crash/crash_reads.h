/*
 * Whether a read has found what it may: on each sector something that is not older than what had been answered when the
 * read was submitted, and that somebody had asked for.
 */
#ifndef TESTS_CRASH_CRASH_READS_H
#define TESTS_CRASH_CRASH_READS_H

#include "tests/crash/crash_model.h"

/* A read was answered well just now. Violations have the rule 'r'. */
void reads_check(struct model *m, uint32_t request) __attribute__((nonnull));

#endif

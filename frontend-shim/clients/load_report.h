/*
 * The figures of loads that ran at the same time, one per disk, as text for people or one line of JSON.
 *
 * One thread. Writes to standard output.
 */
#ifndef FRONTEND_SHIM_CLIENTS_LOAD_REPORT_H
#define FRONTEND_SHIM_CLIENTS_LOAD_REPORT_H

#include "frontend-shim/clients/load.h"

struct load_report {
	const struct load *loads;
	const char *const *vdevs; /* the names of the disks, as many as loads */
	unsigned nr_loads;
	uint64_t connected_ns; /* CLOCK_MONOTONIC, when the last disk was */
	double seconds;
	double cpu_us; /* the frontend's, all of it */
	bool has_backend_cpu;
	double backend_cpu_us; /* of the processes that were named */
	bool json;
};

void load_report_print(const struct load_report *report) __attribute__((nonnull));

#endif

#include "qemu-dm-bridge/dialect/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/util/problem.h"
#include "qemu-dm-bridge/dialect/run.h"

/* Ten times what QEMU 7.2 says, and more. */
#define HELP_MAX 1048576
#define QMP_MAX  8388608

struct probe {
	const char *qemu;
	uint64_t deadline_ms;
	char *help, *devices, *qmp;
};

static int ask_help(struct probe *p, struct problem *problem)
{
	const char *const argv[] = {p->qemu, "-help", NULL};
	struct run run = {.argv = argv, .output_max = HELP_MAX, .deadline_ms = p->deadline_ms};

	return run_program(&run, &p->help, problem);
}

/* The names of the devices that a disk may be, as argument. */
static const char *const devices[] = {"ide-hd,help", "scsi-hd,help", "virtio-blk-pci,help"};

/* One more text behind the others. */
static int append(char **text, const char *more)
{
	size_t len = *text ? strlen(*text) : 0, more_len = strlen(more);
	char *larger = realloc(*text, len + more_len + 2);

	if (larger == NULL)
		return -ENOMEM;
	(void)snprintf(larger + len, more_len + 2, "%s\n", more);
	*text = larger;
	return 0;
}

/* A device that was left out of this QEMU is a complaint, which has no properties. */
static int ask_devices(struct probe *p, struct problem *problem)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		const char *const argv[] = {p->qemu, "-device", devices[i], NULL};
		struct run run = {
			.argv = argv, .output_max = HELP_MAX, .deadline_ms = p->deadline_ms};
		char *text;
		int r = run_program(&run, &text, problem);

		if (r < 0)
			return r;
		r = append(&p->devices, text);
		free(text);
		if (r < 0)
			return problem_set(problem, r, "no memory");
	}
	return 0;
}

/*
 * A machine of nothing. The accelerator for tests runs no guest code and needs neither KVM nor Xen: Xen's own
 * build of QEMU has none but xen beside it, and would not start on another host. Where it is a module of its
 * own it may not be installed; such a QEMU has TCG.
 */
static const char *const machines[] = {"none,accel=qtest", "none"};

/*
 * QEMU answers in the order it is asked in, so with the answer to LAST it has given all. It is not told to
 * quit: it does so at once, and what its reader was too slow for is lost (seen with 7.2: 140 of 200 kB were lost).
 */
#define LAST_ID "blkback-last"
#define LAST    "{\"execute\": \"query-version\", \"id\": \"" LAST_ID "\"}\n"

/* A QEMU that does not start that way complains; then there is no schema, and the help has to do. */
static int ask_qmp(struct probe *p, struct problem *problem)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		const char *const argv[] = {p->qemu, "-machine", machines[i], "-nodefaults",
			"-display", "none", "-S", "-qmp", "stdio", NULL};
		struct run run = {.argv = argv,
			.input = "{\"execute\": \"qmp_capabilities\"}\n"
				 "{\"execute\": \"query-qmp-schema\"}\n" LAST,
			.last = "\"" LAST_ID "\"",
			.output_max = QMP_MAX,
			.deadline_ms = p->deadline_ms};
		int r;

		free(p->qmp);
		p->qmp = NULL;
		r = run_program(&run, &p->qmp, problem);
		if (r < 0)
			return r;
		if (strstr(p->qmp, "\"blockdev-add\""))
			break;
	}
	return 0;
}

static struct dialect_texts texts_of(const struct probe *p)
{
	return (struct dialect_texts){.help = p->help, .devices = p->devices, .qmp = p->qmp};
}

/* The schema is of use from -blockdev on. */
static int ask(
	struct probe *p, enum probe_extent extent, struct dialect *dialect, struct problem *problem)
{
	struct dialect_texts texts;
	int r = ask_help(p, problem);

	if (r < 0)
		return r;
	texts = texts_of(p);
	r = dialect_read(&texts, dialect, problem);
	if (extent == PROBE_DRIVE)
		return r;
	if (r == 0 && dialect->has[DIALECT_DEVICE])
		r = ask_devices(p, problem);
	if (r == 0 && dialect->has[DIALECT_BLOCKDEV] && dialect->has[DIALECT_QMP] &&
		dialect->has[DIALECT_MACHINE])
		r = ask_qmp(p, problem);
	if (r < 0)
		return r;
	texts = texts_of(p);
	return dialect_read(&texts, dialect, problem);
}

int probe_qemu(const char *qemu, enum probe_extent extent, unsigned timeout_ms,
	struct dialect *ret_dialect, struct problem *problem)
{
	struct probe p = {.qemu = qemu, .deadline_ms = run_clock_ms() + timeout_ms};
	struct dialect dialect;
	struct problem why;
	int r = ask(&p, extent, &dialect, &why);

	free(p.help);
	free(p.devices);
	free(p.qmp);
	if (r == -EPROTO)
		return problem_set(problem, r, "'%s': %s", qemu, why.text);
	if (r < 0) {
		*problem = why;
		return r;
	}
	*ret_dialect = dialect;
	return 0;
}

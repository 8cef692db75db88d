/*
 * qmp-say SOCKET COMMAND-LINE: have QEMU's monitor for people run a line, print what it answers.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "qemu-dm-bridge/qmp/client.h"

#define PATIENCE_MS 60000

static int say(struct qmp *qmp, const char *line, struct problem *problem)
{
	struct json_object *arguments = json_object_new_object(), *said;
	int r;

	(void)json_object_object_add(arguments, "command-line", json_object_new_string(line));
	r = qmp_run(qmp, "human-monitor-command", arguments, &said, problem);
	if (r)
		return r;
	(void)printf("%s", json_object_get_string(said));
	json_object_put(said);
	return 0;
}

int main(int argc, char **argv)
{
	struct problem problem;
	struct qmp *qmp = NULL;
	int r = EXIT_FAILURE;

	if (argc != 3)
		return 2;
	if (qmp_open(argv[1], PATIENCE_MS, &qmp, &problem) == 0 && say(qmp, argv[2], &problem) == 0)
		r = EXIT_SUCCESS;
	else
		(void)fprintf(stderr, "qmp-say: %s\n", problem.text);
	qmp_close(qmp);
	return r;
}

/* xensim - the toolstack of a simulated Xen host. See SIMULATOR.md. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} verbs[] = {
	{"host-start", verb_host_start, "[DIR]  start a host, print the environment to use it"},
	{"host-stop", verb_host_stop, "[DIR]  end it and leave nothing"},
	{"domain-create", verb_domain_create, "DOMID [NAME]  create a guest and its xenbus"},
	{"domain-destroy", verb_domain_destroy, "DOMID  shut down and remove with its devices"},
	{"domain-kill", verb_domain_kill, "DOMID  crash the guest; nothing is cleaned up"},
	{"vbd-attach", verb_vbd_attach, "DOMID VDEV TARGET  attach a virtual disk"},
	{"vbd-detach", verb_vbd_detach, "DOMID VDEV  detach it"},
	{"counters", verb_counters, "[--json | --check]  what the hypervisor holds"},
};

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: xensim VERB [ARGUMENT]...\n"
		    "The toolstack of a simulated Xen host; 'xensim VERB --help' tells more.\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-14s %s\n", verbs[i].name, verbs[i].what);
	fprintf(to, "XENSIM_STATE_SECONDS: how long to wait for a backend or a domain's end, "
		    "by default 10 as libxl.\n");
	fprintf(to, "Exit: 0 done, 1 failed, 2 usage, 3 no answer in time.\n");
	return code;
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN); /* libxenstore writes to sockets */
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout, EXIT_DONE);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	tool_error("there is no verb '%s'; see 'xensim --help'", argv[1]);
	return EXIT_USAGE;
}

/* counters: what the hypervisor holds, for people and for tests. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend-shim/toolstack/toolstack.h"

struct counters {
	struct hv_counters sum;
	const struct hv_domain_usage *domains;
	const struct hv_handle_usage *handles;
};

static const char *const kind_names[HV_KIND_COUNT] = {
	[HV_KIND_NONE] = "none",
	[HV_KIND_EVTCHN] = "evtchn",
	[HV_KIND_GNTTAB] = "gnttab",
	[HV_KIND_GNTSHR] = "gntshr",
	[HV_KIND_CTRL] = "ctrl",
};

static const char *const state_names[] = {"running", "shutdown", "dying"};

/* One name and number for each sum over the host. */
struct counters_field {
	const char *name;
	uint64_t value;
};

#define COUNTERS_FIELDS 16u

static unsigned counters_fields(const struct counters *c, struct counters_field *f)
{
	uint64_t shared = 0, mapped = 0, deferred = 0, unbound = 0, bound = 0, virq = 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < c->sum.nr_domains; i++) {
		shared += c->domains[i].grants_shared;
		mapped += c->domains[i].grants_mapped;
		deferred += c->domains[i].grants_deferred;
		unbound += c->domains[i].ports_unbound;
		bound += c->domains[i].ports_interdomain;
		virq += c->domains[i].ports_virq;
	}
	f[n++] = (struct counters_field){"maps", c->sum.maps};
	f[n++] = (struct counters_field){"unmaps", c->sum.unmaps};
	f[n++] = (struct counters_field){"unmapped_by_close", c->sum.unmapped_by_close};
	f[n++] = (struct counters_field){"copies", c->sum.copies};
	f[n++] = (struct counters_field){"copied_bytes", c->sum.copied_bytes};
	f[n++] = (struct counters_field){"notifies_sent", c->sum.notifies_sent};
	f[n++] = (struct counters_field){"notifies_delivered", c->sum.notifies_delivered};
	f[n++] = (struct counters_field){"domains_created", c->sum.domains_created};
	f[n++] = (struct counters_field){"domains_destroyed", c->sum.domains_destroyed};
	f[n++] = (struct counters_field){"grants_shared", shared};
	f[n++] = (struct counters_field){"grants_mapped", mapped};
	f[n++] = (struct counters_field){"grants_deferred", deferred};
	f[n++] = (struct counters_field){"ports_unbound", unbound};
	f[n++] = (struct counters_field){"ports_interdomain", bound};
	f[n++] = (struct counters_field){"ports_virq", virq};
	return n;
}

static void counters_print_json(const struct counters *c)
{
	struct counters_field f[COUNTERS_FIELDS];
	unsigned n = counters_fields(c, f);

	printf("{");
	for (unsigned i = 0; i < n; i++)
		printf("\"%s\": %" PRIu64 ", ", f[i].name, f[i].value);
	printf("\"domains\": [");
	for (uint32_t i = 0; i < c->sum.nr_domains; i++) {
		const struct hv_domain_usage *d = &c->domains[i];

		printf("%s{\"domid\": %u, \"state\": \"%s\", \"frames\": %u, \"ports_unbound\": "
		       "%u, "
		       "\"ports_interdomain\": %u, \"ports_virq\": %u, \"grants_shared\": %u, "
		       "\"grants_mapped\": %u, \"grants_deferred\": %u}",
			i ? ", " : "", d->domid, state_names[d->state], d->nr_frames,
			d->ports_unbound, d->ports_interdomain, d->ports_virq, d->grants_shared,
			d->grants_mapped, d->grants_deferred);
	}
	printf("], \"handles\": [");
	for (uint32_t i = 0; i < c->sum.nr_handles; i++) {
		const struct hv_handle_usage *h = &c->handles[i];

		printf("%s{\"kind\": \"%s\", \"domid\": %u, \"pid\": %d, \"own\": %s, \"ports\": "
		       "%u, "
		       "\"maps\": %u, \"shared\": %u}",
			i ? ", " : "", kind_names[h->kind], h->domid, h->pid,
			h->own ? "true" : "false", h->ports, h->maps, h->shared);
	}
	printf("]}\n");
}

static void counters_print_text(const struct counters *c)
{
	struct counters_field f[COUNTERS_FIELDS];
	unsigned n = counters_fields(c, f);

	for (unsigned i = 0; i < n; i++)
		printf("%-20s %" PRIu64 "\n", f[i].name, f[i].value);
	for (uint32_t i = 0; i < c->sum.nr_domains; i++) {
		const struct hv_domain_usage *d = &c->domains[i];

		printf("domain %u: %s, %u frames, ports %u unbound %u interdomain %u virq, "
		       "grants %u shared %u mapped %u deferred\n",
			d->domid, state_names[d->state], d->nr_frames, d->ports_unbound,
			d->ports_interdomain, d->ports_virq, d->grants_shared, d->grants_mapped,
			d->grants_deferred);
	}
	for (uint32_t i = 0; i < c->sum.nr_handles; i++) {
		const struct hv_handle_usage *h = &c->handles[i];

		printf("handle %s: domain %u, pid %d%s, %u ports, %u mapped, %u shared\n",
			kind_names[h->kind], h->domid, h->pid, h->own ? " (the host's own)" : "",
			h->ports, h->maps, h->shared);
	}
}

/*
 * What is left although nobody should be there any more: handles of processes that are not the
 * host's, grants somebody else than the host maps, pages that cannot be freed. One line each.
 */
static int counters_check(const struct counters *c)
{
	int leaks = 0;

	for (uint32_t i = 0; i < c->sum.nr_handles; i++) {
		const struct hv_handle_usage *h = &c->handles[i];

		if (h->own || h->kind == HV_KIND_CTRL)
			continue;
		leaks++;
		tool_error("leaked: %s handle of domain %u, process %d, %u ports, %u mapped, %u "
			   "shared",
			kind_names[h->kind], h->domid, h->pid, h->ports, h->maps, h->shared);
	}
	for (uint32_t i = 0; i < c->sum.nr_domains; i++) {
		const struct hv_domain_usage *d = &c->domains[i];

		if (!d->grants_deferred && d->state != HV_DOMAIN_DYING)
			continue;
		leaks++;
		tool_error("leaked: domain %u is %s, %u grants mapped, %u deferred", d->domid,
			state_names[d->state], d->grants_mapped, d->grants_deferred);
	}
	return leaks ? EXIT_FAILED : EXIT_DONE;
}

static int counters_usage(FILE *to, int code)
{
	fprintf(to, "usage: xensim counters [--json | --check]\n"
		    "What the hypervisor holds (domains, ports, grants, handles) and has counted "
		    "so far.\n"
		    "unmapped_by_close: grants still mapped when a handle was closed or its "
		    "process died.\n"
		    "  --json   one line of JSON\n"
		    "  --check  only say what is left over: handles of processes that are not the "
		    "host's own,\n"
		    "           pages that are still mapped, dead domains\n"
		    "Exit: 0 done, 1 failed or something is left over, 2 usage.\n");
	return code;
}

int verb_counters(int argc, char **argv)
{
	struct hv_call call = {.req.op = HV_COUNTERS, .send_fd = -1, .out_room = HV_MAX_MESSAGE};
	const char *dir, *how = argc == 2 ? argv[1] : "";
	int r, code = EXIT_DONE;
	struct counters c;
	struct hv_client client;

	if (!strcmp(how, "--help"))
		return counters_usage(stdout, EXIT_DONE);
	if (argc > 2 || (*how && strcmp(how, "--json") != 0 && strcmp(how, "--check") != 0))
		return counters_usage(stderr, EXIT_USAGE);
	dir = tool_host_dir();
	if (!dir || tool_connect(&client, dir) < 0)
		return EXIT_FAILED;
	call.out = calloc(1, call.out_room);
	r = call.out ? hv_client_call(&client, &call) : -ENOMEM;
	hv_client_close(&client);
	if (r < 0) {
		tool_error("cannot read the counters: %s", strerror(-r));
		free(call.out);
		return EXIT_FAILED;
	}
	memcpy(&c.sum, call.out, sizeof(c.sum));
	c.domains = (void *)((struct hv_counters *)call.out + 1);
	c.handles = (const void *)(c.domains + c.sum.nr_domains);
	if (!strcmp(how, "--json"))
		counters_print_json(&c);
	else if (!strcmp(how, "--check"))
		code = counters_check(&c);
	else
		counters_print_text(&c);
	free(call.out);
	return code;
}

/*
 * xensimd's own state. One thread, one epoll loop; everything below belongs to it. What it publishes
 * to others is in machine/layout.h. Functions named hv_op_*() carry out one request each: they return
 * 0 or -errno, fill the reply, and change nothing when they fail.
 */
#ifndef FRONTEND_SHIM_HYPERVISOR_HV_H
#define FRONTEND_SHIM_HYPERVISOR_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "frontend-shim/machine/layout.h"
#include "frontend-shim/machine/port.h"
#include "frontend-shim/machine/wire.h"

#define HV_VIRQS 24u

struct hv;
struct hv_guest;
struct hv_handle;

/* Something epoll watches. */
struct hv_source {
	void (*ready)(struct hv *hv, struct hv_source *source, uint32_t events);
	int fd;
};

/* ---- event channels --------------------------------------------------------------------------- */

enum hv_channel_state {
	CHANNEL_FREE,
	CHANNEL_UNBOUND,
	CHANNEL_INTERDOMAIN,
	CHANNEL_VIRQ,
};

struct hv_channel {
	enum hv_channel_state state;
	struct hv_handle
		*owner;        /* NULL: the guest kernel's, not claimed yet, or of a dead process */
	uint32_t remote_domid; /* UNBOUND: who may bind; INTERDOMAIN: who did */
	struct hv_guest *peer; /* INTERDOMAIN */
	uint32_t peer_port;
	uint32_t virq;
};

/* ---- grants ----------------------------------------------------------------------------------- */

struct hv_grant {
	uint32_t frame;
	uint32_t nr_maps;
	bool used, deferred;
};

/* What an unmap or unshare leaves behind for the peer: a zeroed byte and an event. */
struct hv_farewell {
	struct hv_guest *guest; /* NULL: nothing was asked for */
	uint32_t frame, offset; /* HV_NO_NOTIFY: no byte */
	uint32_t port;          /* 0: no event */
};

struct hv_share {
	struct hv_share *next;
	uint64_t id;
	struct hv_guest *guest;
	struct hv_farewell farewell;
	uint32_t count;
	uint32_t refs[];
};

struct hv_map_ref {
	struct hv_guest *guest;
	uint32_t ref;
};

struct hv_map {
	struct hv_map *next;
	uint64_t id;
	struct hv_farewell farewell;
	uint32_t count;
	struct hv_map_ref refs[];
};

/* Frames that no grant names any more, but which a grant copy begun earlier may still be reading. */
struct hv_limbo {
	struct hv_limbo *next;
	uint32_t frame;
	uint32_t nr_busy;
	uint64_t busy[]; /* ids of the handles that were inside a copy */
};

/* ---- domains ---------------------------------------------------------------------------------- */

struct hv_guest {
	struct hv_guest *next;
	uint32_t domid, slot, memory; /* memory: incarnation word, see machine.slot_of */
	enum hv_domain_state state;
	uint32_t reason, flags; /* flags: HV_DOMAIN_HVM */
	unsigned nr_handles;    /* that were opened as this domain */
	unsigned nr_mapped;     /* of its pages, by anybody: keeps a dying domain in the list */
	int memory_fd;
	uint8_t *base;         /* all its memory; the grant table lies at offset 0 */
	uint64_t *free_frames; /* bitmap, 1 = free */
	uint32_t next_frame, nr_frames;
	uint32_t *free_refs; /* stack */
	uint32_t nr_free_refs;
	struct hv_grant *grants;
	struct hv_channel *channels;
	uint32_t virq_port[HV_VIRQS];
	struct hv_limbo *limbo;
};

/* ---- connections ------------------------------------------------------------------------------ */

struct hv_handle {
	struct hv_source source; /* first: cast from it */
	enum hv_kind kind;
	pid_t pid;
	uint32_t domid, index;
	uint64_t id;
	struct hv_guest *guest; /* NULL: not introduced yet, or the domain was destroyed */
	int event_fd;
	uint64_t event_identity;
	uint32_t restricted_to; /* HV_NO_NOTIFY: not restricted */
	struct hv_map *maps;
	struct hv_share *shares;
	uint64_t next_id;
	bool waits_for_xenstore, waits_for_stop;
};

/* One request being carried out. */
struct hv_packet {
	struct hv_request req;
	const uint8_t *data;
	size_t data_size;
	int received_fd; /* -1, or taken by the operation, which then sets it to -1 */
	struct hv_reply reply;
	uint8_t *out;
	size_t out_size;
	int send_fds[HV_MAX_FDS]; /* borrowed */
	unsigned nr_send_fds;
	bool deferred; /* answered later */
};

struct hv_child {
	struct hv_child *next;
	pid_t pid;
	uint32_t domid; /* 0: lives as long as the host */
};

struct hv {
	struct port_waker waker; /* first: cast from it */
	const char *dir;
	int epoll_fd, machine_fd, xsd_fd;
	struct hv_source listener, signals;
	struct machine *machine;
	struct machine_handle *self; /* the hypervisor's own counters: handles[0] */
	struct hv_guest *guests;
	uint32_t incarnations; /* of domains, ever */
	struct hv_handle *handles[MACHINE_HANDLES];
	uint32_t handle_top; /* one above the highest index in use */
	uint32_t generation[MACHINE_HANDLES];
	struct hv_child *children;
	uint32_t xsd_port; /* dom0's own end of its xenstore channel */
	bool stopping, finished;
	struct hv_counters totals; /* of handles that are gone, and events of ours */
	uint8_t in[HV_MAX_MESSAGE], out[HV_MAX_MESSAGE];
};

/* source.c */
int hv_source_add(struct hv *hv, struct hv_source *s, int fd,
	void (*ready)(struct hv *, struct hv_source *, uint32_t));
void hv_source_remove(struct hv *hv, struct hv_source *s);

/* handle.c: accepts, answers, and lets go */
int hv_listen(struct hv *hv);
void hv_answer(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
void hv_answer_waiters(struct hv *hv, bool xenstore, bool stop);
void hv_handle_close(struct hv *hv, struct hv_handle *h);
void hv_handles_forget_guest(struct hv *hv, struct hv_guest *g);
bool hv_handle_in_copy(struct hv *hv, uint64_t id);
int hv_op_hello(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_close(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_adopt(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_waker(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* op.c: the table of operations and who may use them */
int hv_dispatch(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* guest.c: domains */
struct hv_guest *hv_guest_find(struct hv *hv, uint32_t domid);
int hv_guest_create(struct hv *hv, uint32_t domid, struct hv_guest **ret_guest);
void hv_guest_put_mapped(struct hv *hv, struct hv_guest *g);
int hv_op_memory(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_domain_create(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_domain_shutdown(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_domain_destroy(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_domain_list(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* frames.c: a domain's pages */
int hv_frames_init(struct hv_guest *g);
int hv_frames_alloc(struct hv_guest *g, uint32_t count, uint32_t *ret_first);
void hv_frame_free(struct hv *hv, struct hv_guest *g, uint32_t frame);
void hv_frames_reclaim(struct hv *hv, struct hv_guest *g);

/* channel.c: event channels */
int hv_channel_alloc(struct hv_guest *g, struct hv_handle *owner, uint32_t remote, struct hv *hv,
	uint32_t *ret_port);
void hv_channel_close(struct hv *hv, struct hv_guest *g, uint32_t port);
void hv_channels_release(struct hv *hv, struct hv_handle *h);
void hv_virq_raise(struct hv *hv, uint32_t virq);
int hv_op_alloc_unbound(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_bind_interdomain(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_bind_virq(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_claim_port(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_close_port(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_restrict(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_xsd(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* grant.c: a domain's grant table, and sharing */
void hv_grant_set(struct hv_guest *g, uint32_t ref, uint32_t to, uint32_t frame, bool writable);
void hv_grant_put_map(struct hv *hv, struct hv_guest *g, uint32_t ref);
void hv_farewell_send(struct hv *hv, const struct hv_farewell *f);
int hv_farewell_set(struct hv_handle *h, const struct hv_packet *p, struct hv_farewell *f);
void hv_shares_release(struct hv *hv, struct hv_handle *h);
int hv_op_share(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_unshare(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* map.c: mappings of other domains' pages */
void hv_maps_release(struct hv *hv, struct hv_handle *h);
int hv_op_map(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_unmap(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* child.c: the processes that belong to the host */
int hv_children_watch(struct hv *hv);
bool hv_child_is(const struct hv *hv, pid_t pid);
void hv_children_kill(struct hv *hv, uint32_t domid, bool all);
int hv_op_spawn(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_wait_xenstore(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
int hv_op_stop(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

/* counters.c */
void hv_counters_retire(struct hv *hv, struct hv_handle *h);
int hv_op_counters(struct hv *hv, struct hv_handle *h, struct hv_packet *p);

#endif

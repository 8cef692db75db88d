/*
 * What is said to xensimd over $XENSIM_DIR/hypervisor: the control operations that real Xen knows as
 * hypercalls and ioctls. One SOCK_SEQPACKET connection for each library handle, one request and one
 * reply at a time; descriptors travel beside the packets. Hanging up releases all the handle held.
 *
 * A packet is the fixed struct, followed by the operation's payload. Host byte order: both ends are
 * built together, and HV_HELLO carries the version.
 */
#ifndef FRONTEND_SHIM_MACHINE_WIRE_H
#define FRONTEND_SHIM_MACHINE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define HV_VERSION     1u
#define HV_MAX_REFS    8192u /* grants in one map or share */
#define HV_MAX_MESSAGE ((size_t)192 * 1024)
#define HV_MAX_FDS     2u
#define HV_NO_NOTIFY   UINT32_MAX

enum hv_kind {
	HV_KIND_NONE,
	HV_KIND_EVTCHN,
	HV_KIND_GNTTAB,
	HV_KIND_GNTSHR,
	HV_KIND_CTRL,
	HV_KIND_COUNT,
};

/*
 * For each: what the request's fields mean -> what the reply's fields mean. `result` is 0 or the
 * -errno of the real call. Fields not named are zero.
 */
enum hv_op {
	/* any handle */
	HV_HELLO, /* flags: kind, domid: who I am, value: HV_VERSION -> value: handle id, count: slot,
		     fds: machine, eventfd (HV_KIND_EVTCHN) */
	HV_CLOSE,  /* -> all that the handle held is released before the reply */
	HV_MEMORY, /* domid -> value: incarnation word as in slot_of, fd: guest memory */

	/* event channels */
	HV_ALLOC_UNBOUND,    /* domid: who may bind -> value: port */
	HV_BIND_INTERDOMAIN, /* domid, port: remote -> value: port */
	HV_BIND_VIRQ,        /* count: virq -> value: port */
	HV_CLAIM_PORT,       /* port: of this domain, nobody's, made by the toolstack */
	HV_CLOSE_PORT,       /* port */
	HV_WAKER,            /* value: handle id -> fd: its eventfd */
	HV_ADOPT,            /* value: eventfd-id of fdinfo -> value: handle id, fds as HV_HELLO */
	HV_RESTRICT,         /* domid: bindings to any other are refused from now on */

	/* grants */
	HV_MAP,     /* count, flags: PROT_*, port and value: notification; payload: hv_ref[count]
		       -> value: map id; payload: hv_mapped[count] */
	HV_UNMAP,   /* value: map id */
	HV_SHARE,   /* domid: to whom, count, flags: 1 = writable, port and value: notification
		       -> value: share id, payload: first frame, then refs[count]; fd: guest memory */
	HV_UNSHARE, /* value: share id */

	/* dom0's end of xenstore: /proc/xen/xsd_port and xsd_kva */
	HV_XSD, /* -> value: port, fd: the page */

	/* the toolstack's (HV_KIND_CTRL of domain 0) */
	HV_DOMAIN_CREATE, /* domid, flags: HV_DOMAIN_HVM -> value: xenstore port, extra: xenstore frame */
	HV_DOMAIN_SHUTDOWN, /* domid, flags: reason */
	HV_DOMAIN_DESTROY,  /* domid */
	HV_DOMAIN_LIST,     /* domid: first, count: at most -> count, payload: hv_domain[] */
	HV_COUNTERS,        /* -> payload: hv_counters, hv_domain_usage[], hv_handle_usage[] */
	HV_SPAWN,         /* count: argv strings, flags: env strings, domid: killed with this domain
			       (0: with the host), fd: becomes the child's 3; payload: log file, argv,
			       env, each NUL terminated -> value: pid */
	HV_WAIT_XENSTORE, /* -> answered once xenstored has bound dom0's port */
	HV_STOP,          /* -> answered when all children are gone; xensimd exits */
	HV_OP_COUNT,
};

struct hv_request {
	uint32_t op, domid, port, count, flags, reserved;
	uint64_t value;
};

struct hv_reply {
	int32_t result;
	uint32_t count;
	uint64_t value, extra;
};

struct hv_ref {
	uint32_t domid, ref;
};

/* `memory` is the word of machine.slot_of: which domain's frames, and which incarnation of it. */
struct hv_mapped {
	uint32_t memory, frame;
};

enum hv_domain_state {
	HV_DOMAIN_RUNNING,
	HV_DOMAIN_IS_SHUTDOWN,
	HV_DOMAIN_DYING,
};

/* What kind of guest it is, for those who ask libxenctrl. */
#define HV_DOMAIN_HVM 1u

struct hv_domain {
	uint32_t domid, state, reason, nr_frames, flags;
};

struct hv_domain_usage {
	uint32_t domid, state, nr_frames;
	uint32_t ports_unbound, ports_interdomain, ports_virq;
	uint32_t grants_shared; /* entries that permit access now, deferred ones included */
	uint32_t
		grants_mapped; /* of this domain's grants, by anybody; a ref mapped twice counts 2 */
	uint32_t grants_deferred; /* unshared by their owner, still mapped by somebody */
	uint32_t reserved;
};

struct hv_handle_usage {
	uint32_t kind, domid;
	int32_t pid;
	uint32_t own;   /* 1: of a process that belongs to the host itself (xenstored, xenbus) */
	uint32_t ports; /* bound or unbound */
	uint32_t maps;  /* grants mapped through it */
	uint32_t shared;
	uint32_t reserved;
};

struct hv_counters {
	uint64_t maps, unmaps; /* grants, not calls */
	uint64_t copies, copied_bytes;
	uint64_t notifies_sent, notifies_delivered;
	uint64_t
		unmapped_by_close; /* grants still mapped when a handle was closed or its process died */
	uint64_t domains_created, domains_destroyed;
	uint32_t nr_domains, nr_handles; /* how many of each struct follow */
};

#endif

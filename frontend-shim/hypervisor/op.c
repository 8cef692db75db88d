#include <errno.h>

#include "frontend-shim/hypervisor/hv.h"

/* Who may: a set of handle kinds. `live`: only while the caller's domain executes. */
#define ANY     (~0u)
#define KIND(k) (1u << HV_KIND_##k)

struct hv_operation {
	int (*run)(struct hv *hv, struct hv_handle *h, struct hv_packet *p);
	unsigned kinds;
	bool live;
};

static const struct hv_operation operations[HV_OP_COUNT] = {
	[HV_HELLO] = {hv_op_hello, KIND(NONE), false},
	[HV_CLOSE] = {hv_op_close, ANY, false},
	[HV_MEMORY] = {hv_op_memory, ANY, true},
	[HV_ALLOC_UNBOUND] = {hv_op_alloc_unbound, KIND(EVTCHN), true},
	[HV_BIND_INTERDOMAIN] = {hv_op_bind_interdomain, KIND(EVTCHN), true},
	[HV_BIND_VIRQ] = {hv_op_bind_virq, KIND(EVTCHN), true},
	[HV_CLAIM_PORT] = {hv_op_claim_port, KIND(EVTCHN), true},
	[HV_CLOSE_PORT] = {hv_op_close_port, KIND(EVTCHN), true},
	[HV_WAKER] = {hv_op_waker, KIND(EVTCHN), false},
	[HV_ADOPT] = {hv_op_adopt, KIND(EVTCHN), true},
	[HV_RESTRICT] = {hv_op_restrict, KIND(EVTCHN), true},
	[HV_MAP] = {hv_op_map, KIND(GNTTAB), true},
	[HV_UNMAP] = {hv_op_unmap, KIND(GNTTAB), false},
	[HV_SHARE] = {hv_op_share, KIND(GNTSHR), true},
	[HV_UNSHARE] = {hv_op_unshare, KIND(GNTSHR), false},
	[HV_XSD] = {hv_op_xsd, KIND(CTRL), true},
	[HV_DOMAIN_CREATE] = {hv_op_domain_create, KIND(CTRL), true},
	[HV_DOMAIN_SHUTDOWN] = {hv_op_domain_shutdown, KIND(CTRL), true},
	[HV_DOMAIN_DESTROY] = {hv_op_domain_destroy, KIND(CTRL), true},
	[HV_DOMAIN_LIST] = {hv_op_domain_list, KIND(CTRL), true},
	[HV_COUNTERS] = {hv_op_counters, KIND(CTRL), true},
	[HV_SPAWN] = {hv_op_spawn, KIND(CTRL), true},
	[HV_WAIT_XENSTORE] = {hv_op_wait_xenstore, KIND(CTRL), true},
	[HV_STOP] = {hv_op_stop, KIND(CTRL), true},
};

int hv_dispatch(struct hv *hv, struct hv_handle *h, struct hv_packet *p)
{
	const struct hv_operation *op;

	if (p->req.op >= HV_OP_COUNT)
		return -ENOSYS;
	op = &operations[p->req.op];
	if (!(op->kinds & (1u << h->kind)))
		return -EPERM;
	/* As with a domctl: only the control domain may ask about or change the machine. */
	if (h->kind == HV_KIND_CTRL && h->domid != 0 && p->req.op != HV_CLOSE)
		return -EPERM;
	if (op->live && (!h->guest || h->guest->state != HV_DOMAIN_RUNNING))
		return -ESRCH;
	return op->run(hv, h, p);
}

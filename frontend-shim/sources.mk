# The other side of the backend: a Xen without Xen. See SIMULATOR.md.

SHIM_MACHINE := frontend-shim/machine/client.c frontend-shim/machine/fdpass.c \
	frontend-shim/machine/eventfd.c frontend-shim/machine/port.c frontend-shim/machine/events.c

PROGRAMS += xensimd
xensimd_SRCS := $(patsubst %,frontend-shim/hypervisor/%.c,main source op handle guest frames channel \
	grant map child counters) $(filter-out %/client.c %/events.c,$(SHIM_MACHINE))

SHLIBS += libxenshim.so
libxenshim.so_SRCS := $(patsubst %,frontend-shim/preload/%.c,shim evtchn region gnt gnttab copy gntshr \
	ctrl privcmd procxen sysfs) $(SHIM_MACHINE)
libxenshim.so_LIBS := dl

# The domU kernel's xenbus device.
PROGRAMS += xensim-xenbus
xensim-xenbus_SRCS := $(patsubst %,frontend-shim/xenbus/%.c,main bus client request ring buffer) \
	$(SHIM_MACHINE)

# ---- The block frontend: a library, and the clients built on it --------------------------------
BLKFRONT_SRCS = $(patsubst %,frontend-shim/blkfront/%.c,blkfront options layout shadow pages xenbus \
	request) $(RING_SRCS) $(FRONTRING_SRCS)
BLKFRONT_LIBS := xengnttab xenevtchn xenstore

PROGRAMS += blkfront-bench blkfront-io
blkfront-bench_SRCS = $(patsubst %,frontend-shim/clients/%.c,blkfront-bench load load_report latencies) \
	$(BLKFRONT_SRCS)
blkfront-bench_LIBS := $(BLKFRONT_LIBS)
blkfront-io_SRCS = $(patsubst %,frontend-shim/clients/%.c,blkfront-io words pattern) \
	$(BLKFRONT_SRCS)
blkfront-io_LIBS := $(BLKFRONT_LIBS)

# One frontend of each kind, as its driver behaves.
PROGRAMS += blkfront-persona
blkfront-persona_SRCS = $(patsubst %,frontend-shim/persona/%.c,blkfront-persona kinds driver line) \
	$(patsubst %,frontend-shim/blkfront/%.c,options pages xenbus) \
	$(patsubst %,frontend-shim/clients/%.c,words pattern) $(RING_SRCS) $(FRONTRING_SRCS)
blkfront-persona_LIBS := $(BLKFRONT_LIBS)

SHLIBS += nbdkit-blkfront-plugin.so
nbdkit-blkfront-plugin.so_SRCS = frontend-shim/clients/nbdkit-blkfront-plugin.c frontend-shim/blkfront/sync.c \
	$(BLKFRONT_SRCS)
nbdkit-blkfront-plugin.so_LIBS := $(BLKFRONT_LIBS)

TESTS += blkfront-options-t blkfront-layout-t blkfront-shadow-t blkfront-pattern-t
blkfront-options-t_SRCS := tests/unit/blkfront-options-t.c frontend-shim/blkfront/options.c
blkfront-layout-t_SRCS := tests/unit/blkfront-layout-t.c frontend-shim/blkfront/layout.c
blkfront-shadow-t_SRCS := tests/unit/blkfront-shadow-t.c frontend-shim/blkfront/shadow.c
blkfront-pattern-t_SRCS := tests/unit/blkfront-pattern-t.c frontend-shim/clients/pattern.c

# The toolstack and the tester's tool.
PROGRAMS += xensim
xensim_SRCS := $(patsubst %,frontend-shim/toolstack/%.c,main tool tree device script spawn vdev host \
	domain vbd counters) $(filter-out %/port.c %/events.c,$(SHIM_MACHINE))
xensim_LIBS := xenstore

# What the simulator promises and real Xen guarantees.
CONTRACT_TESTS := event-delivery-t grant-map-t grant-copy-t process-death-t store-rules-t
TESTS += $(CONTRACT_TESTS)
$(foreach t,$(CONTRACT_TESTS),$(eval $(t)_SRCS := tests/contract/$(t).c tests/contract/contract.c)\
	$(eval $(t)_LIBS := xenevtchn xengnttab xenstore))
SCRIPT_TESTS += $(patsubst %,tests/contract/%-t.sh,as-guest vbd-nodes hotplug-script domain-life)

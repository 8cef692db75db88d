# Tests of whole programs, as
#   TESTS += name-t
#   name-t_SRCS := tests/<kind>/name-t.c
#   name-t_LIBS := xenstore
# or, scripts, as
#   SCRIPT_TESTS += tests/<kind>/name-t.sh
# Tests of one folder's code are listed in that folder's sources.mk, with the code they link.

# What the thread sanitizer should see: the two sides of a ring in two threads.
TSAN_TESTS += $(RING_TESTS)

# Beside the kernel's own backend.
SCRIPT_TESTS += $(patsubst %,tests/system/kernel-backend-%-t.sh,first stays late)

# What the host's page cache holds of a file.
PROGRAMS += pagecache
pagecache_SRCS := tests/lib/pagecache.c tests/lib/page_count.c
SCRIPT_TESTS += tests/unit/pagecache-t.sh

# Each test has mounts of its own.
SCRIPT_TESTS += tests/unit/own-mounts-t.sh

# Manual pages, --help and sources agree.
SCRIPT_TESTS += tests/unit/manual-t.sh

# The file a worker in the background logs to.
SCRIPT_TESTS += tests/system/log-file-t.sh

# ---- The supervisor --------------------------------------------------------------------------------
PROGRAMS += notify-listen
notify-listen_SRCS := tests/lib/notify-listen.c

SCRIPT_TESTS += $(patsubst %,tests/system/supervisor-%-t.sh,serves restarts adopts config \
	xenstored-lost domain-dies background)
SCRIPT_TESTS += tests/system/hundred-disks-t.sh
# ---- end of: the supervisor ------------------------------------------------------------------------

# ---- What the storage sees: order, durability, faults ------------------------------------------
# A storage that obeys the test, and a guest between it and the shipped worker.
PROGRAMS += recordfs
recordfs_SRCS := tests/lib/recordfs.c
recordfs_LIBS := fuse3

RIG_TESTS := barrier-order-t flush-order-t fault-latch-t order-random-t
TESTS += $(RIG_TESTS)
$(foreach t,$(RIG_TESTS),$(eval $(t)_SRCS := tests/system/$(t).c tests/lib/rig.c tests/lib/judge.c \
	$(BLKFRONT_SRCS))$(eval $(t)_LIBS := $(BLKFRONT_LIBS)))
TESTS += judge-t
judge-t_SRCS := tests/unit/judge-t.c tests/lib/judge.c

# The data path's parts.
TESTS += discard-t histogram-t poll-t cpus-t storage-open-t log-limit-t pidfile-t record-t
TESTS += budget-t ranges-t
ranges-t_SRCS       := tests/unit/ranges-t.c backend/data/ranges.c
budget-t_SRCS       := tests/unit/budget-t.c backend/data/budget.c backend/util/problem.c
TSAN_TESTS += budget-t
ENGINE_SRCS := $(patsubst %,backend/data/%.c,engine_aio engine_uring aio_ring blockers helper blocking discard engine_null storage storage_kinds \
	filesystem) backend/util/cache.c backend/util/problem.c
ENGINE_TESTS := engine-t engine-uring-t
TESTS += $(ENGINE_TESTS)
# The shared library's functions can be ours. Their pthread_create() is, too, which the thread sanitizer would have to have itself.
$(foreach t,$(ENGINE_TESTS),$(eval $(t)_SRCS := tests/unit/$(t).c tests/lib/engine_rig.c $(ENGINE_SRCS))$(eval \
	$(t)_LIBS := aio uring dl))
histogram-t_SRCS    := tests/unit/histogram-t.c backend/data/histogram.c
cpus-t_SRCS         := tests/unit/cpus-t.c backend/util/cpus.c
poll-t_SRCS         := tests/unit/poll-t.c backend/data/poll.c
discard-t_SRCS      := tests/unit/discard-t.c backend/data/discard.c
storage-open-t_SRCS := tests/unit/storage-open-t.c $(ENGINE_SRCS)
storage-open-t_LIBS := aio :liburing.a
log-limit-t_SRCS    := tests/unit/log-limit-t.c backend/util/log.c
record-t_SRCS       := tests/unit/record-t.c backend/data/record.c
pidfile-t_SRCS      := tests/unit/pidfile-t.c backend/util/pidfile.c backend/util/problem.c

# A queue and the frontend's end of its ring in one process.
LOOP_TESTS := queue-pass-t gather-pass-t queue-thread-t two-queues-t xsa-155-double-fetch-t big-ring-t queue-threads-t indirect-pass-t discard-pass-t \
	change-pass-t change-threads-t wait-pass-t merge-pass-t map-pass-t idle-grants-t rmw-pass-t deaf-guest-t xsa-361-grant-status-t xsa-371-persistent-leak-t
TESTS += $(LOOP_TESTS) pcache-t
$(foreach t,$(LOOP_TESTS),$(eval $(t)_SRCS := $(wildcard tests/*/$(t).c) tests/lib/loop.c \
	tests/lib/pass.c tests/lib/fake_engine.c $(DATA_SRCS) backend/util/problem.c $(RING_SRCS) $(FRONTRING_SRCS))$(eval \
	$(t)_LIBS := xengnttab xenevtchn xentoollog aio :liburing.a dl))
pcache-t_SRCS := tests/system/pcache-t.c backend/data/pcache.c backend/data/guest.c backend/data/budget.c backend/util/problem.c
pcache-t_LIBS := xengnttab xentoollog

# Every call that making a queue takes fails once.
TESTS += queue-create-t
queue-create-t_SRCS := tests/unit/queue-create-t.c tests/fuzz/fake_xen.c $(DATA_SRCS) backend/util/problem.c $(RING_SRCS)
queue-create-t_LIBS := aio :liburing.a

# What the frontend wrote for us to connect.
TESTS += handshake-t
handshake-t_SRCS := tests/system/handshake-t.c backend/control/handshake.c backend/util/problem.c $(XENSTORE_SRCS)
handshake-t_LIBS := xenstore
TSAN_TESTS += change-threads-t change-pass-t gather-pass-t map-pass-t idle-grants-t merge-pass-t queue-pass-t queue-thread-t queue-threads-t big-ring-t indirect-pass-t discard-pass-t $(RIG_TESTS)
# ---- end of: what the storage sees -------------------------------------------------------------

# ---- Whole programs driven by real clients, and what a hostile guest may try ---------------------
PROGRAMS += grant-pages
grant-pages_SRCS := tests/lib/grant-pages.c
grant-pages_LIBS := xengnttab

PROGRAMS += forbid-uring has-uring
forbid-uring_SRCS := tests/lib/forbid-uring.c
has-uring_SRCS := tests/lib/has-uring.c
has-uring_LIBS := :liburing.a

# Library calls that fail when told.
SHLIBS += libtrip.so
libtrip.so_SRCS := tests/lib/trip.c
libtrip.so_LIBS := dl

# A program that dies at its Nth operation.
SHLIBS += libmortal.so
libmortal.so_SRCS := tests/lib/mortal.c
libmortal.so_LIBS := dl

SCRIPT_TESTS += $(patsubst %,tests/system/%-t.sh,connect integrity-qemu-io integrity-nbdcopy integrity-fio \
	fua transfer engine-choice polling nodes-for-all processors protocol-abi ring-orders ring-memory multi-queue indirect discards reconnect same-keys detach-reattach guest-killed worker-killed sigterm \
	xenstored-lost backend-vanishes hotplug-verbs hotplug-sharing storage-errors disk-full usage \
	second-worker blockdev store-busy sync-fails features-off storage-vanishes fault-injection cache-modes cache-change cache-syscalls error-policy storage-fills short-reads \
	large-sectors idle resize resize-asked resize-told resize-odd resize-reconnect resize-load resize-blockdev \
	hotplug-claims hotplug-commands hotplug-options hotplug-troubles \
	demo-fails)
# The drivers a disk meets in its life, each as it is.
SCRIPT_TESTS += $(patsubst %,tests/system/persona-%-t.sh,linux windows ovmf grub minios sequences)
# The first command of the README.
SCRIPT_TESTS += tests/unit/bootstrap-t.sh
SCRIPT_TESTS += $(patsubst %,tests/hostile/%-t.sh,bad-requests report-storm cve-2010-4247-producer-overrun \
	xsa-142-266-read-only cve-2010-3699-odd-transitions cve-2013-2140-discard-read-only \
	xsa-175-bad-nodes xsa-175-frontend-path xsa-180-log-flood xsa-180-log-injection xsa-349-watch-flood \
	xsa-396-unmap-before-answer \
	xsa-331-332-event-storm xsa-350-connect-storm xsa-361-grant-errors)
# The hostile guest itself, and what it leaves behind: a sample; `make check-soak` is the whole.
PROGRAMS += hostile-guest
hostile-guest_SRCS = tests/lib/hostile-guest.c $(BLKFRONT_SRCS)
hostile-guest_LIBS := $(BLKFRONT_LIBS)
SCRIPT_TESTS += tests/hostile/soak-t.sh tests/hostile/vanish-at-every-step-t.sh \
	$(patsubst %,tests/system/%-killed-at-every-step-t.sh,worker supervisor hotplug)
# ---- end of: whole programs -----------------------------------------------------------------------

# ---- blkbackctl and the control socket ----------------------------------------------------------
TESTS += disk-name-t json-text-t
disk-name-t_SRCS := tests/unit/disk-name-t.c tools/disk_name.c
json-text-t_SRCS := tests/unit/json-text-t.c backend/util/json.c
json-text-t_LIBS := json-c
PROGRAMS += control-client
control-client_SRCS := tests/lib/control-client.c
SCRIPT_TESTS += tests/system/control-t.sh tests/system/xentop-t.sh tests/hostile/control-clients-t.sh

# ---- On real Xen: what runs inside dom0 and the guests of tests/xen -------------------------------
XEN_PROGRAMS += verify-io load-io granted-io grant-cost emul-unplug
verify-io_SRCS := tests/xen/programs/verify-io.c frontend-shim/clients/pattern.c
verify-io_LIBS := aio
load-io_SRCS := tests/xen/programs/load-io.c
load-io_LIBS := aio
granted-io_SRCS := tests/xen/programs/granted-io.c
granted-io_LIBS := xengnttab aio uring
emul-unplug_SRCS := tests/xen/programs/emul-unplug.c
grant-cost_SRCS := tests/xen/programs/grant-cost.c
grant-cost_LIBS := xengnttab aio
# ---- end of: on real Xen ----------------------------------------------------------------------------

# ---- Made-up input ----------------------------------------------------------------------------------
include tests/fuzz/sources.mk
# ---- A random guest and its model --------------------------------------------------------------------
PROGRAMS += random-guest
random-guest_SRCS = $(patsubst %,tests/lib/%.c,random-guest guest_player guest_script guest_model) \
	frontend-shim/clients/pattern.c $(BLKFRONT_SRCS)
random-guest_LIBS := $(BLKFRONT_LIBS)
TESTS += guest-script-t
guest-script-t_SRCS = tests/unit/guest-script-t.c $(patsubst %,tests/lib/%.c,guest_script guest_model) $(RING_SRCS)
SCRIPT_TESTS += $(patsubst %,tests/system/%-t.sh,random-guest differential-qdisk matrix)
# ---- end of: a random guest ---------------------------------------------------------------------------
# ---- What a power cut would leave ---------------------------------------------------------------------
PROGRAMS += voldisk crash-guest crash-check crash-image crash-fs
voldisk_SRCS := tests/crash/voldisk.c tests/crash/stamp.c
voldisk_LIBS := fuse3
crash-guest_SRCS = tests/crash/crash-guest.c tests/crash/stamp.c $(BLKFRONT_SRCS)
crash-guest_LIBS := $(BLKFRONT_LIBS)
crash-check_SRCS := $(patsubst %,tests/crash/%.c,crash-check crash_log crash_model crash_order crash_reads crash_oracle)
crash-image_SRCS := $(patsubst %,tests/crash/%.c,crash-image crash_log stamp)
crash-fs_SRCS := tests/crash/crash-fs.c
SCRIPT_TESTS += tests/crash/check-rules-t.sh tests/crash/voldisk-t.sh tests/crash/crash-sample-t.sh tests/crash/crash-fs-t.sh tests/crash/discard-fails-t.sh

# Two ways to one image.
PROGRAMS += hold-mapped
hold-mapped_SRCS := tests/lib/hold-mapped.c
SCRIPT_TESTS += tests/system/image-handed-over-t.sh tests/system/image-shown-t.sh tests/system/lock-matrix-t.sh tests/system/ownership-t.sh \
	tests/system/two-writers-t.sh tests/system/ownership-names-t.sh tests/system/device-identity-t.sh

# What goes wrong between them without the bridge's calls, and with them. The worker without is the shipped one's code but for
# hand_over.c, in whose place a test's own file does nothing. It is not installed.
PROGRAMS += hand-over-hazard unbridged-vbd
hand-over-hazard_SRCS = $(patsubst %,tests/lib/%.c,hand-over-hazard opener stamps page_count) frontend-shim/blkfront/sync.c $(BLKFRONT_SRCS)
hand-over-hazard_LIBS := $(BLKFRONT_LIBS)
unbridged-vbd_SRCS = $(filter-out qemu-dm-bridge/pagecache/hand_over.c,$(blkback-vbd_SRCS)) tests/lib/no_hand_over.c
unbridged-vbd_LIBS := $(blkback-vbd_LIBS)
SCRIPT_TESTS += tests/system/hazards-t.sh tests/system/hand-over-progress-t.sh
# ---- end of: a power cut --------------------------------------------------------------------------------

# ---- Figures: what measures is tested, too, but for the figures ----------------------------------------
SCRIPT_TESTS += tests/system/blkfront-bench-t.sh tests/system/bench-t.sh tests/unit/bench-t.py
# The limits that the suite compares with.
PROGRAMS += bare-backend
bare-backend_SRCS = $(patsubst %,tests/bench/bare/%.c,bare-backend bare_ring bare_io) backend/data/aio_ring.c $(RING_SRCS) $(XENSTORE_SRCS)
bare-backend_LIBS := xengnttab xenevtchn xenstore aio
# A worker that is slower by so much, to see that the suite would tell.
SHLIBS += libdrag.so
libdrag.so_SRCS := tests/lib/drag.c
libdrag.so_LIBS := dl

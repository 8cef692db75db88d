# The backend proper: util/ (leaf helpers), data/ (queue threads), control/ (main thread).
UTIL_SRCS    := backend/util/log.c backend/util/problem.c backend/util/pidfile.c backend/util/json.c \
	backend/util/background.c backend/util/usage.c backend/util/cpus.c
DATA_SRCS    := backend/util/cache.c backend/data/storage.c backend/data/storage_kinds.c backend/data/filesystem.c backend/data/discard.c \
	backend/data/engine_aio.c backend/data/engine_uring.c backend/data/aio_ring.c backend/data/engine_null.c backend/data/blockers.c backend/data/helper.c backend/data/blocking.c backend/data/histogram.c backend/data/times.c backend/data/channel.c \
	backend/data/guest.c backend/data/budget.c backend/data/pcache.c backend/data/order.c backend/data/disk.c \
	backend/data/buffers.c backend/data/indirect.c backend/data/move.c backend/data/io.c backend/data/kept.c backend/data/stall.c backend/data/rmw.c backend/data/ranges.c backend/data/record.c backend/data/poll.c backend/data/pass.c backend/data/trim.c backend/data/wait.c backend/data/queue.c
# Those of the bridge are known when all lists have been read.
CONTROL_SRCS  = backend/control/kernel_vbd.c backend/control/rival.c backend/control/handshake.c backend/control/publish.c backend/control/options.c \
	backend/control/backing.c backend/control/backing_nodes.c backend/control/report.c backend/control/connection.c backend/control/vbd.c backend/control/attempt.c backend/control/news.c backend/control/change.c backend/control/mode.c backend/control/worker.c \
	backend/control/check.c backend/control/counters.c backend/control/latency.c backend/control/xentop.c \
	backend/control/uevent.c backend/control/size_watch.c backend/control/answer.c backend/control/socket.c backend/control/image.c backend/control/image_story.c \
	backend/control/image_answer.c backend/control/emulated.c $(BRIDGE_OWNERSHIP_SRCS) $(QMP_SRCS) $(filter qemu-dm-bridge/%,$(BRIDGE_PAGECACHE_SRCS))

PROGRAMS += blkback-vbd
SHIPPED  += blkback-vbd
blkback-vbd_SRCS  = backend/vbd_main.c $(CONTROL_SRCS) $(DATA_SRCS) $(UTIL_SRCS) \
	$(XENSTORE_SRCS) $(RING_SRCS)
blkback-vbd_LIBS := xengnttab xenevtchn xentoollog xenstore aio :liburing.a json-c

# The supervisor.
SUPERVISOR_SRCS := $(patsubst %,backend/supervisor/%.c,child config disk disks domains ending keeper \
	notify restarts scan status supervisor)
PROGRAMS += blkbackd
SHIPPED  += blkbackd
blkbackd_SRCS := backend/blkbackd_main.c $(SUPERVISOR_SRCS) $(filter-out %/json.c,$(UTIL_SRCS)) backend/util/cache.c $(XENSTORE_SRCS)
blkbackd_LIBS := xenctrl xenstore inih

TESTS += disk-table-t restarts-t config-t scan-t
disk-table-t_SRCS := tests/unit/disk-table-t.c backend/supervisor/disk.c
restarts-t_SRCS   := tests/unit/restarts-t.c $(patsubst %,backend/supervisor/%.c,restarts ending)
config-t_SRCS     := tests/unit/config-t.c backend/supervisor/config.c backend/util/problem.c backend/util/cache.c \
	$(XENSTORE_SRCS)
config-t_LIBS     := xenstore inih
scan-t_SRCS       := tests/unit/scan-t.c $(patsubst %,backend/supervisor/%.c,scan config child disk) \
	backend/util/problem.c backend/util/cache.c $(XENSTORE_SRCS)
scan-t_LIBS       := xenstore inih

TESTS += uevent-t
uevent-t_SRCS := tests/unit/uevent-t.c backend/control/uevent.c

ORDER_TESTS := order-t order-change-t
TESTS += $(ORDER_TESTS)
$(foreach t,$(ORDER_TESTS),$(eval $(t)_SRCS := tests/unit/$(t).c $(patsubst %,tests/unit/order-%.c,search events oracle print) \
	backend/data/order.c))

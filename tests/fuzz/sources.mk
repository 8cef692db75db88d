# Fuzz targets: tests/fuzz/NAME-t.c each, which replay.c makes a test of and libFuzzer (`make fuzz`) a fuzzer.
FUZZ_TARGETS := ring-bytes frontend-nodes backend-nodes store-paths control-line uevent-bytes config-text

FUZZ_STORE := $(XENSTORE_SRCS) tests/fuzz/fake_store.c backend/util/problem.c
ring-bytes_FUZZ     := $(patsubst %,tests/fuzz/%.c,ring_model ring_model_io ring_model_data fake_xen fake_disk fake_clock) backend/util/problem.c \
	$(filter-out %/engine_aio.c %/aio_ring.c %/helper.c,$(DATA_SRCS)) $(RING_SRCS) $(FRONTRING_SRCS)
ring-bytes_LIBS     := xentoollog
frontend-nodes_FUZZ := backend/control/handshake.c $(FUZZ_STORE)
backend-nodes_FUZZ  := backend/control/options.c backend/util/cpus.c backend/util/cache.c $(FUZZ_STORE)
store-paths_FUZZ    := $(FUZZ_STORE)
control-line_FUZZ   := $(filter-out %/worker.c %/socket.c,$(CONTROL_SRCS)) $(DATA_SRCS) $(UTIL_SRCS) $(RING_SRCS) \
	$(XENSTORE_SRCS) tests/fuzz/fake_store.c
control-line_LIBS   := xengnttab xenevtchn xentoollog aio json-c
uevent-bytes_FUZZ   := backend/control/uevent.c
config-text_FUZZ    := backend/supervisor/config.c backend/util/cache.c $(FUZZ_STORE)
config-text_LIBS    := inih

define fuzz_test
TESTS += $(1)-t
$(1)-t_SRCS := tests/fuzz/$(1)-t.c tests/fuzz/replay.c $$($(1)_FUZZ)
$(1)-t_LIBS := $$($(1)_LIBS)
$(1)_SRCS := tests/fuzz/$(1)-t.c $$($(1)_FUZZ)
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_test,$(t))))
TSAN_TESTS += ring-bytes-t

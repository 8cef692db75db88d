# The qemu-dm bridge: what makes QEMU's emulated disks and ours safe on one image.

# ---- Ownership -------------------------------------------------------------------------------------
BRIDGE_OWNERSHIP_SRCS := $(patsubst %,qemu-dm-bridge/ownership/%.c,ownership lock_holder)
# ---- end of: Ownership -----------------------------------------------------------------------------
# ---- Dialects: the options that a QEMU has for a cache mode ------------------------------------------
DIALECT_SRCS := $(patsubst %,qemu-dm-bridge/dialect/%.c,dialect schema optstr recipe drive_args rewrite) \
	backend/util/cache.c backend/util/problem.c
PROBE_SRCS   := $(patsubst %,qemu-dm-bridge/dialect/%.c,probe run)

PROGRAMS += blkback-drive-args
blkback-drive-args_SRCS := qemu-dm-bridge/drive_args_main.c $(DIALECT_SRCS) $(PROBE_SRCS) backend/util/json.c \
	backend/util/usage.c
blkback-drive-args_LIBS := json-c

DIALECT_TESTS := dialect-t drive-words-t help-bytes-t
TESTS += $(DIALECT_TESTS)
$(foreach t,$(DIALECT_TESTS),$(eval $(t)_SRCS := tests/bridge/$(t).c tests/bridge/texts.c $(DIALECT_SRCS))$(eval \
	$(t)_LIBS := json-c))
SCRIPT_TESTS += $(patsubst %,tests/bridge/%-t.sh,probe real-qemu)
# ---- end of: dialects --------------------------------------------------------------------------------

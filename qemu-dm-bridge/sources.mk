# The qemu-dm bridge: what makes QEMU's emulated disks and ours safe on one image.

# ---- Page cache ------------------------------------------------------------------------------------
BRIDGE_PAGECACHE_SRCS := $(patsubst %,qemu-dm-bridge/pagecache/%.c,cached block_sysfs loops same_blocks holders write_back hand_over) \
	backend/util/problem.c

# What it does to one image, for scripts and by hand.
PROGRAMS += hand-over
hand-over_SRCS := tests/lib/hand-over.c $(BRIDGE_PAGECACHE_SRCS)

TESTS += cached-t holders-t write-back-t
$(foreach t,cached holders write-back,$(eval $(t)-t_SRCS := tests/bridge/$(t)-t.c tests/bridge/bridge.c \
	$(patsubst %,qemu-dm-bridge/pagecache/%.c,cached holders block_sysfs write_back)))
BRIDGE_TESTS := same-blocks-t stacked-t hand-over-t hand-over-devices-t overlay-t old-kernel-t
TESTS += $(BRIDGE_TESTS)
$(foreach t,$(BRIDGE_TESTS),$(eval $(t)_SRCS := tests/bridge/$(t).c tests/bridge/bridge.c tests/lib/block_devices.c \
	$(BRIDGE_PAGECACHE_SRCS)))
SCRIPT_TESTS += tests/bridge/hand-over-mounted-t.sh
# ---- end of: Page cache ----------------------------------------------------------------------------

# ---- Ownership -------------------------------------------------------------------------------------
BRIDGE_OWNERSHIP_SRCS := $(patsubst %,qemu-dm-bridge/ownership/%.c,ownership lock_holder)
# ---- end of: Ownership -----------------------------------------------------------------------------

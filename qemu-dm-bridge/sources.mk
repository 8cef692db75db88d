# The qemu-dm bridge: what makes QEMU's emulated disks and ours safe on one image.

# ---- Nodes: all ways to the blocks of an image -----------------------------------------------------
BRIDGE_NODES_SRCS := $(patsubst %,qemu-dm-bridge/nodes/%.c,block_sysfs holders loops place same_blocks)
# ---- end of: Nodes ---------------------------------------------------------------------------------
# ---- Page cache ------------------------------------------------------------------------------------
BRIDGE_PAGECACHE_SRCS := $(BRIDGE_NODES_SRCS) $(patsubst %,qemu-dm-bridge/pagecache/%.c,cached write_back hand_over) \
	backend/util/problem.c

# What it does to one image, for scripts and by hand.
PROGRAMS += hand-over
hand-over_SRCS := tests/lib/hand-over.c $(BRIDGE_PAGECACHE_SRCS)

TESTS += cached-t holders-t write-back-t
$(foreach t,cached holders write-back,$(eval $(t)-t_SRCS := tests/bridge/$(t)-t.c tests/bridge/bridge.c \
	$(patsubst %,qemu-dm-bridge/nodes/%.c,block_sysfs holders) $(patsubst %,qemu-dm-bridge/pagecache/%.c,cached write_back)))
BRIDGE_TESTS := same-blocks-t stacked-t hand-over-t hand-over-devices-t overlay-t old-kernel-t
TESTS += $(BRIDGE_TESTS)
$(foreach t,$(BRIDGE_TESTS),$(eval $(t)_SRCS := tests/bridge/$(t).c tests/bridge/bridge.c tests/lib/block_devices.c \
	$(BRIDGE_PAGECACHE_SRCS)))
SCRIPT_TESTS += tests/bridge/hand-over-mounted-t.sh
# ---- end of: Page cache ----------------------------------------------------------------------------

# ---- Ownership -------------------------------------------------------------------------------------
BRIDGE_OWNERSHIP_SRCS := $(patsubst %,qemu-dm-bridge/ownership/%.c,beside bytes claims lock_holder ownership)

TESTS += beside-t
TSAN_TESTS += beside-t
beside-t_SRCS := tests/bridge/beside-t.c $(patsubst %,qemu-dm-bridge/ownership/%.c,beside bytes lock_holder) backend/util/problem.c
# ---- end of: Ownership -----------------------------------------------------------------------------
# ---- QMP --------------------------------------------------------------------------------------------
QMP_SRCS := $(patsubst %,qemu-dm-bridge/qmp/%.c,client medium monitor_path)
TESTS += qmp-t
qmp-t_SRCS := tests/bridge/qmp-t.c $(QMP_SRCS) backend/util/problem.c
qmp-t_LIBS := json-c
PROGRAMS += qmp-say
qmp-say_SRCS := tests/lib/qmp-say.c $(QMP_SRCS) backend/util/problem.c
qmp-say_LIBS := json-c
SCRIPT_TESTS += tests/system/emulated-t.sh tests/system/emulated-stays-t.sh
# ---- end of: QMP -------------------------------------------------------------------------------------

# ---- Dialects: the options that a QEMU has for a cache mode ------------------------------------------
DIALECT_SRCS := $(patsubst %,qemu-dm-bridge/dialect/%.c,dialect schema optstr recipe drive_args rewrite) \
	backend/util/cache.c backend/util/problem.c
PROBE_SRCS   := $(patsubst %,qemu-dm-bridge/dialect/%.c,probe run usual)

PROGRAMS += blkback-drive-args
blkback-drive-args_SRCS := qemu-dm-bridge/drive_args_main.c $(DIALECT_SRCS) $(PROBE_SRCS) backend/util/json.c \
	backend/util/usage.c
blkback-drive-args_LIBS := json-c

DIALECT_TESTS := dialect-t drive-words-t help-bytes-t
TESTS += $(DIALECT_TESTS)
$(foreach t,$(DIALECT_TESTS),$(eval $(t)_SRCS := tests/bridge/$(t).c tests/bridge/texts.c $(DIALECT_SRCS))$(eval \
	$(t)_LIBS := json-c))
SCRIPT_TESTS += $(patsubst %,tests/bridge/%-t.sh,probe real-qemu ide-write-cache)
# A guest's side of QEMU's IDE disk.
PROGRAMS += ide-disk
ide-disk_SRCS := tests/lib/ide-disk.c
# ---- end of: dialects --------------------------------------------------------------------------------

# ---- The device model's wrapper ----------------------------------------------------------------------
PROGRAMS += blkback-qemu-dm
DEVICE_MODEL_SRCS := $(patsubst %,qemu-dm-bridge/device-model/%.c,command_line emulated monitor) qemu-dm-bridge/qmp/monitor_path.c
blkback-qemu-dm_SRCS := qemu-dm-bridge/qemu_dm_main.c $(DEVICE_MODEL_SRCS) \
	$(patsubst %,qemu-dm-bridge/device-model/%.c,served ready wrap) $(DIALECT_SRCS) $(PROBE_SRCS) \
	$(BRIDGE_PAGECACHE_SRCS) $(BRIDGE_OWNERSHIP_SRCS) backend/control/options.c backend/util/cpus.c backend/control/backing_nodes.c \
	$(patsubst %,backend/supervisor/%.c,config scan) backend/util/log.c $(XENSTORE_SRCS)
blkback-qemu-dm_LIBS := inih json-c xenstore

TESTS += command-line-t
command-line-t_SRCS := tests/bridge/command-line-t.c $(DEVICE_MODEL_SRCS) qemu-dm-bridge/dialect/optstr.c
command-line-t_LIBS := json-c
SCRIPT_TESTS += tests/system/device-model-t.sh
# ---- end of: the device model's wrapper ----------------------------------------------------------------

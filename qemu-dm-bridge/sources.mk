# The qemu-dm bridge: what makes QEMU's emulated disks and ours safe on one image.

# ---- Ownership -------------------------------------------------------------------------------------
BRIDGE_OWNERSHIP_SRCS := $(patsubst %,qemu-dm-bridge/ownership/%.c,ownership lock_holder)
# ---- end of: Ownership -----------------------------------------------------------------------------

# The bridge between the two paths to one image.
BRIDGE_PAGECACHE_SRCS := $(patsubst %,qemu-dm-bridge/pagecache/%.c,cached block_sysfs loops same_blocks holders) backend/util/problem.c

TESTS += cached-t same-blocks-t holders-t
cached-t_SRCS      := tests/bridge/cached-t.c tests/bridge/bridge.c qemu-dm-bridge/pagecache/cached.c
holders-t_SRCS     := tests/bridge/holders-t.c tests/bridge/bridge.c $(patsubst %,qemu-dm-bridge/pagecache/%.c,cached holders block_sysfs)
same-blocks-t_SRCS := tests/bridge/same-blocks-t.c tests/bridge/bridge.c tests/lib/block_devices.c $(BRIDGE_PAGECACHE_SRCS)

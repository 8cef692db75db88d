# The bridge between the two paths to one image.
TESTS += cached-t
cached-t_SRCS := tests/bridge/cached-t.c tests/bridge/bridge.c qemu-dm-bridge/pagecache/cached.c

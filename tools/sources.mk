# The operator's program; the scripts beside it are not built.
PROGRAMS += blkbackctl
CTL_SRCS := tools/disk_name.c tools/ask.c tools/layout.c backend/util/json.c backend/util/problem.c
blkbackctl_SRCS := tools/blkbackctl.c tools/image_look.c backend/util/usage.c $(CTL_SRCS) $(BRIDGE_OWNERSHIP_SRCS) \
	$(filter qemu-dm-bridge/%,$(BRIDGE_PAGECACHE_SRCS))
blkbackctl_LIBS := json-c

# Tests of whole programs, as
#   TESTS += name-t
#   name-t_SRCS := tests/<kind>/name-t.c
#   name-t_LIBS := xenstore
# or, scripts, as
#   SCRIPT_TESTS += tests/<kind>/name-t.sh
# Tests of one folder's code are listed in that folder's sources.mk, with the code they link.

# What the thread sanitizer should see: the two sides of a ring in two threads.
TSAN_TESTS += $(RING_TESTS)

# What the host's page cache holds of a file.
PROGRAMS += pagecache
pagecache_SRCS := tests/lib/pagecache.c
SCRIPT_TESTS += tests/unit/pagecache-t.sh

# ---- What the storage sees: order, durability, faults ------------------------------------------
# A storage that obeys the test, and a guest between it and the shipped worker.
PROGRAMS += recordfs
recordfs_SRCS := tests/lib/recordfs.c
recordfs_LIBS := fuse3

RIG_TESTS := barrier-order-t flush-order-t fault-latch-t order-random-t
TESTS += $(RIG_TESTS)
$(foreach t,$(RIG_TESTS),$(eval $(t)_SRCS := tests/system/$(t).c tests/lib/rig.c tests/lib/judge.c \
	$(BLKFRONT_SRCS))$(eval $(t)_LIBS := $(BLKFRONT_LIBS)))
# ---- end of: what the storage sees -------------------------------------------------------------

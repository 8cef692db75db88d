# The store's typed access: everything that needs xenstored, and in XENBUS_SRCS what does not.
XENBUS_SRCS   := xenstore/xenbus.c
XENSTORE_SRCS := xenstore/path.c xenstore/store.c xenstore/txn.c xenstore/node.c \
	xenstore/state.c $(XENBUS_SRCS)

TESTS += path-t node-t xenbus-table-t xenbus-converge-t xenbus-persona-t
path-t_SRCS := tests/unit/path-t.c $(XENSTORE_SRCS)
path-t_LIBS := xenstore
node-t_SRCS := tests/unit/node-t.c $(XENSTORE_SRCS)
node-t_LIBS := xenstore
xenbus-table-t_SRCS    := tests/unit/xenbus-table-t.c $(XENBUS_SRCS)
xenbus-converge-t_SRCS := tests/unit/xenbus-converge-t.c tests/unit/xenbus-world.c $(XENBUS_SRCS)
xenbus-persona-t_SRCS  := tests/unit/xenbus-persona-t.c tests/unit/xenbus-world.c $(XENBUS_SRCS)

# These need a live xenstored: tests/lib/run-test gives them one.
STORE_TESTS := store-values-t store-watch-t store-unwatch-t store-lost-t txn-t
define store_test
$(1)_SRCS := tests/system/$(1).c $(XENSTORE_SRCS)
$(1)_LIBS := xenstore
endef
TESTS += $(STORE_TESTS)
$(foreach t,$(STORE_TESTS),$(eval $(call store_test,$(t))))

# The ring: RING_SRCS is the backend's end, which ships; FRONTRING_SRCS the frontend's, which does not.
RING_SRCS      := ring/request.c ring/backring.c
FRONTRING_SRCS := ring/frontring.c

RING_TESTS := request-decode-t request-check-t request-indirect-t request-discard-t ring-slots-t ring-wrap-t \
	ring-overflow-t ring-overclaim-t ring-notify-t ring-final-check-t ring-copy-once-t \
	ring-traffic-t ring-wakeup-t
TESTS      += $(RING_TESTS)
TSAN_TESTS += ring-traffic-t ring-wakeup-t
$(foreach t,$(RING_TESTS),$(eval $(t)_SRCS := tests/unit/$(t).c $(RING_SRCS) $(FRONTRING_SRCS)))
TESTS += xsa-216-response-padding-t
xsa-216-response-padding-t_SRCS := tests/hostile/xsa-216-response-padding-t.c $(RING_SRCS) $(FRONTRING_SRCS)

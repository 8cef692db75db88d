#!/bin/sh
# The contract holds for a guest as it does for dom0: every contract program, run as domain 5 with the
# guest's own way to xenstore. Where dom0 may do everything, the guest's refusals are checked as well.
set -u

tests="event-delivery-t grant-map-t grant-copy-t process-death-t store-rules-t"
build=${BLKBACK_BUILD:-build/default}
guest=5
nr=0

# shellcheck disable=SC2086 # a list of words
set -- $tests
echo "1..$#"
xensim domain-create "$guest" || exit 1
for t in "$@"; do
    nr=$((nr + 1))
    if env XENSIM_DOMID="$guest" XENSTORED_PATH="$XENSIM_DIR/dom$guest/xenstored" \
        "$build/tests/$t" >&2; then
        echo "ok $nr - $t as a guest"
    else
        echo "not ok $nr - $t as a guest"
    fi
done
xensim domain-destroy "$guest"

#!/bin/bash
# A domain's life as dom0 sees it: xenstored announces its coming, its crash and its end, each once; a
# domain that is gone leaves nothing and its id can be used again; killing its xenbus harms only itself.
set -u
echo "1..9"
nr=0
deadline=60 # reached only by a test that fails

ok() { # name; after the command it judges
    status=$?
    nr=$((nr + 1))
    [ "$status" -eq 0 ] || printf 'not '
    echo "ok $nr - $1"
}

# Reads one line of a watch: what fires is awaited, not polled for.
fires() {
    read -r -t "$deadline" -u "$1" _
}

# The end of a watch: how often it fired that nobody has waited for.
unexpected() {
    kill -KILL "$2"
    timeout "$deadline" wc -l <&"$1"
}

exec 3< <(exec xenstore-watch @introduceDomain)
introduce=$!
exec 4< <(exec xenstore-watch @releaseDomain)
release=$!
fires 3 && fires 4 # at registration

xensim domain-create 5 one && fires 3
ok "its coming is announced"
xensim domain-kill 5 && fires 4
ok "its crash is announced"
[ "$(xenstore-read /local/domain/5/domid)" = 5 ]
ok "a crashed domain stays until it is destroyed"
xensim domain-destroy 5 && fires 4
ok "its end is announced"
[ "$(unexpected 4 "$release")" = 0 ]
ok "neither was announced twice"
! xenstore-ls -f / | grep -q -e /domain/5 -e '/libxl/5' -e '/vm/.*"one"' && [ ! -e "$XENSIM_DIR/dom5" ]
ok "nothing of it is left"
xensim domain-create 5 two && [ "$(xenstore-read /local/domain/5/name)" = two ] &&
    [ "$(XENSTORED_PATH=$XENSIM_DIR/dom5/xenstored xenstore-read name)" = two ] && fires 3
ok "its id can be used again"

pid=$(xensim counters | sed -n 's/^handle evtchn: domain 5, pid \([0-9]*\).*/\1/p')
kill -9 "$pid" && xensim domain-create 6 && fires 3 &&
    XENSTORED_PATH=$XENSIM_DIR/dom6/xenstored xenstore-read domid >&2 &&
    xensim domain-destroy 6 && xensim domain-destroy 5
ok "killing its xenbus harms nobody else"
[ "$(unexpected 3 "$introduce")" = 0 ]
ok "no coming was announced twice"

# start.sh: becomes a server that knows its own name. One of several hands over what it leads before it ends. POSIX sh.
set -eu
trap 'exit 143' TERM
. /etc/nats/settings.sh
name=$(uname -n)
me=$name$SUFFIX
store=/var/tmp/jetstream
refuse() { echo "start: $*; nothing was changed" >&2; exit 1; }

# A cluster deletes streams that it does not know, those of a server that was alone among them.
if [ "$REPLICAS" -gt 1 ]; then
  if [ ! -d "$store/\$SYS" ] && [ -n "$(ls "$store/\$G/streams" 2>/dev/null)" ]; then
    refuse "holds the streams of a single server, which several would delete: set replicas: 1 again"
  fi
elif [ -d "$store/\$SYS" ]; then
  refuse "holds the streams of one of several servers, and others may be newer: set replicas as it was before"
fi

set -- nats-server --config /etc/nats/nats.conf --name "$name" --client_advertise "$me:4222"
[ "$REPLICAS" -gt 1 ] || exec "$@"
trap 'kill -s USR2 $!' TERM # lame duck mode
"$@" --cluster_advertise "$me:6222" &
server=$!
while :; do
  status=0
  wait $server || status=$? # a signal ends the waiting, too
  kill -0 $server 2>/dev/null || break
done
exit $status

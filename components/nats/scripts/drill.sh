# drill.sh: restores the newest backup of a NATS into a scratch server that listens on this host alone. `dump`, whose image
# has the client, gives it the streams and compares them. NATS documentation, "Disaster Recovery".
run=/run/drill
. "${0%/*}/backup.sh"

restore() {
  newest || return
  GOMEMLIMIT=$MEMORY nats-server --config "${0%/*}/nats-drill.conf" 2>"$run/server" &
  asks $! || return
  set -- $found
  log "backup $(cat "$copy/name") restored: $2 streams, $3 messages"
}

drills restore

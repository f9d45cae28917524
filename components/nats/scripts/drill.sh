# drill.sh: restores the newest backup of a NATS into a scratch server that listens on this host alone. `dump`, whose image
# has the client, gives it the streams and compares them. NATS documentation, "Disaster Recovery".
run=/run/drill
. "${0%/*}/backup.sh"

restore() {
  newest || return
  GOMEMLIMIT=$MEMORY nats-server --config "${0%/*}/nats-drill.conf" 2>"$run/server" &
  server=$!
  touch "$copy/asked"
  until [ -e "$copy/compared" ]; do
    kill -0 $server 2>/dev/null || { tail -n 5 "$run/server" >&2; return 1; }
    pause 1
  done
  kill $server
  wait $server
  found=$(cat "$copy/compared")
  case $found in 'same '*) ;; *) log "it has not what was backed up: $found"; return 1 ;; esac
  set -- $found
  log "backup $(cat "$copy/name") restored: $2 streams, $3 messages"
}

drills restore

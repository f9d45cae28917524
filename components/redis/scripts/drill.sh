# drill.sh: restores the newest snapshot of a Redis into a scratch server that listens on a socket alone, and counts its
# keys. Redis documentation, "INFO", section persistence.
run=/run/drill
. "${0%/*}/backup.sh"
figure() { redis-cli -s "$run/socket" INFO persistence 2>/dev/null | tr -d '\r' | sed -n "s/^$1://p"; }

restore() {
  newest || return
  redis-server --port 0 --unixsocket "$run/socket" --dir "$copy" --save '' --appendonly no >"$run/server" &
  server=$!
  until [ "$(figure loading)" = 0 ]; do
    kill -0 $server 2>/dev/null || { tail -n 5 "$run/server" >&2; return 1; }
    pause 1
  done
  found=$(($(figure rdb_last_load_keys_loaded) + $(figure rdb_last_load_keys_expired)))
  kill $server
  wait $server
  [ "$found" = "$(cat "$copy/keys")" ] || { log "$found keys are there, of $(cat "$copy/keys")"; return 1; }
  log "backup $(cat "$copy/name") restored: $found keys"
}

drills restore

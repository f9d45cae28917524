# dump.sh: takes snapshots of a Redis as a replica would, by a user who may do nothing else: at once, and on schedule.
# Redis documentation, "redis-cli", "Remote backups of RDB files".
run=/run/dump
. "${0%/*}/backup.sh"
tls="--tls --cacert /run/groundwork/tls/ca.crt --cert /run/groundwork/tls/tls.crt --key /run/groundwork/tls/tls.key"

# The password comes by standard input: no process list shows it.
ask() { redis-cli -h "$HOST" -p 6379 $tls --user gw_backup --askpass "$@" <"$PASSWORD" 2>"$run/said"; }

# take: a snapshot has a checksum of its own, which redis-check-rdb compares; the number of keys goes along.
take() {
  rm -rf "$STAGING/taken" && mkdir -p "$STAGING/taken" "$STAGING/out" || return
  ask --rdb "$STAGING/taken/dump.rdb" || { tail -n 3 "$run/said" >&2; return 1; }
  keys=$(redis-check-rdb "$STAGING/taken/dump.rdb" | sed -n 's/^\[info\] \([0-9]*\) keys read$/\1/p')
  [ -n "$keys" ] || return
  echo "$keys" >"$STAGING/taken/keys"
  (cd "$STAGING/taken" && sha256sum dump.rdb keys >sums) || return
  mv "$STAGING/taken" "$STAGING/out/$(date -u +%Y%m%dT%H%M%SZ)"
}

until mkdir -p "$state" 2>/dev/null; do pause 1; done
while :; do
  touch "$run/beat"
  if [ "$(ask PING)" = PONG ]; then
    touch "$run/ready"
    note_due dump "$SCHEDULE"
    attempt dump take
  fi
  pause 10
done

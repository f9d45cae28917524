# dump.sh: takes snapshots of a Redis as a replica would, by a user who may do nothing else: at once, and on schedule.
# Redis documentation, "redis-cli", "Remote backups of RDB files".
run=/run/dump
. "${0%/*}/backup.sh"
tls="--tls --cacert /run/groundwork/tls/ca.crt --cert /run/groundwork/tls/tls.crt --key /run/groundwork/tls/tls.key"

# The password comes by standard input: no process list shows it.
ask() { redis-cli -h "$HOST" -p 6379 $tls --user gw_backup --askpass "$@" <"$PASSWORD" 2>"$run/said"; }

reached() { [ "$(ask PING)" = PONG ]; }

# take: a snapshot has a checksum of its own, which redis-check-rdb compares; the number of keys goes along.
take() {
  begin || return
  ask --rdb "$taken/dump.rdb" || { tail -n 3 "$run/said" >&2; return 1; }
  keys=$(redis-check-rdb "$taken/dump.rdb" | sed -n 's/^\[info\] \([0-9]*\) keys read$/\1/p')
  [ -n "$keys" ] || return
  echo "$keys" >"$taken/keys"
  (cd "$taken" && sha256sum dump.rdb keys >sums) || return
  deliver
}

dumps reached take 10

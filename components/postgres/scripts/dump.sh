# dump.sh: keeps the write-ahead log of a PostgreSQL from its first moment on, by a replication slot, and takes base
# backups: at once, on schedule, and whenever the log has a gap. PostgreSQL documentation, "pg_receivewal",
# "pg_basebackup" and "Streaming Replication Protocol". libpq's settings are in the environment.
run=/run/dump
. "${0%/*}/backup.sh"
slot=groundwork_backup
receiver=

identify() { psql -X -w -At -F ' ' 'dbname=replication replication=true' -c IDENTIFY_SYSTEM 2>"$run/error"; }

# listen SYSTEM: the slot is made before the first backup begins, so that nothing is missing between the two.
listen() {
  [ -z "$receiver" ] || ! kill -0 "$receiver" 2>/dev/null || return 0
  if grep -q 'invalidated\|no longer\|already been removed' "$run/receive" 2>/dev/null; then
    log "the log has a gap: $(tail -n 1 "$run/receive")"
    pg_receivewal -w --slot=$slot --drop-slot && rm "$run/receive" && touch "$state/dump.wanted" || return
  fi
  mkdir -p "$STAGING/wal/$1" || return
  pg_receivewal -w --slot=$slot --create-slot --if-not-exists || return
  pg_receivewal -w --slot=$slot --no-loop --directory="$STAGING/wal/$1" 2>"$run/receive" &
  receiver=$!
}

# take SYSTEM: a backup's name is when it was whole, whose it is, and where in the log it begins.
take() {
  begin || return
  pg_basebackup -w --pgdata="$taken/data" --format=plain --wal-method=stream --checkpoint=fast \
    --manifest-checksums=SHA256 || return
  start=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]*\))$/\1/p' "$taken/data/backup_label")
  [ -n "$start" ] || return
  echo "$1" >"$taken/system"
  deliver "$1.$start"
}

until mkdir -p "$state" 2>/dev/null; do pause 1; done
while :; do
  touch "$run/beat"
  if system=$(identify) && system=${system%% *} && listen "$system"; then
    touch "$run/ready"
    note_due dump "$SCHEDULE"
    # Another server in the place of the old one has a log of its own.
    [ "$system" = "$(cat "$state/system" 2>/dev/null)" ] || touch "$state/dump.wanted"
    if [ -e "$state/dump.wanted" ] && attempt dump take "$system"; then echo "$system" | put "$state/system"; fi
  fi
  pause 2
done

# drill.sh: restores the newest backup of a PostgreSQL into a scratch server that listens on a socket alone, with all of
# the log that was kept, and looks at everything: each file against the checksums taken with the backup, each row, each
# page. PostgreSQL documentation, "pg_verifybackup", "Continuous Archiving" and "pg_checksums".
run=/run/drill
. "${0%/*}/backup.sh"
export PGHOST=$run PGUSER=postgres PGDATABASE=postgres

start() {
  echo 'local all all peer' >"$run/hba"
  postgres -D "$copy/data" -c listen_addresses= -c unix_socket_directories="$run" -c hba_file="$run/hba" \
    -c shared_buffers=32MB -c dynamic_shared_memory_type=sysv -c archive_mode=off -c hot_standby=off -c autovacuum=off \
    -c restore_command="sh ${0%/*}/wal.sh $STAGING $copy %f %p" -c recovery_target_timeline=latest \
    2>"$run/server" &
  server=$!
  until pg_isready -q; do
    kill -0 $server 2>/dev/null || { tail -n 5 "$run/server" >&2; return 1; }
    pause 1
  done
}

restore() {
  rm -rf "$copy" && mkdir -p "$copy" || return
  sh "${0%/*}/wish.sh" "$STAGING" latest || return
  mv "$STAGING/got/set/data" "$STAGING/got/set/name" "$STAGING/got/set/system" "$copy" && rm -r "$STAGING/got/set" || return
  pg_verifybackup --quiet "$copy/data" || return
  touch "$copy/data/recovery.signal"
  start || return
  rows=$(pg_dumpall -w | wc -l) && [ "$rows" -gt 0 ] && databases=$(psql -X -w -At -c 'SELECT count(*) FROM pg_database')
  looked=$?
  pg_ctl -D "$copy/data" -s -w stop && [ $looked = 0 ] && pg_checksums --check --pgdata="$copy/data" >/dev/null || return
  log "backup $(cat "$copy/name") restored: $databases databases, $rows lines of SQL"
}

drills restore

# scratch.sh: a PostgreSQL that is made of a backup to be looked at. Needs $run, and data/ in $copy. PostgreSQL
# documentation, "Continuous Archiving" and "pg_checksums".
export PGHOST=$run PGUSER=postgres PGDATABASE=postgres

# start RESTORE_COMMAND: it listens on a socket alone, and knows nothing of what the server was told that it is a copy of.
start() {
  echo 'local all all peer' >"$run/hba" && : >"$run/conf" || return
  postgres -D "$copy/data" -c config_file="$run/conf" -c hba_file="$run/hba" -c listen_addresses= \
    -c unix_socket_directories="$run" -c shared_buffers=32MB -c dynamic_shared_memory_type=sysv -c archive_mode=off \
    -c hot_standby=off -c autovacuum=off -c restore_command="$1" -c recovery_target_timeline=latest 2>"$run/server" &
  server=$!
  until pg_isready -q; do
    kill -0 $server 2>/dev/null || { tail -n 5 "$run/server" >&2; return 1; }
    pause 1
  done
}

# look RESTORE_COMMAND: with all of the log that was kept, at each row and at each page. $found says how much there is.
look() {
  touch "$copy/data/recovery.signal" && start "$1" || return
  rows=$(pg_dumpall -w | wc -l) && [ "$rows" -gt 0 ] && databases=$(psql -X -w -At -c 'SELECT count(*) FROM pg_database')
  looked=$?
  pg_ctl -D "$copy/data" -s -w stop && [ $looked = 0 ] && pg_checksums --check --pgdata="$copy/data" >/dev/null || return
  found="$databases databases, $rows lines of SQL"
}

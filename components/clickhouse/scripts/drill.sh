# drill.sh: makes each table of the newest backup of a ClickHouse by itself, gives it its rows, and compares these with
# what was taken; then the next, so that there is never more than one. ClickHouse documentation, "clickhouse-local".
run=/run/drill
. "${0%/*}/backup.sh"
here=${0%/*}
tab=$(printf '\t')
export HOME=$run

scratch() {
  clickhouse local --path="$copy/data" --queries-file="$run/statements" </dev/null >"$run/found" 2>"$run/said"
}

# others: dictionaries, which columns may be computed by; of what else has no rows, whether it can be read.
others() {
  echo 'SELECT 1;'
  while IFS=$tab read -r number kind database name columns compared structure owner; do
    case $kind in
      rows | inner) continue ;;
      dictionary) printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$database" ;;
      *) printf 'EXPLAIN AST ' ;;
    esac
    cat "$schema/$number.sql" && echo ';'
  done
}

# table: makes the one that was read from the list, as a server would that has it alone and merges nothing.
table() {
  cat "$here/giving.sql"
  printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$database"
  sh "$here/alone.sh" "$schema/$number.sql" && echo ';'
  if grep -q '^ENGINE = .*MergeTree' "$schema/$number.sql"; then
    printf 'SYSTEM STOP MERGES %s;\n' "$name"
    printf 'ALTER TABLE %s MODIFY SETTING %s;\n' "$name" \
      'parts_to_delay_insert = 1000000000, parts_to_throw_insert = 1000000000, max_parts_in_total = 1000000000'
  fi
  printf "INSERT INTO %s (%s) SELECT %s FROM file('%s', Native, %s, 'zstd');\n" \
    "$name" "$columns" "$columns" "$copy/rows/$shard/$number.zst" "$structure"
  printf 'SELECT %s FROM %s FORMAT TSV;\n' "$compared" "$name"
  printf 'DROP TABLE %s SYNC SETTINGS check_table_dependencies = 0;\n' "$name"
}

try_table() {
  table >"$run/statements"
  scratch || { log "shard $shard, table $name: $(tail -n 3 "$run/said")"; return 1; }
  cmp -s "$run/found" "$schema/$number.figures" || {
    log "shard $shard, table $name: $(cat "$run/found"), and not $(cat "$schema/$number.figures")"
    return 1
  }
  read -r more rest <"$run/found"
  tables=$((tables + 1)) rows=$((rows + more))
}

try_shard() {
  schema=$copy/schema/$shard
  rm -rf "$copy/data"
  others <"$schema/tables" >"$run/statements"
  scratch || { log "shard $shard: $(tail -n 3 "$run/said")"; return 1; }
  while IFS=$tab read -r number kind database name columns compared structure owner; do
    case $kind in rows | inner) try_table || return ;; esac
  done <"$schema/tables"
}

restore() {
  newest || return
  tables=0 rows=0
  for folder in "$copy"/schema/*; do
    shard=${folder##*/}
    try_shard || return
  done
  log "backup $(cat "$copy/name") restored: $tables tables, $rows rows"
}

drills restore

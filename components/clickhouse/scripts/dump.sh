# dump.sh: takes the tables of a ClickHouse and their rows, shard by shard, at once and on schedule. Names are no paths:
# tables have numbers. ClickHouse documentation, "INTO OUTFILE Clause", "Native", "clickhouse-local".
run=/run/dump
. "${0%/*}/backup.sh"
here=${0%/*}
tab=$(printf '\t')
export HOME=$run

# ask HOST [ARGUMENT...]: by one connection, so that all answers are of one replica.
ask() {
  host=$1
  shift
  clickhouse-client --config-file="$here/clickhouse-client.yaml" --host="$host" "$@" </dev/null 2>"$run/said"
}

reached() {
  for host in $HOSTS; do [ "$(ask "$host" --query='SELECT 1')" = 1 ] || return; done
}

# questions: what makes each table, and its rows.
questions() {
  echo 'SELECT 1;'
  while IFS=$tab read -r number kind database name columns compared structure owner; do
    printf "SHOW CREATE TABLE %s INTO OUTFILE '%s' FORMAT TSVRaw;\n" "$name" "$schema/$number.sql"
    case $kind in
      rows | inner)
        printf "SELECT %s FROM %s INTO OUTFILE '%s' COMPRESSION 'zstd' FORMAT Native;\n" \
          "$columns" "$name" "$rows/$number.zst"
        ;;
    esac
  done
}

# figures: number and sum of the rows in each file; the sum is the same in whatever order they come.
figures() {
  while IFS=$tab read -r number kind database name columns compared structure owner; do
    case $kind in
      rows | inner)
        printf "SELECT %s FROM file('%s', Native, %s, 'zstd') INTO OUTFILE '%s' FORMAT TSV;\n" \
          "$compared" "$rows/$number.zst" "$structure" "$schema/$number.figures"
        ;;
    esac
  done
}

# take_shard NUMBER HOST: rows go where a shard that begins with them finds its own.
take_shard() {
  schema=$taken/schema/$1 rows=$taken/rows/$1
  mkdir -p "$schema" "$rows" && ask "$2" --queries-file="$here/tables.sql" >"$schema/tables" &&
    questions <"$schema/tables" >"$run/questions" && ask "$2" --queries-file="$run/questions" >/dev/null || return
  { echo 'SET max_threads = 1;' && figures <"$schema/tables"; } >"$run/figures" && rm -rf "$run/local" &&
    clickhouse local --path="$run/local" --queries-file="$run/figures" </dev/null >/dev/null 2>"$run/said"
}

take() {
  begin && echo "$FORM" >"$taken/form" || return
  shard=0
  for host in $HOSTS; do
    shard=$((shard + 1))
    take_shard $shard "$host" || { log "shard $shard: $(tail -n 3 "$run/said")"; return 1; }
  done
  (cd "$taken" && find . -type f ! -name sums -exec sha256sum {} + >sums) || return
  deliver
}

dumps reached take 10

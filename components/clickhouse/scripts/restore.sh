# restore.sh FOLDER CHOICE FORM SHARD SHARDS: has a new ClickHouse begin with a backup that the helper beside it fetches
# into FOLDER, and becomes schema.sh. The first replica of a shard gives its rows, that of the first shard makes the
# tables; the others wait until all is there. What is done is noted in a table that every server has: it goes on after a
# restart, and what there was before is left alone. ClickHouse documentation, "Distributed DDL", "Data Replication".
set -u
export LC_ALL=C
state=/run/clickhouse etc=/etc/clickhouse-server
folder=$1 choice=$2 form=$3 shard=$4 shards=$5
set=$folder/got/set notes=$folder/notes statements=$folder/statements
tab=$(printf '\t')
name='(`([^`\\]|\\.)*`|[A-Za-z0-9_]+)'
on='' engine=MergeTree
if [ "$form" = replicated ]; then
  on=' ON CLUSTER groundwork' engine="ReplicatedMergeTree('/clickhouse/tables/gw_restore', '{replica}')"
fi
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }
log() { echo "restore: $*" >&2; }

ask() { clickhouse-client --config-file=$etc/clickhouse-client.yaml "$@" </dev/null 2>"$folder/said"; }
says() { tail -n 3 "$folder/said"; }
run() { ask --queries-file="$statements" || { log "$*: $(says)"; return 1; }; }

# recall: what has been done, by whichever server.
recall() {
  {
    echo 'CREATE DATABASE IF NOT EXISTS gw_restore;'
    echo "CREATE TABLE IF NOT EXISTS gw_restore.notes (note String) ENGINE = $engine ORDER BY note;"
    [ -z "$on" ] || echo 'SYSTEM SYNC REPLICA gw_restore.notes;'
    echo 'SELECT note FROM gw_restore.notes FORMAT TSVRaw'
  } >"$statements"
  run 'what has been done' >"$notes"
}
noted() { grep -qxF "$1" "$notes"; }
note() { ask --query="INSERT INTO gw_restore.notes VALUES ('$1')" && echo "$1" >>"$notes"; }
value() { sed -n "s/^$1 //p" "$notes" | head -n 1; }

# once NOTE FUNCTION; all NOTE: every shard has it; lead NOTE FUNCTION: the first shard alone does it.
once() { noted "$1" || { "$2" && note "$1"; }; }
all() { for one in $(seq "$shards"); do noted "$1-$one" || return; done; }
lead() { if [ "$shard" = 1 ]; then once "$1" "$2"; else noted "$1"; fi; }

look() {
  full="(total_rows > 0 OR total_bytes > 0) AND database NOT IN ('gw_restore', 'system')"
  found=$(ask --query="SELECT count() FROM system.tables WHERE $full") || { log "what there is: $(says)"; return 1; }
  [ "$found" = 0 ] || { log "$found tables have rows already, and stay as they are" && note data; }
}

# fetch CHOICE: the tables of every shard, and the rows of this one.
fetch() {
  sh $etc/wish.sh "$folder" "$1" ./sums ./form ./schema "./rows/$shard" || return
  if (cd "$set" && sha256sum -c --ignore-missing sums >/dev/null); then cp "$set/name" "$set/whole"; return; fi
  log 'the backup is damaged'
  rm -rf "$set"
  return 1
}

# choose: one backup for all shards.
choose() {
  [ -z "$(value set)" ] || return 0
  [ -e "$set/whole" ] || fetch "$choice" || return
  taken=$(cat "$set/form") many=$(ls "$set/schema" | wc -l)
  if [ "$taken" != "$form" ]; then
    log "the backup is of a $taken ClickHouse, and this one is $form; set replicas as that one has them"
    return 1
  elif [ "$many" -gt "$shards" ]; then
    log "the backup has $many shards, and there are $shards here; set shards: $many or more"
    return 1
  fi
  note "shards $many" && note "set $(cat "$set/name")"
}

# have: the chosen backup, where it has something for this shard.
have() {
  [ "$shard" -le "$(value shards)" ] || return 0
  wanted=$(value set)
  [ "$(cat "$set/whole" 2>/dev/null)" = "$wanted" ] || fetch "$wanted" || return
  [ "$(cat "$set/whole")" = "$wanted" ] || { log "backup $wanted is no longer in the store"; return 1; }
}

# create: what was read from the list, where it is not there; a view that fills itself on schedule waits for its time.
create() {
  file=$set/schema/$from/$number.sql filled=
  if grep -q '^REFRESH ' "$file"; then filled='0,/^AS /s//EMPTY AS /'; fi
  cat $etc/giving.sql
  printf 'CREATE DATABASE IF NOT EXISTS %s%s;\n' "$database" "$on"
  sed -E -e "1s/^(CREATE [A-Z ]*(TABLE|VIEW|DICTIONARY)) ($name\.$name)/\1 IF NOT EXISTS \3$on/" -e "$filled" "$file"
}

# make KIND...: all of these, in as many rounds as it takes, since one may need another.
make() {
  before=
  while :; do
    left=0 without=0
    for from in $(ls "$set/schema"); do
      while IFS=$tab read -r number kind database table columns compared structure owner; do
        case " $* " in *" $kind "*) ;; *) continue ;; esac
        create >"$statements"
        ask --queries-file="$statements" >/dev/null && continue
        left=$((left + 1))
        [ "$kind" != rows ] || without=$((without + 1))
        [ "$left" != "$before" ] || log "$kind $table can't be made: $(says)"
      done <"$set/schema/$from/tables"
    done
    if [ $left = 0 ]; then return; fi
    if [ "$left" = "$before" ]; then break; fi
    before=$left
  done
  [ $without = 0 ]
}
make_tables() { make rows table dictionary; }
make_views() { make view; }

# fill: rows that came before a restart go first, and so does who may still be giving them; no view fills itself then.
fill() {
  {
    cat $etc/giving.sql
    echo 'SYSTEM STOP VIEWS;'
    echo "KILL QUERY WHERE user = currentUser() AND query_kind = 'Insert' SYNC FORMAT Null;"
    echo "TRUNCATE TABLE $target;"
    printf "INSERT INTO %s (%s) SELECT %s FROM file('%s', Native, %s, 'zstd');\n" \
      "$target" "$columns" "$columns" "$set/rows/$shard/$number.zst" "$structure"
    echo 'SYSTEM START VIEWS;'
  } >"$statements"
  run "table $table"
}

# give KIND: rows of this shard's tables; those of a view belong where the view that was made anew keeps them.
give() {
  [ -d "$set/schema/$shard" ] || return 0
  while IFS=$tab read -r number kind database table columns compared structure owner; do
    [ "$kind" = "$1" ] && ! noted "rows-$shard-$number" || continue
    target=$table
    if [ "$kind" = inner ]; then
      target=$(ask --query="$owner") && [ -n "$target" ] || { log "the view of $table is not there"; return 1; }
    fi
    fill && note "rows-$shard-$number" && rm "$set/rows/$shard/$number.zst" || return
  done <"$set/schema/$shard/tables"
}
give_rows() { give rows; }
give_inner() { give inner; }

begun() {
  recall || return
  if noted finished; then return; fi
  case $(uname -n) in *-0) ;; *) return 1 ;; esac
  once "looked-$shard" look && all looked || return
  if noted data; then
    lead finished true
    return
  fi
  lead chosen choose && have && lead tables make_tables && once "rows-$shard" give_rows && all rows &&
    lead views make_views && once "inner-$shard" give_inner && all inner && lead finished true || return
  log "$(value set)"
}

# A large backup takes its time, in which this shows that it is at work.
rm -f $state/applied
mkdir -p "$folder"
while :; do
  begun &
  beginning=$!
  while kill -0 $beginning 2>/dev/null; do touch $state/tried; pause 1; done
  if wait $beginning; then break; fi
  pause 5
done
rm -rf "$set"
exec /bin/sh $etc/schema.sh

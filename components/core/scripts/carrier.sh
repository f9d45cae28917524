# carrier.sh: carries backups to the object store, encrypted, and back; deletes those that nobody can want any more; says
# in metrics how it stands. The only one that holds the key of the backups and the credentials of the store.
# Needs curl, openssl, tar, gzip, split. Amazon S3 API reference: PutObject, GetObject, ListObjectsV2, DeleteObject.
run=/run/carrier
. "${0%/*}/backup.sh"
export LC_ALL=C
hold=$STAGING/carried # what is being carried
# An engine makes the volume its user's only once a container is there whose image has that folder.
until mkdir -p "$state" "$STAGING/out" "$STAGING/want" "$STAGING/got" "$STAGING/wal" "$hold" 2>/dev/null; do pause 1; done

# s3 PATH [curl's arguments]: a signed request. The credentials go through a file: no process list shows them.
s3() {
  path=$1
  shift
  printf 'user = "%s:%s"\n' "$(cat "$STORE/access_key_id")" "$(cat "$STORE/secret_access_key")" >"$run/curl"
  if [ -e "$STORE/ca.crt" ]; then set -- --cacert "$STORE/ca.crt" "$@"; fi
  curl --config "$run/curl" --silent --show-error --proto =https --tlsv1.2 --connect-timeout 10 --speed-time 60 \
    --speed-limit 1 --aws-sigv4 "aws:amz:$REGION:s3" "$@" "$URL/$path"
}

send() {
  sum=$(sha256sum "$2") || return
  s3 "$PREFIX$1" --fail --output /dev/null --header "x-amz-content-sha256: ${sum%% *}" --upload-file "$2"
}

# receive KEY FILE: 0 where it came, 4 where there is no such object.
receive() {
  code=$(s3 "$PREFIX$1" --output "$2" --write-out '%{http_code}') || return 1
  case $code in 200) ;; 404) return 4 ;; *) log "$1: the store answers $code"; return 1 ;; esac
}

# list FOLDER: every key below it, without the prefix, sorted.
list() {
  after=
  while :; do
    query="list-type=2&prefix=$(encoded "$PREFIX$1")${after:+&start-after=$(encoded "$after")}"
    s3 "?$query" --fail --output "$run/page" || return
    { sed 's/<Key>/\n&/g' "$run/page" && echo; } | sed -n 's/^<Key>\([^<]*\)<.*/\1/p' >"$run/keys"
    sed "s|^$PREFIX||" "$run/keys"
    grep -q '<IsTruncated>true<' "$run/page" || return 0
    after=$(tail -n 1 "$run/keys")
  done
}
encoded() { printf %s "$1" | sed 's|/|%2F|g'; }

seal() { gzip -1 | openssl enc -aes-256-cbc -pbkdf2 -salt -pass "file:$KEY"; }
unseal() { openssl enc -d -aes-256-cbc -pbkdf2 -pass "file:$KEY" | gzip -d; }

# sets: names of the backups that are whole, the oldest first.
sets() { list set/ >"$run/sets" && sed -n 's|^set/\([^/]*\)/whole$|\1|p' "$run/sets"; }

# ship NAME: a set goes in parts, and counts once all of them are there.
ship() {
  rm -rf "$hold" && mkdir "$hold" || return
  rm -f "$run/failed"
  { tar -C "$STAGING/out/$1" -c . || touch "$run/failed"; } | { seal || touch "$run/failed"; } |
    split -b "$PART" -a 4 -d - "$hold/part." || return
  [ ! -e "$run/failed" ] || return
  size=$(cat "$hold"/part.* | wc -c)
  for part in "$hold"/part.*; do
    send "set/$1/${part##*/}" "$part" && rm "$part" || return
  done
  echo "$size" >"$hold/whole"
  send "set/$1/whole" "$hold/whole" && rm -rf "$STAGING/out/$1" || return
  echo "$size" | put "$state/size"
  date -u +%s | put "$state/shipped"
  log "backup $1: $size bytes"
}

ship_sets() {
  for one in "$STAGING"/out/*; do
    [ -d "$one" ] || continue
    work ship "${one##*/}" && prune || return
  done
}

# ship_log: finished segments of the write-ahead log, the oldest first.
ship_log() {
  find "$STAGING/wal" -type f ! -name '*.partial' ! -name '*.tmp' | sort >"$run/segments"
  while read -r segment; do
    seal <"$segment" >"$hold/sealed" && send "${segment#"$STAGING/"}" "$hold/sealed" && rm "$segment" || return
    date -u +%s | put "$state/log"
    touch "$run/beat"
  done <"$run/segments"
}

# prune: what comes before the last backup that is old enough; from that one on, each second can be restored.
prune() {
  sets >"$run/whole" || return
  now=$(date -u +%s)
  limit=$(date -u -d "@$((now - RETENTION))" +%Y%m%dT%H%M%SZ)
  first=$(head -n 1 "$run/whole")
  while read -r name; do
    if [ ! "${name%%.*}" \> "$limit" ]; then first=$name; fi
  done <"$run/whole"
  [ -n "$first" ] || return 0
  list '' >"$run/all" || return
  # `whole` is the last of a set's keys; where it goes first, none is ever taken for whole that is not.
  sort -r "$run/all" | while read -r key; do
    if outdated "$key"; then s3 "$PREFIX$key" --fail --output /dev/null --request DELETE || return; fi
  done
}

# outdated KEY: of a set before $first, or of the log of the same server before that set.
outdated() {
  case $1 in
    set/*) name=${1#set/} && [ "${name%%/*}" \< "$first" ] ;;
    "wal/$(server "$first")"/*[!0-9A-F]* ) return 1 ;;
    "wal/$(server "$first")"/*) name=${1##*/} && [ "${name#????????}" \< "$(segment "$first")" ] ;;
    *) return 1 ;;
  esac
}
server() { name=${1#*.} && echo "${name%%.*}"; }
segment() { name=${1##*.} && echo "${name#????????}"; }

# serve: what others have asked for. A file in want/ is named as what comes into got/ for it, or NAME.missing.
serve() {
  for wish in "$STAGING"/want/*; do
    [ -f "$wish" ] || continue
    read -r what <"$wish"
    name=${wish##*/}
    rm -rf "$STAGING/got/$name.new"
    case $what in
      wal/*) fetch "$what" "$STAGING/got/$name.new" ;;
      *) work fetch_set "$STAGING/got/$name.new" $what ;;
    esac
    case $? in
      0) mv "$STAGING/got/$name.new" "$STAGING/got/$name" ;;
      4) touch "$STAGING/got/$name.missing" ;;
      *) return 1 ;;
    esac
    rm "$wish"
    served=50
  done
}

fetch() {
  receive "$1" "$hold/fetched" || return
  rm -f "$run/failed"
  { unseal || touch "$run/failed"; } <"$hold/fetched" >"$2"
  [ ! -e "$run/failed" ]
}

# fetch_set FOLDER CHOICE [MEMBER...]: the latest set, or the last one that was whole by a time; all of it, or these files.
fetch_set() {
  folder=$1 choice=$2
  shift 2
  sets >"$run/whole" || return 1
  chosen=
  while read -r name; do
    if [ "$choice" = latest ] || [ ! "${name%%.*}" \> "$choice" ]; then chosen=$name; fi
  done <"$run/whole"
  [ -n "$chosen" ] || { log "there is no backup ($choice)"; return 4; }
  list "set/$chosen/part." >"$run/parts" || return 1
  mkdir "$folder" && rm -f "$run/failed"
  while read -r part; do
    receive "$part" "$hold/part" && cat "$hold/part" || { touch "$run/failed"; break; }
  done <"$run/parts" | { unseal || touch "$run/failed"; } | tar -C "$folder" -x "$@" || return 1
  [ ! -e "$run/failed" ] || return 1
  echo "$chosen" >"$folder/name"
  log "backup $chosen is here"
}

until list set/ >/dev/null; do touch "$run/beat"; pause 2; done
touch "$run/ready"
served=0
while :; do
  touch "$run/beat"
  # Who has asked for one file of the log will ask for the next.
  wait=1
  if [ $served -gt 0 ]; then served=$((served - 1)) wait=0.1; fi
  ship_log && ship_sets && serve || wait=5
  measure shipped:last_success drilled:last_drill_success log:last_log
  pause $wait
done

# restore.sh REGION FOLDER CHOICE: has the buckets of a new object store begin with a backup that the helper beside it
# fetches into FOLDER. What has begun goes on after a restart; buckets that held something before are left alone. POSIX sh.
set -u
umask 077
region=$1 folder=$2 choice=$3
kept=/run/groundwork/kept tmp=/tmp
run=$tmp/restore
mkdir -p "$run" "$folder"
log() { echo "restore: $*" >&2; }
. /etc/objects/pages.sh
reach store https://localhost:7070 $kept/user.conf 'cacert = "/run/groundwork/tls/ca.crt"'

# note_empty: names of the buckets that will begin with what a backup has.
note_empty() {
  cut -f 1 $kept/buckets.tsv >"$run/declared"
  while read -r bucket; do
    s3 --fail --output "$run/page" "$address/$bucket?list-type=2&max-keys=1" || return
    grep -q '<Key>' "$run/page" || echo "$bucket"
  done <"$run/declared" >"$folder/empty.new"
  mv "$folder/empty.new" "$folder/empty"
}

# fetched: the backup, in $folder/set once it was found to be whole.
fetched() {
  [ ! -e "$folder/set" ] || return 0
  [ -e "$folder/got/set" ] || sh /etc/objects/wish.sh "$folder" "$choice" || return
  (cd "$folder/got/set" && sha256sum -c sums >/dev/null) && mv "$folder/got/set" "$folder/set"
}

# restore BUCKET PAGE...: a page that was stored goes, and so what there was not room for comes after it.
restore() {
  bucket=$1
  shift
  for page; do
    [ -d "$page" ] || continue
    give "$bucket" "$page" && mv "$page" "$folder/stored" && rm -rf "$folder/stored" || return
  done
}

rm -rf "$folder/stored"
[ -e "$folder/empty" ] || note_empty || exit
if [ ! -s "$folder/empty" ]; then
  log 'no bucket is empty; all are left alone'
  touch "$folder/done"
  exit
fi
fetched || exit
for one in "$folder"/set/buckets/*; do
  name=${one##*/}
  if grep -qxF "$name" "$folder/empty"; then
    restore "$name" "$one"/* || { log "$name: not all is there yet"; exit 1; }
  elif cut -f 1 $kept/buckets.tsv | grep -qxF "$name"; then
    log "$name: not empty; it is left alone"
  else
    log "$name: not declared; what the backup has of it is not restored"
  fi
done
log "$(cat "$folder/set/name")"
touch "$folder/done"
rm -rf "$folder/set"

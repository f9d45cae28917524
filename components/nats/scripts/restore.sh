# restore.sh FOLDER CHOICE: has a new NATS begin with a backup that the helper beside it fetches into FOLDER, and becomes
# streams.sh. The first instance gives it to all; the others make nothing until it is there. What has begun goes on after a
# restart; streams that there were before are left alone. NATS documentation, "Disaster Recovery".
etc=/etc/nats tmp=/tmp
folder=$1 choice=$2
. $etc/settings.sh
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }

# ask SUBJECT: the answer of the JetStream API; fails where there is none, or it is an error.
ask() {
  nats --tlsfirst request --raw "\$JS.API.$1" '' 2>$tmp/error </dev/null | jq -ce 'if .error then error else . end' 2>>$tmp/error
}

begin() {
  mkdir -p "$folder" && there=$(ask STREAM.NAMES) || return
  echo "$there" | jq -r '.streams // [] | .[]' >$tmp/there
  case $(uname -n) in
    *-0) if [ -e "$folder/begun" ] || [ ! -s $tmp/there ]; then give; fi ;;
    *) declared_are_there ;;
  esac && touch "$folder/done"
}

give() {
  touch "$folder/begun"
  [ -e "$folder/got/set" ] || sh $etc/wish.sh "$folder" "$choice" || return
  (cd "$folder/got/set" && sha256sum -c sums >/dev/null) || return
  for one in "$folder"/got/set/streams/*; do
    if grep -qxF "${one##*/}" $tmp/there; then continue; fi
    nats --tlsfirst --timeout=60s stream restore --no-progress --replicas="$REPLICAS" "$one" >/dev/null 2>$tmp/error \
      </dev/null || { echo "restore: ${one##*/}: $(tail -n 1 $tmp/error)" >&2; return 1; }
  done
  echo "restore: $(cat "$folder/got/set/name")" >&2
  rm -rf "$folder/got/set"
}

declared_are_there() {
  jq -r '.[] | "STREAM.INFO.\(.config.name)", "CONSUMER.INFO.\(.config.name).\(.consumers[].name)"' $etc/streams.json |
    while read -r subject; do ask "$subject" >/dev/null || exit 1; done
}

# A large backup takes its time, in which this shows that it is at work.
while [ ! -e "$folder/done" ]; do
  begin &
  beginning=$!
  while kill -0 $beginning 2>/dev/null; do touch $tmp/tried; pause 1; done
  [ -e "$folder/done" ] || pause 5
done
exec /bin/sh $etc/streams.sh

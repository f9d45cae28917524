# backup.sh: what the scripts of backups share. POSIX sh. Needs backup-settings.sh beside it, and $run, a folder of its own.
. "${0%/*}/backup-settings.sh"
umask 077
me=${0##*/} me=${me%.sh}
state=$STAGING/state
taken=$STAGING/taken
copy=$STAGING/drill
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
# By which of them it is told to end, its image says.
trap 'exit 0' TERM INT QUIT
pause() { sleep "$1" & wait $!; }
log() { echo "$me: $*" >&2; }

# work COMMAND...: runs it, and shows meanwhile that somebody is at work.
work() {
  "$@" &
  worker=$!
  while kill -0 $worker 2>/dev/null; do touch "$run/beat"; pause 1; done
  wait $worker
}

# put FILE <content: never half written.
put() { cat >"$1.new" && mv "$1.new" "$1"; }

has() { [ "$1" = any ] || case ",$1," in *",$2,"*) ;; *) return 1 ;; esac; }

# fits MINUTE HOUR DAY MONTH WEEKDAY SCHEDULE: crontab(5): of two days that are given, either will do.
fits() {
  has "$6" "$1" && has "$7" "$2" && has "$9" "$4" || return 1
  if [ "$8" = any ] || [ "${10}" = any ]; then has "$8" "$3" && has "${10}" "$5"; else has "$8" "$3" || has "${10}" "$5"; fi
}

# note_due NAME SCHEDULE: NAME is wanted if its time has come since this was last asked, or if it never was.
note_due() {
  name=$1 schedule=$2
  now=$(date -u +%s) now=$((now - now % 60))
  minute=$(cat "$state/$name.asked" 2>/dev/null) || { touch "$state/$name.wanted"; minute=$now; }
  while [ "$minute" -lt "$now" ]; do
    minute=$((minute + 60))
    if fits $(date -u -d "@$minute" '+%M %H %d %m %w') $schedule; then touch "$state/$name.wanted"; minute=$now; fi
  done
  echo "$now" | put "$state/$name.asked"
}

# attempt NAME COMMAND...: does what is wanted; it stays wanted where it fails, or where somebody has asked again since it
# began: what has come since then is not in it.
attempt() {
  wanted=$state/$1.wanted begun=$state/$1.begun what=$1
  shift
  [ -e "$wanted" ] || return 0
  touch "$begun"
  if work "$@"; then
    [ "$wanted" -nt "$begun" ] || rm "$wanted"
    return
  fi
  log "the $what failed; it is tried again"
  pause 30
  return 1
}

# begin: an empty folder, $taken, for what is taken.
begin() { rm -rf "$taken" && mkdir -p "$taken" "$STAGING/out"; }

# deliver [MORE]: what was taken is whole. Its name says when that was.
deliver() { mv "$taken" "$STAGING/out/$(date -u +%Y%m%dT%H%M%SZ)${1:+.$1}"; }

# dumps REACHED TAKE SECONDS: has backups taken, at once and on schedule, whenever the server is reached; and the drill
# answered, where that asks. It looks every so many seconds.
dumps() {
  until mkdir -p "$state" 2>/dev/null; do pause 1; done
  while :; do
    touch "$run/beat"
    if [ -e "$copy/asked" ]; then work answer; fi
    if "$1"; then
      touch "$run/ready"
      note_due dump "$SCHEDULE"
      attempt dump "$2"
    fi
    pause "$3"
  done
}

# answers REACHED COMPARE: what COMPARE says of the scratch server of the drill, once that is reached.
answers() {
  until "$1"; do
    [ -e "$copy/asked" ] || return
    pause 1
  done
  "$2" >"$run/compared"
  rm -f "$copy/asked" && put "$copy/compared" <"$run/compared"
}

# asks SERVER: has `dump` give the backup to the scratch server of this number and compare the two; ends it. $found is
# `same` and what there is, or this fails.
asks() {
  touch "$copy/asked"
  until [ -e "$copy/compared" ]; do
    kill -0 "$1" 2>/dev/null || { tail -n 5 "$run/server" >&2; return 1; }
    pause 1
  done
  kill "$1"
  wait "$1"
  found=$(cat "$copy/compared")
  case $found in 'same '*) ;; *) log "it has not what was backed up: $found"; return 1 ;; esac
}

# newest: the newest backup in $copy, as it was when it was taken.
newest() {
  rm -rf "$copy" && sh "${0%/*}/wish.sh" "$STAGING" latest && mv "$STAGING/got/set" "$copy" || return
  (cd "$copy" && sha256sum -c sums >/dev/null)
}

# drills COMMAND...: has the newest backup restored again and again.
drills() {
  while :; do
    touch "$run/beat" "$run/ready"
    drill_due "$@"
    pause 2
  done
}

# drill_due COMMAND...: has the newest backup restored where it is time, from the first one on, and says when that has
# succeeded.
drill_due() {
  if [ -e "$state/shipped" ]; then note_due drill "$DRILL"; fi
  if [ -e "$state/drill.wanted" ]; then
    if attempt drill "$@"; then date -u +%s | put "$state/drilled"; fi
    rm -rf "$copy"
  fi
}

# measure FILE:NAME...: metrics for the neighbour that serves them: when each was done last. A time that there is not is
# the oldest there can be.
measure() {
  [ -d /run/metrics ] || return 0
  now=$(date -u +%s)
  {
    for figure; do
      at=$(cat "$state/${figure%%:*}" 2>/dev/null || echo 0)
      echo "# TYPE groundwork_backup_${figure#*:}_timestamp_seconds gauge"
      echo "groundwork_backup_${figure#*:}_timestamp_seconds{service=\"$SERVICE\"} $at"
    done
    at=$(cat "$state/drilled" 2>/dev/null || echo 0)
    echo "# TYPE groundwork_backup_drill_age_seconds gauge"
    echo "groundwork_backup_drill_age_seconds{service=\"$SERVICE\"} $((now - at))"
    echo "# TYPE groundwork_backup_size_bytes gauge"
    echo "groundwork_backup_size_bytes{service=\"$SERVICE\"} $(cat "$state/size" 2>/dev/null || echo 0)"
  } | put /run/metrics/backup.prom
}

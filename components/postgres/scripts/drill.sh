# drill.sh: restores the newest backup of a single PostgreSQL into a scratch server, and compares each file with the
# checksums taken with the backup. PostgreSQL documentation, "pg_verifybackup".
run=/run/drill
. "${0%/*}/backup.sh"
. "${0%/*}/scratch.sh"

restore() {
  rm -rf "$copy" && mkdir -p "$copy" || return
  sh "${0%/*}/wish.sh" "$STAGING" latest || return
  mv "$STAGING/got/set/data" "$STAGING/got/set/name" "$STAGING/got/set/system" "$copy" && rm -r "$STAGING/got/set" || return
  pg_verifybackup --quiet "$copy/data" && look "sh ${0%/*}/wal.sh $STAGING $copy %f %p" || return
  log "backup $(cat "$copy/name") restored: $found"
}

drills restore

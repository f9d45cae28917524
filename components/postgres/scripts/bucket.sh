# bucket.sh: restores the newest backup of a replicated PostgreSQL, which its operator keeps in a bucket, into a scratch
# server, and says in metrics how it stands. Barman documentation, "barman-cloud-backup-list", "barman-cloud-restore" and
# "barman-cloud-wal-restore"; Boto3 documentation, "Credentials".
run=/run/drill
. "${0%/*}/backup.sh"
. "${0%/*}/scratch.sh"
export HOME=$run TMPDIR=$run AWS_DEFAULT_REGION=$REGION AWS_SHARED_CREDENTIALS_FILE=$run/keys

# identify: by keys, where there are some; else the cloud says who this is.
identify() {
  [ -d "$KEYS" ] || return 0
  printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
    "$(cat "$KEYS/ACCESS_KEY_ID")" "$(cat "$KEYS/ACCESS_SECRET_KEY")" | put "$run/keys"
}

# cloud TOOL [ARGUMENT...]
cloud() {
  tool=$1
  shift
  identify && "barman-cloud-$tool" ${ENDPOINT:+--endpoint-url "$ENDPOINT"} "$@"
}

# survey: which backup is the newest that is whole, when it was, and its size; nothing where there is none.
survey() {
  cloud backup-list --format json "$SOURCE" "$SERVICE" >"$run/list" &&
    python3 "${0%/*}/newest.py" <"$run/list" >"$run/newest" || return
  if read -r name ended size <"$run/newest"; then
    echo "$ended" | put "$state/shipped"
    echo "$size" | put "$state/size"
  fi
}

# restore: a bucket that can't be reached is not the end of the log: the server gives up.
restore() {
  rm -rf "$copy" && mkdir -p "$copy" && read -r name ended size <"$run/newest" || return
  cloud restore "$SOURCE" "$SERVICE" "$name" "$copy/data" || return
  fetch="barman-cloud-wal-restore ${ENDPOINT:+--endpoint-url $ENDPOINT} $SOURCE $SERVICE %f %p"
  look "$fetch || exit \$((\$? == 1 ? 1 : 255))" || return
  log "backup $name restored: $found"
}

until mkdir -p "$state" 2>/dev/null; do pause 1; done
while :; do
  touch "$run/beat"
  if work survey; then touch "$run/ready"; fi
  drill_due restore
  measure shipped:last_success drilled:last_drill_success
  pause 60
done

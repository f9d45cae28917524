# drill.sh: restores the newest backup of an object store into a scratch server that listens on a socket alone. `dump`, whose
# image has the client, gives it the objects and compares them. versitygw's wiki, "Global Options".
run=/run/drill
. "${0%/*}/backup.sh"

restore() {
  newest && mkdir "$copy/data" || return
  secret=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  printf 'user = "drill:%s"\nunix-socket = "%s"\n' "$secret" "$copy/s3.sock" >"$copy/curl"
  (
    set -a
    . "${0%/*}/versitygw-drill.conf"
    ROOT_ACCESS_KEY_ID=drill ROOT_SECRET_ACCESS_KEY=$secret
    exec versitygw posix "$copy/data"
  ) >"$run/server" 2>&1 &
  asks $! || return
  set -- $found
  log "backup $(cat "$copy/name") restored: $2 buckets, $3 objects"
}

drills restore

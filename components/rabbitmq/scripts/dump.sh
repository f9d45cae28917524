# dump.sh: exports the definitions of a RabbitMQ by its management interface: at once, and on schedule. RabbitMQ
# documentation, "Definitions Export and Import". What queues hold is not in them: it is on every node of a cluster.
run=/run/dump
. "${0%/*}/backup.sh"

# ask PATH [curl's arguments]: the password goes through a file: no process list shows it.
ask() {
  path=$1
  shift
  printf 'user = "gw_backup:%s"\n' "$(cat "$PASSWORD")" >"$run/curl"
  curl --config "$run/curl" --silent --show-error --fail --proto =https --tlsv1.3 --max-time 60 \
    --cacert /run/groundwork/tls/ca.crt "$@" "https://$HOST:15671/api/$path"
}

take() {
  rm -rf "$STAGING/taken" && mkdir -p "$STAGING/taken" "$STAGING/out" || return
  ask definitions --output "$STAGING/taken/definitions.json" || return
  (cd "$STAGING/taken" && grep -q '"queues":' definitions.json && sha256sum definitions.json >sums) || return
  mv "$STAGING/taken" "$STAGING/out/$(date -u +%Y%m%dT%H%M%SZ)"
}

until mkdir -p "$state" 2>/dev/null; do pause 1; done
while :; do
  touch "$run/beat"
  if ask whoami --output /dev/null 2>/dev/null; then
    touch "$run/ready"
    note_due dump "$SCHEDULE"
    attempt dump take
  fi
  pause 10
done

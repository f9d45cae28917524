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

reached() { ask whoami --output /dev/null 2>/dev/null; }

take() {
  begin || return
  ask definitions --output "$taken/definitions.json" || return
  (cd "$taken" && grep -q '"queues":' definitions.json && sha256sum definitions.json >sums) || return
  deliver
}

dumps reached take 10

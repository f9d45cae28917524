# drill.sh: restores the newest definitions of a RabbitMQ into a scratch node that knows nobody and takes no clients, and
# compares what it then has with them. RabbitMQ documentation, "Definitions Export and Import", "Configuration".
run=/run/drill
. "${0%/*}/backup.sh"
export HOME=$run RABBITMQ_CONF_ENV_FILE=$run/env RABBITMQ_CONFIG_FILE=$run/rabbitmq.conf
export RABBITMQ_ENABLED_PLUGINS_FILE=$run/plugins

prepare() {
  # The node and its tools meet on this host alone, at a port that the module tells them.
  {
    echo 'NODENAME=rabbit@localhost'
    echo "MNESIA_BASE=$copy/data"
    echo 'DIST_PORT=25672'
    echo 'LOGS=-'
    echo 'SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} -erl_epmd_port 25672"'
    echo 'CTL_ERL_ARGS="-dist_listen false"'
    echo "export ERL_AFLAGS=\"-start_epmd false -epmd_module groundwork_nodes -pa $run\""
    echo 'export ERL_CRASH_DUMP_SECONDS=0'
  } >$run/env
  {
    echo 'listeners.tcp = none'
    echo "load_definitions = $copy/definitions.json"
    echo 'vm_memory_high_watermark.absolute = 256MiB'
    echo 'disk_free_limit.absolute = 16MiB'
    echo 'default_queue_type = quorum'
  } >$run/rabbitmq.conf
  echo '[].' >$run/plugins
  [ -e "$run/groundwork_nodes.beam" ] || erlc -o $run "${0%/*}/groundwork_nodes.erl" || return
  [ -e "$run/.erlang.cookie" ] || { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >$run/.erlang.cookie; }
  chmod 400 $run/.erlang.cookie
}

restore() {
  newest && prepare || return
  RUNNING_UNDER_SYSTEMD=true rabbitmq-server >"$run/server" 2>&1 &
  server=$!
  until rabbitmqctl -q await_startup -t 60 2>/dev/null; do
    kill -0 $server 2>/dev/null || { tail -n 20 "$run/server" >&2; return 1; }
    pause 1
  done
  found=$(rabbitmqctl -q eval_file "${0%/*}/compare.erl")
  kill $server
  wait $server
  case $found in '{ok,'*) ;; *) log "it has not what was backed up: $found"; return 1 ;; esac
  log "backup $(cat "$copy/name") restored: $(echo "$found" | tr -dc 0-9) definitions"
}

drills restore

# topology.sh NODES [WISH FOLDER CHOICE]: has the server be as the definitions say, at its start and whenever they change.
set -u
umask 077
. /etc/rabbitmq/rabbitmq-env.conf
nodes=$1 wish=${2:-} folder=${3:-} choice=${4:-}
secrets=/run/groundwork/cluster
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
run() { "$@" & wait $!; }
wanted() { cat $secrets/definitions.json $secrets/cookie | sha256sum; }

# A new queue gets its members from the nodes that are there.
await_nodes() {
  run rabbitmqctl -q await_online_nodes "$nodes" -t 60 || run rabbitmqctl -q await_online_nodes $((nodes / 2 + 1)) -t 60
}

# The other nodes know no other cookie until they are here too; connections that there are stay.
take_cookie() {
  cat $secrets/cookie >"$HOME/.erlang.cookie.new" && chmod 400 "$HOME/.erlang.cookie.new" &&
    mv -f "$HOME/.erlang.cookie.new" "$HOME/.erlang.cookie"
}

apply() {
  sh /etc/rabbitmq/probe.sh ready && await_nodes &&
    run rabbitmqctl -q import_definitions $secrets/definitions.json &&
    run rabbitmqctl -q eval_file /etc/rabbitmq/prune.erl >/dev/null && take_cookie
}

# Ready means that the next one may be restarted: every queue has more members than it needs. Not for ever, since they
# serve without that too.
await_members() { [ "$nodes" = 1 ] || run rabbitmq-upgrade -q await_online_quorum_plus_one -t 120 || :; }

# restore: what a backup has, before what is declared, where there was nothing before: both only add.
restore() {
  [ -n "$wish" ] && [ ! -e /var/lib/rabbitmq/member ] || return 0
  sh /etc/rabbitmq/probe.sh ready && run sh "$wish" "$folder" "$choice" &&
    (cd "$folder/got/set" && sha256sum -c sums >/dev/null) &&
    run rabbitmqctl -q import_definitions "$folder/got/set/definitions.json" &&
    echo "restore: $(cat "$folder/got/set/name")" >&2
}

rm -f "$HOME/applied"
touch "$HOME/tried"
until restore; do
  run sleep 5
  touch "$HOME/tried"
done
applied=
while :; do
  touch "$HOME/tried"
  now=$(wanted)
  if [ "$now" = "$applied" ]; then
    run sleep 5
  elif apply; then
    applied=$now
    await_members
    touch "$HOME/applied" /var/lib/rabbitmq/member
  else
    run sleep 2
  fi
done

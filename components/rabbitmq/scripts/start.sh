# start.sh FIRST: puts the process's own files where Erlang looks for them, and becomes the server.
set -eu
umask 077
trap 'exit 143' TERM
. /etc/rabbitmq/rabbitmq-env.conf
erlc -o "$HOME" /etc/rabbitmq/groundwork_nodes.erl
rm -f "$HOME/.erlang.cookie"
cat /run/groundwork/cluster/cookie >"$HOME/.erlang.cookie"
chmod 400 "$HOME/.erlang.cookie" # Erlang takes no cookie that a group could read, as it can those of secrets.
# A new node waits for the first one: several that are new would else become a cluster beside the one with the data.
if [ ! -e /var/lib/rabbitmq/member ] && [ "$NODENAME" != "rabbit@$1" ]; then
  until sh /etc/rabbitmq/probe.sh alive "$1"; do sleep 1; done
fi
export RUNNING_UNDER_SYSTEMD=true # Erlang takes the place of the shell, and so is told to stop.
exec rabbitmq-server

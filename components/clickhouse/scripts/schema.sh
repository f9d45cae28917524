# schema.sh: has every table be there, and tries until it is.
set -u
state=/run/clickhouse
etc=/etc/clickhouse-server
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
run() { "$@" & wait $!; }

rm -f $state/applied
while :; do
  touch $state/tried
  if [ -e $state/applied ]; then
    run sleep 60
  elif run clickhouse-client --config-file=$etc/clickhouse-client.yaml --queries-file=$etc/schema.sql; then
    touch $state/applied
  else
    run sleep 2
  fi
done

# start.sh FILE SHARD [SUFFIX]: tells the server who it is, and becomes it.
set -eu
REPLICA=$(uname -n)
export REPLICA SHARD="$2" OWN_HOST="$REPLICA${3-}" SERVER_ID=$((${REPLICA##*-} + 1))
export CLICKHOUSE_WATCHDOG_ENABLE=0 # The server takes the place of the shell, and so is told to stop.
exec clickhouse-server --config-file="/etc/clickhouse-server/$1"

# start.sh: gives a server its number and names, prepares an empty disk, and becomes the server. POSIX sh.
set -eu
umask 077
trap 'exit 143' TERM
etc=/etc/kafka-server data=/var/lib/kafka/data
. $etc/settings.sh
name=$(uname -n)
id=${name##*-}
me=$name$SUFFIX
conf=$data/server.properties

# One among several would take an empty log for that of the quorum, and what it alone has would be lost.
if [ -e $data/quorum ] && [ "$(cat $data/quorum)" != "$QUORUM" ]; then
  echo "start: holds the data of a quorum of $(cat $data/quorum), which can't become one of $QUORUM;" \
    "nothing was changed: set replicas as it was before" >&2
  exit 1
fi

if [ -n "$SPREAD" ] && [ -z "${ZONE-}" ]; then
  echo "start: nothing says which zone this is in, so that copies of a record could share one; a cluster says it from" \
    "Kubernetes 1.35 on: upgrade it, or set replicas: 3" >&2
  exit 1
fi

# Libraries unpack their native halves there: no program runs from memory that is mounted as /tmp.
rm -rf $data/tmp
mkdir $data/tmp

listeners=CLIENT://$me:9093,PEERS://$me:9091
{
  cat $etc/server.properties
  echo "node.id=$((FIRST + id))"
  if [ -n "${ZONE-}" ]; then echo "broker.rack=$ZONE"; fi
  if [ "$FIRST" != 0 ]; then
    echo process.roles=controller
    echo "advertised.listeners=CONTROLLER://$me:9090"
  elif [ "$id" -lt "$QUORUM" ]; then
    echo process.roles=broker,controller
    echo "advertised.listeners=$listeners,CONTROLLER://$me:9090"
  else
    echo process.roles=broker
    echo listeners=CLIENT://:9093,PEERS://:9091
    echo "advertised.listeners=$listeners"
  fi
} >$conf

set -- -cp '/opt/kafka/libs/*' -Dlog4j2.configurationFile=$etc/log4j2.properties -XX:-UsePerfData
if [ ! -e $data/log/meta.properties ]; then
  java "$@" -Dlevel=error kafka.tools.StorageTool format --cluster-id="$CLUSTER" --config $conf --ignore-formatted
fi
echo "$QUORUM" >$data/quorum

# The collector's settings are those of Kafka's own start script. A peer that moves has another address at once.
exec java "$@" "-Xms$HEAP" "-Xmx$HEAP" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
  -XX:+ExplicitGCInvokesConcurrent -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true -Djava.io.tmpdir=$data/tmp \
  -Dsun.net.inetaddr.ttl=5 -Dsun.net.inetaddr.negative.ttl=1 kafka.Kafka $conf

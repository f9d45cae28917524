# start.sh redis|sentinel: writes the server's own copy of its configuration and becomes the server.
# The Sentinels alone say who is master; a majority of them must answer before a replicated Redis starts.
set -eu
umask 077
trap 'exit 143' TERM
. /etc/redis/lib.sh
me=$(uname -n)$SUFFIX
patience=20 # seconds that a failover is given
id_of() { printf %s "$1" | sha1sum | cut -c1-40; }
log() { echo "start: $*" >&2; }

# others_are_empty: whether, with this one, a majority of the servers is up and none of them holds data.
others_are_empty() {
  empty=1
  for peer in $PEERS; do
    [ "$peer" = "$me" ] && continue
    case $(printf 'INFO replication\nINFO persistence\nINFO keyspace\n' | ask gw_monitor "$peer" 6379) in
      *master_repl_offset:[1-9]* | *loading:1* | *keys=*) return 1 ;;
      *role:*) empty=$((empty + 1)) ;;
    esac
  done
  [ $empty -ge "$QUORUM" ]
}

# none_can_take_over: whether every other server is up and can't be chosen; see eligible.
none_can_take_over() {
  for peer in $PEERS; do
    [ "$peer" = "$me" ] && continue
    case $(echo 'INFO replication' | ask gw_monitor "$peer" 6379 | tr -d '\r') in
      *slave_priority:0*) ;;
      *) return 1 ;;
    esac
  done
}

# may_lead FLAGS: whether this instance, named master, may start as one now.
may_lead() {
  if [ ! -s /data/dump.rdb ] && [ ! -d /data/appendonlydir ]; then
    # Replicas copy their master: an empty one would wipe them. Let the Sentinels promote one that has the data.
    others_are_empty || { [ "$DURABLE" = no ] && [ "$waited" -ge $patience ]; }
  else
    case $1 in
      # About to be replaced, or being so: one that came back in between would take writes that its successor lacks.
      *down* | *failover* | *silent*) [ "$waited" -ge $patience ] || none_can_take_over ;;
    esac
  fi
}

# find_master: sets $master to the host a majority agrees on; waits until there is one.
find_master() {
  waited=0
  while :; do
    seen=$(views)
    if [ "$(printf %s "$seen" | grep -c .)" -ge "$QUORUM" ]; then
      newest=$(printf '%s\n' "$seen" | head -n 1)
      flags=${newest#* } flags=${flags%% *} master=${newest##* }
      if [ "$master" != "$me" ] || may_lead "$flags"; then return; fi
      log "named master, but a replica may have the data: giving it time to take over"
    else
      log "waiting for a majority of the Sentinels"
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

# eligible: lets the Sentinels choose this server once it is in step with a master: before, it may lack what others have.
# Where no master comes, as where its volume is lost, somebody has to take over in the end.
eligible() {
  waited=0
  longest=$patience
  [ "$DURABLE" = no ] || longest=600
  until [ $waited -ge $longest ] || sh /etc/redis/probe.sh redis-ready; do
    sleep 1
    waited=$((waited + 1))
  done
  until [ "$(echo 'CONFIG SET replica-priority 100' | ask gw_sentinel localhost 6379)" = OK ]; do sleep 1; done
}

redis() {
  cat /etc/redis/redis.conf >/data/redis.conf
  [ -d /data/appendonlydir ] || ${RESTORE:-true}
  if [ "$REPLICAS" -gt 1 ]; then
    find_master
    log "master is $master"
    {
      echo "replica-announce-ip $me"
      echo "replica-priority 0"
      echo "masteruser gw_replication"
      echo "masterauth $(password gw_replication)"
      [ "$master" = "$me" ] || echo "replicaof $master 6379"
    } >>/data/redis.conf
    eligible &
  fi
  exec redis-server /data/redis.conf
}

# The master and the votes a Sentinel knows survive; the rest is rendered anew. All peers are written down, with ids
# that follow from their names: one that learns them late, from a master that is gone, could not fail over to them.
sentinel() {
  saved=/data/sentinel.conf
  [ -e $saved ] || : >$saved
  master=$(sed -n "s/^sentinel monitor $NAME \([^ ]*\) .*/\1/p" $saved)
  [ -n "$master" ] || master=$(views | head -n 1 | cut -d' ' -f3)
  [ -n "$master" ] || master=${PEERS%% *}
  {
    cat /etc/redis/sentinel.conf
    echo "sentinel announce-ip $me"
    echo "sentinel myid $(id_of "$me")"
    echo "sentinel monitor $NAME $master 6379 $QUORUM"
    echo "sentinel auth-user $NAME gw_sentinel"
    echo "sentinel auth-pass $NAME $(password gw_sentinel)"
    echo "sentinel sentinel-user gw_sentinel"
    echo "sentinel sentinel-pass $(password gw_sentinel)"
    grep -E "^sentinel (current-epoch|(config|leader)-epoch $NAME) " $saved || :
    for peer in $PEERS; do
      [ "$peer" = "$me" ] || echo "sentinel known-sentinel $NAME $peer 26379 $(id_of "$peer")"
      [ "$peer" = "$master" ] || echo "sentinel known-replica $NAME $peer 6379"
    done
  } >$saved.new
  mv $saved.new $saved
  exec redis-server $saved --sentinel
}

"$1"

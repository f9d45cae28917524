# probe.sh redis-ready|redis-alive|sentinel-ready|sentinel-alive: exit code 0 is yes.
. /etc/redis/lib.sh
here() { ask gw_monitor localhost "$1"; }

# Serves now: loaded, and master or in step with the master.
redis_ready() {
  state=$(printf 'PING\nINFO replication\n' | here 6379 | tr -d '\r')
  case $state in PONG*) ;; *) return 1 ;; esac
  case $state in *role:master* | *master_link_status:up*) ;; *) return 1 ;; esac
}

# Answers at all: loading data or running a long script is no reason to be killed.
redis_alive() {
  case $(echo PING | here 6379) in PONG | LOADING* | BUSY* | MASTERDOWN*) ;; *) return 1 ;; esac
}

# Can tell a client who is master.
sentinel_ready() {
  case $(echo "SENTINEL GET-MASTER-ADDR-BY-NAME $NAME" | here 26379 | tail -n 1) in 6379) ;; *) return 1 ;; esac
}

sentinel_alive() { [ "$(echo PING | here 26379)" = PONG ]; }

case $1 in
  redis-ready) redis_ready ;;
  redis-alive) redis_alive ;;
  sentinel-ready) sentinel_ready ;;
  sentinel-alive) sentinel_alive ;;
  *) exit 64 ;;
esac

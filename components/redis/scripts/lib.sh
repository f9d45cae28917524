# What start.sh and probe.sh share. POSIX sh; needs redis-cli, timeout, sort, head, sha1sum.
. /etc/redis/settings.sh
tls="--tls --cacert /run/groundwork/tls/ca.crt --cert /run/groundwork/tls/tls.crt --key /run/groundwork/tls/tls.key"

password() { cat "/run/groundwork/access/$1.password"; }

# ask USER HOST PORT <commands: the replies. The password goes through a pipe, so no process list shows it.
ask() {
  { printf 'AUTH %s %s\n' "$1" "$(password "$1")"; cat; } |
    timeout 3 redis-cli $tls -h "$2" -p "$3" 2>/dev/null | tail -n +2
}

# views: the master as each Sentinel that answers sees it, the newest configuration first: "EPOCH FLAGS HOST" a line.
# Flags are the Sentinel's own, and `silent` where it will soon take the master for dead if nothing is heard of it.
views() {
  for peer in $PEERS; do
    printf 'SENTINEL MASTER %s\n' "$NAME" | ask gw_sentinel "$peer" 26379 | {
      host= silent=0 allowed=0
      while read -r key && read -r value; do
        case $key in
          ip) host=$value ;;
          flags) flags=$value ;;
          config-epoch) epoch=$value ;;
          last-ok-ping-reply) silent=$value ;;
          down-after-milliseconds) allowed=$value ;;
        esac
      done
      [ -n "$host" ] || exit 0
      [ $((silent + 3000)) -le "$allowed" ] || flags=$flags,silent
      echo "$epoch $flags $host"
    }
  done | sort -rn
}

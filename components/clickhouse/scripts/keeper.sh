# keeper.sh wait|ready|alive: asks the Keeper of this instance, which stops some seconds after it.
# Keeper takes a command from the first four bytes of a connection: those of a request are its method.
set -u
tls=/run/groundwork/tls
ask() {
  curl --silent --http0.9 --max-time 3 --tlsv1.3 --cacert $tls/ca.crt --cert $tls/tls.crt --key $tls/tls.key \
    --request "$1" "https://localhost:${KEEPER_PORT:-9281}/"
}
case $1 in
  wait) # until it ends, and then have another one lead, so that nobody must find the leader gone first
    trap 'ask ydld; exit 0' TERM INT
    while :; do sleep 3600 & wait $!; done
    ;;
  ready) ask mntr | grep -Eq '^zk_server_state[[:space:]]+(leader|follower)$' ;;
  alive) ask ruok | grep -q '^imok$' ;;
  *) exit 64 ;;
esac

# probe.sh ready|alive [HOST]: exit code 0 is yes. Sends nothing: the server would log each probe.
case $1 in
  ready) port=5671 ;; # takes clients
  alive) port=25672 ;; # takes other nodes, also while it waits for them at its start
  *) exit 64 ;;
esac
host=${2:-localhost}
tls=/run/groundwork/tls
exec timeout 4 openssl s_client -connect "$host:$port" -servername "$host" -tls1_3 \
  -CAfile $tls/ca.crt -verify_hostname "$host" -verify_return_error \
  -cert $tls/tls.crt -cert_chain $tls/tls.crt -key $tls/tls.key </dev/null >/dev/null 2>&1

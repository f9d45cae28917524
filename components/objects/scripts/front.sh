# front.sh: runs nginx, which takes in a renewed certificate. POSIX sh.
set -eu
umask 077
# By which of them it is told to end, its image says; the first process of a container ignores what it has no trap for.
trap 'exit 143' TERM QUIT
certificate() { cat /run/groundwork/tls/tls.crt /run/groundwork/tls/tls.key | sha256sum; }

nginx -e stderr -c /etc/objects/nginx.conf -g 'daemon off;' &
server=$!
trap 'kill -QUIT $server' TERM QUIT
seen=$(certificate)
while sleep 10 && kill -0 $server 2>/dev/null; do
  now=$(certificate)
  [ "$now" = "$seen" ] || kill -HUP $server
  seen=$now
done &
status=0
while kill -0 $server 2>/dev/null; do
  status=0
  wait $server || status=$?
done
exit $status

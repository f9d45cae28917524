#!/bin/sh
# Completes nginx.conf with what only the running machine knows, then runs nginx until it is told to stop.
set -eu
read_only=/etc/gateway/nginx.conf
run=/run/gateway
resolv=/etc/resolv.conf

fail() {
    echo "gateway: $1" >&2
    exit 1
}

# nginx asks name servers itself and knows no search list: it needs their addresses and complete names.
servers=$(sed -n 's/^nameserver[[:space:]]*\([^[:space:]]*\).*/\1/p' "$resolv" | sed 's/.*:.*/[&]/' | tr '\n' ' ')
[ -n "$servers" ] || fail "$resolv names no name server"
domain=$(sed -n 's/^search[[:space:]].*svc\.\([^[:space:]]*\).*/\1/p' "$resolv" | sed -n 1p)
if [ -z "$domain" ] && grep -q '^ *server [^ ]*\.svc ' "$read_only"; then
    fail "$resolv has no svc.DOMAIN in its search list, so the cluster's domain is unknown"
fi
sed -e "s/@name_servers@/${servers% }/" -e "s/^\( *server [^ ]*\.svc\) /\1.$domain /" "$read_only" >"$run/nginx.conf"

modules=
if grep -q '^ *brotli on;' "$read_only"; then
    built_in= folder=/usr/lib/nginx/modules
    for word in $(nginx -V 2>&1); do
        case $word in
        --add-module=*brotli*) built_in=yes ;;
        --modules-path=*) folder=${word#*=} ;;
        esac
    done
    module=$folder/ngx_http_brotli_filter_module.so
    if [ -f "$module" ]; then
        modules="load_module $module;"
    elif [ -z "$built_in" ]; then
        fail "this image's nginx has no brotli module: set brotli: false, or another image"
    fi
fi

# The socket of a killed predecessor would be in the way.
rm -f "$run"/*.sock
nginx -e stderr -c "$run/nginx.conf" -g "daemon off; $modules" &
nginx=$!

# New connections come until every node knows that this instance is leaving; those that are open may finish.
trap 'sleep 5; kill -QUIT "$nginx"' TERM QUIT INT
status=0
wait "$nginx" || status=$?
if kill -0 "$nginx" 2>/dev/null; then
    status=0
    wait "$nginx" || status=$?
fi
exit "$status"

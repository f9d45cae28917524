# streams.sh: makes the declared streams and consumers, changes those that differ, and writes metrics; again and again.
# It deletes nothing and drops no message: what it leaves alone, it says. POSIX sh; needs nats, jq, curl, cmp.
etc=/etc/nats tls=/run/groundwork/tls tmp=/tmp metrics=/run/metrics
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }

# ask SUBJECT [BODY]: the answer of the JetStream API; fails where there is none.
ask() { nats --tlsfirst request --raw "\$JS.API.$1" "${2:-}" 2>$tmp/error </dev/null | grep .; }
silence() { echo "no answer$(tail -n 1 $tmp/error | sed 's/^/: /')"; }

say() { echo "streams: $*" >>$tmp/said.new; }

# settle WHAT INFO WANTED: has a stream or a consumer be as declared; fails where it is not.
settle() {
  found=$(ask "$2") || { say "$1: $(silence)"; return 1; }
  step=$(echo "$found" | jq -c --argjson wanted "$3" -f $etc/change.jq)
  [ "$step" != '{}' ] || return 0
  why=$(echo "$step" | jq -r '.why // ""')
  verb=$(echo "$step" | jq -r '.verb // ""')
  if [ -n "$verb" ]; then
    if answer=$(ask "$verb" "$(echo "$step" | jq -c .body)"); then
      why=$(echo "$answer" | jq -r '.error.description // ""')
    else
      why=$(silence)
    fi
    [ -n "$why" ] || say "$1: made as declared"
  fi
  [ -z "$why" ] || { say "$1: left as it is: $why"; return 1; }
}

# settle_all: each of them, whether or not another failed.
settle_all() {
  failed=
  jq -c '.[] | {stream: .config}, {stream: .config, consumer: .consumers[]}' $etc/streams.json >$tmp/wanted
  while IFS= read -r wanted; do
    place=$(echo "$wanted" | jq -r '[.stream.name, .consumer.name // empty] | join(".")')
    case $place in *.*) kind=CONSUMER ;; *) kind=STREAM ;; esac
    settle "$place" "$kind.INFO.$place" "$wanted" || failed=yes
  done <$tmp/wanted
  [ -z "$failed" ]
}

# strangers: says which streams and consumers nobody declared. They may hold messages that somebody wants.
strangers() {
  jq -r '.[].config.name' $etc/streams.json >$tmp/streams
  ask STREAM.NAMES | jq -r --slurpfile declared $etc/streams.json \
    '(.streams // []) - [$declared[0][].config.name] | .[]' >$tmp/strangers
  while IFS= read -r stream; do
    ask "CONSUMER.NAMES.$stream" | jq -r --slurpfile declared $etc/streams.json --arg stream "$stream" \
      '(.consumers // []) - [$declared[0][] | select(.config.name == $stream).consumers[].name] | "\($stream).\(.[])"'
  done <$tmp/streams >>$tmp/strangers
  while IFS= read -r place; do say "$place: not declared; it stays until somebody deletes it"; done <$tmp/strangers
}

# measure: the metrics of this server, as its neighbour serves them.
measure() {
  for page in varz 'jsz?streams=true&consumers=true&config=true'; do
    curl --silent --fail --max-time 5 --cacert $tls/ca.crt "https://localhost:8222/$page" || return
  done >$tmp/pages
  jq -rs -f $etc/metrics.jq $tmp/pages >$metrics/nats.new && mv $metrics/nats.new $metrics/nats.prom
}

: >$tmp/said
round=0
while :; do
  touch $tmp/tried
  measure
  if [ $((round % 4)) -eq 0 ] || [ ! -e $tmp/applied ]; then
    : >$tmp/said.new
    if settle_all; then strangers; touch $tmp/applied; fi
    cmp -s $tmp/said $tmp/said.new || cat $tmp/said.new >&2
    mv $tmp/said.new $tmp/said
  fi
  round=$((round + 1))
  if [ -e $tmp/applied ]; then pause 15; else pause 2; fi
done

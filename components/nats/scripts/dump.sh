# dump.sh: takes a snapshot of every stream of a NATS with its consumers, at once and on schedule; and looks, for the
# drill, at what its scratch server has been given: that one's image has no client. NATS documentation, "Disaster
# Recovery", "NATS API Reference" (JetStream). Needs nats, jq.
run=/run/dump
. "${0%/*}/backup.sh"
export HOME=$run

client() { nats --tlsfirst --inbox-prefix="$INBOX" "$@" 2>"$run/said" </dev/null; }

# ask SUBJECT: the answer of the JetStream API; fails where there is none, or it is an error.
ask() {
  client --timeout=10s request --raw "\$JS.API.$1" '' |
    jq -ce 'if .error then error(.error.description) else . end' 2>>"$run/said"
}

# look STREAM: what it holds, and how far its durable consumers are.
look() { { ask "STREAM.INFO.$1" && ask "CONSUMER.LIST.$1"; } | jq -cesf "${0%/*}/look.jq" 2>>"$run/said"; }

# take: a stream goes on while its snapshot is taken, so that what is in it lies between what was there before and after.
take() {
  begin && mkdir "$taken/streams" || return
  ask STREAM.NAMES | jq -r '.streams[]?' >"$run/streams"
  [ -s "$run/streams" ] || { log 'there is no stream yet'; return 1; }
  while IFS= read -r stream; do
    folder=$taken/streams/$stream
    mkdir "$folder" && look "$stream" >"$folder/before.json" &&
      client --timeout=60s stream backup --no-progress "$stream" "$folder" >/dev/null &&
      look "$stream" >"$folder/after.json" || { log "$stream: $(tail -n 1 "$run/said")"; return 1; }
  done <"$run/streams"
  (cd "$taken" && find streams -type f -exec sha256sum {} + >sums) || return
  deliver
}

# give FOLDER: a stream to the scratch server, which is one, and keeps what elsewhere is too old to be kept.
give() {
  jq '.config.num_replicas = 1 | .config.max_age = 0' "$1/backup.json" >"$1/changed.json" &&
    mv "$1/changed.json" "$1/backup.json" && client --timeout=60s stream restore --no-progress "$1" >/dev/null
}

# differs FOLDER: whether the scratch server has something else than was taken; says what.
differs() {
  look "${1##*/}" >"$1/found.json" || return 0
  jq -nrf "${0%/*}/compare.jq" --slurpfile before "$1/before.json" --slurpfile after "$1/after.json" \
    --slurpfile found "$1/found.json" >"$run/said" 2>&1 || return 0
  [ -s "$run/said" ]
}

# compare: `same`, the number of streams and that of messages; or what is wrong.
compare() {
  : >"$run/found"
  for folder in "$copy"/streams/*; do
    if ! give "$folder" || differs "$folder"; then
      echo "${folder##*/}: $(tail -n 1 "$run/said")"
      return
    fi
    cat "$folder/found.json" >>"$run/found"
  done
  jq -rs '"same \(length) \(map(.messages) | add)"' "$run/found"
}

reached() { ask STREAM.NAMES >/dev/null; }

answer() {
  export NATS_URL=tls://localhost:4222
  answers reached compare
}

dumps reached take 2

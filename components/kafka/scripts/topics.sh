# topics.sh: has topics and rights as declared, tells when this server has caught up, and writes metrics; again and again.
# It deletes no topic and loses no record: what it leaves alone, it says. POSIX sh; needs java, bash, awk, sort, comm, cut.
etc=/etc/kafka-server tmp=/tmp metrics=/run/metrics
tools=org.apache.kafka.tools tab=$(printf '\t')
name=$(uname -n)
id=${name##*-}
export LC_ALL=C
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }
list() { echo "$1" | tr , ' '; }
say() { echo "topics: $*" >>$tmp/said.new; }

# tool CLASS ARGUMENT...: one of the server's own tools. An archive of its classes halves the work of every later one.
tool() {
  class=$1
  shift
  timeout 60 java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xlog:disable \
    -XX:+IgnoreUnrecognizedVMOptions -XX:+AutoCreateSharedArchive -XX:SharedArchiveFile=$tmp/tools.jsa -Dlevel=error \
    -Dlog4j2.configurationFile=$etc/log4j2.properties -cp '/opt/kafka/libs/*' "$class" \
    --bootstrap-server localhost:9091 --command-config $etc/admin.properties "$@" 2>$tmp/error &
  wait $!
}
reason() { { grep -h . $tmp/error $tmp/answer 2>/dev/null || echo "none within a minute"; } | head -n 1; }

# attempt WHAT CLASS ARGUMENT...: a change.
attempt() {
  what=$1
  shift
  if tool "$@" >$tmp/answer; then say "$what"; else say "$what: failed: $(reason)"; fi
}

# look: what differs from what is declared, in files: changes of topics, rights to remove, grants to give again.
look() {
  tool $tools.TopicCommand --describe >$tmp/topics.new || { say "no answer: $(reason)"; return 1; }
  mv $tmp/topics.new $tmp/topics
  awk -v id="$id" -f $etc/changes.awk $etc/topics.txt $tmp/topics >$tmp/changes
  : >$tmp/excess
  : >$tmp/grants
  [ -n "$1" ] || return 0
  tool $tools.AclCommand --list >$tmp/answer || { say "no answer: $(reason)"; return 1; }
  awk -f $etc/rights.awk $tmp/answer | sort -u >$tmp/rights
  awk -v declared=1 -f $etc/rights.awk $etc/rights.txt >$tmp/declared
  cut -f1 $tmp/declared | sort -u >$tmp/wanted
  comm -13 $tmp/wanted $tmp/rights | grep -E '^(CLUSTER|GROUP|TOPIC|TRANSACTIONAL_ID) ' >$tmp/excess
  comm -23 $tmp/wanted $tmp/rights | while IFS= read -r right; do
    grep -F "$right$tab" $tmp/declared | cut -f2
  done | sort -u >$tmp/grants
}

change_topics() {
  while read -r verb topic rest; do
    case $verb in
      create)
        set -- --topic "$topic" --partitions "${rest%% *}" --replication-factor "$(echo "$rest" | cut -d' ' -f2)"
        for setting in $(list "${rest##* }"); do set -- "$@" --config "$setting"; done
        attempt "$topic: made as declared" $tools.TopicCommand --create --if-not-exists "$@"
        ;;
      grow) attempt "$topic: given $rest partitions" $tools.TopicCommand --alter --topic "$topic" --partitions "$rest" ;;
      configure)
        attempt "$topic: set $rest" kafka.admin.ConfigCommand --alter --entity-type topics --entity-name "$topic" \
          --add-config "$rest"
        ;;
      leave) say "$topic: left as it is: it $rest" ;;
      know) say "$topic: not declared; it stays until somebody deletes it" ;;
    esac
  done <$tmp/changes
}

flag() {
  case $1 in
    TOPIC) echo --topic ;;
    GROUP) echo --group ;;
    TRANSACTIONAL_ID) echo --transactional-id ;;
    CLUSTER) echo --cluster ;;
  esac
}

change_rights() {
  while read -r kind pattern thing principal host operation permission; do
    side=$(echo "$permission" | tr A-Z a-z)
    set -- "--$side-principal" "$principal" "--$side-host" "$host" --operation "$operation"
    if [ "$kind" = CLUSTER ]; then set -- "$@" --cluster
    else set -- "$@" "$(flag "$kind")" "$thing" --resource-pattern-type "$pattern"; fi
    attempt "$principal: no longer has $operation on $kind $thing" $tools.AclCommand --remove --force "$@"
  done <$tmp/excess
  while read -r operations kinds pattern things services; do
    set -- --resource-pattern-type "$pattern"
    for operation in $(list "$operations"); do set -- "$@" --operation "$operation"; done
    for kind in $(list "$kinds"); do
      for thing in $(list "$things"); do set -- "$@" "$(flag "$kind")" "$thing"; done
    done
    for service in $services; do set -- "$@" --allow-principal "User:$service"; done
    attempt "$services: given $operations on $kinds $things" $tools.AclCommand --add "$@"
  done <$tmp/grants
}

# settle FULL: what is declared is there, and this server has a copy of all that it should; else has it so, and fails.
settle() {
  bash -c '</dev/tcp/localhost/9091' 2>/dev/null || return 1
  look "$1" || return 1
  if [ -s $tmp/excess ] || [ -s $tmp/grants ] || grep -qE '^(create|grow|configure) ' $tmp/changes; then
    # The first to see it does it; the others look again.
    if [ -z "$waited" ]; then waited=yes; pause $((id * 20)); look "$1" || return 1; fi
    change_topics
    change_rights
    return 1
  fi
  waited=
  change_topics
  ! grep -qE '^(leave|wait) ' $tmp/changes
}

measure() {
  tool $tools.consumer.group.ConsumerGroupCommand --describe --all-groups >$tmp/groups || return
  awk -v id="$id" -f $etc/metrics.awk $tmp/topics $tmp/groups >$metrics/kafka.new && mv $metrics/kafka.new $metrics/kafka.prom
}

rm -f $tmp/settled
: >$tmp/said
round=0 waited=
while :; do
  touch $tmp/tried
  : >$tmp/said.new
  if [ $((round % 10)) -eq 0 ] || [ ! -e $tmp/settled ]; then full=yes; else full=; fi
  if settle "$full"; then touch $tmp/settled; fi
  [ "$(cat $tmp/said)" = "$(cat $tmp/said.new)" ] || cat $tmp/said.new >&2
  mv $tmp/said.new $tmp/said
  if [ -e $tmp/settled ] || [ $((round % 10)) -eq 9 ]; then measure; fi
  round=$((round + 1))
  if [ -e $tmp/settled ]; then pause 60; else pause 3; fi
done

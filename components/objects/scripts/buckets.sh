# buckets.sh REGION [FOLDER CHOICE]: has the buckets be as declared, at its start and whenever that changes, and deletes what
# is older than they keep. It deletes no bucket, and leaves those that nobody declares to nobody. FOLDER CHOICE: a backup
# that new buckets begin with. POSIX sh; needs curl 8.
set -u
umask 077
export LC_ALL=C
region=$1 folder=${2-} choice=${3-}
kept=/run/groundwork/kept tmp=/tmp tab=$(printf '\t')
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }
say() { echo "buckets: $*" >&2; }

# ask METHOD PATH [OPTION...]: the answer in $tmp/answer; fails where it is a refusal, or none.
ask() {
  touch $tmp/tried
  method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --max-time 120 --cacert /run/groundwork/tls/ca.crt \
    --config $kept/user.conf --aws-sigv4 "aws:amz:$region:s3" --request "$method" --output $tmp/answer "$@" \
    "https://localhost:7070$path" 2>$tmp/error
}
# field ELEMENT: what is in the last such element of the answer.
field() { sed -n "s/.*<$1>\([^<]*\)<.*/\1/p" $tmp/answer; }
failed() { say "$1: $(field Code) $(tail -n 1 $tmp/error)"; return 1; }

# settle NAME VERSIONING POLICY: has a bucket be as declared; fails where it is not.
settle() {
  ask PUT "/$1" || [ "$(field Code)" = BucketAlreadyOwnedByYou ] || { failed "$1"; return; }
  ask GET "/$1?versioning=" || { failed "$1: versioning"; return; }
  status=$(field Status)
  if [ "${status:-Suspended}" != "$2" ]; then
    body="<VersioningConfiguration><Status>$2</Status></VersioningConfiguration>"
    ask PUT "/$1?versioning=" --data-binary "$body" || { failed "$1: versioning"; return; }
  fi
  if [ "$3" = - ]; then abandon "$1"; else ask PUT "/$1?policy=" --data-binary "$3"; fi || failed "$1: policy"
}

# abandon NAME: takes everybody's rights away.
abandon() { ask DELETE "/$1?policy=" || [ "$(field Code)" = NoSuchBucketPolicy ]; }

# settle_all: every declared bucket, whether or not another failed, and those that nobody declares.
settle_all() {
  wrong=
  cut -f 1 $kept/buckets.tsv >$tmp/declared
  while IFS=$tab read -r name versioning _ _ _ policy; do
    settle "$name" "$versioning" "$policy" || wrong=yes
  done <$kept/buckets.tsv
  ask GET / || { failed "list of buckets"; return; }
  entries Name | grep -vxFf $tmp/declared >$tmp/strangers
  while read -r name; do
    abandon "$name" || { failed "$name: policy"; wrong=yes; }
    say "$name: not declared; nobody may use it, and it stays with what is in it"
  done <$tmp/strangers
  [ -z "$wrong" ]
}

# begin: has new buckets begin with a backup. That takes its time, in which this shows that it is at work.
begin() {
  { [ -n "$folder" ] && [ ! -e "$folder/done" ]; } || return 0
  sh /etc/objects/restore.sh "$region" "$folder" "$choice" &
  worker=$!
  while kill -0 $worker 2>/dev/null; do touch $tmp/tried; pause 1; done
  wait $worker
}

before() { date -u -d "@$(($(date +%s) - $1))" +%Y-%m-%dT%H:%M:%S; }

# entries ELEMENT: of each such element of the answer, which is one line without an end, a line with what is in it.
entries() {
  { cat $tmp/answer && echo; } | sed "s/<$1>/\\
&/g" | sed -n "s/^<$1>\(.*\)<\/$1>.*/\1/p"
}
# within ELEMENT LINE: what is in the first such element of a line, in $found.
within() { found=${2#*"<$1>"} && found=${found%%"</$1>"*}; }
plain() { sed "s/&lt;/</g; s/&gt;/>/g; s/&#34;/\"/g; s/&#39;/'/g; s/&#x9;/$tab/g; s/&amp;/\&/g"; }

# checksum FILE: SHA-256 in base64, without which the server deletes nothing.
checksum() { env printf "$(sha256sum "$1" | cut -c 1-64 | sed 's/../\\x&/g')" | base64; }

# delete BUCKET: what $tmp/objects names, a thousand at most; keys are still written as in XML.
delete() {
  [ -s $tmp/objects ] || return 0
  { echo '<Delete><Quiet>true</Quiet>'; cat $tmp/objects; echo '</Delete>'; } >$tmp/body
  ask POST "/$1?delete=" --data-binary @$tmp/body --header 'Content-Type: application/xml' \
    --header "x-amz-checksum-sha256: $(checksum $tmp/body)" && [ -z "$(field Code)" ]
}

# old_objects BUCKET SECONDS: deletes the objects that are older.
old_objects() {
  name=$1 limit=$(before "$2") next=
  while :; do
    set -- --get --data-urlencode list-type=2
    [ -z "$next" ] || set -- --get --data-urlencode "continuation-token=$next" --data-urlencode list-type=2
    last=$next
    ask GET "/$name" "$@" || return
    next=$(field NextContinuationToken | plain)
    entries Contents >$tmp/found
    while IFS= read -r entry; do
      within LastModified "$entry"
      [ "$found" \< "$limit" ] || continue
      within Key "$entry"
      echo "<Object><Key>$found</Key></Object>"
    done <$tmp/found >$tmp/objects
    delete "$name" || return
    { [ -n "$next" ] && [ "$next" != "$last" ]; } || return 0
  done
}

# versions: of each version in the answer a line: its key, second, id, and whether it is the latest. Of one key the newest
# is first; ids of the same second grow with time.
versions() {
  { entries Version; entries DeleteMarker; } | while IFS= read -r entry; do
    line=
    for element in Key LastModified VersionId IsLatest; do
      within $element "$entry"
      [ $element != LastModified ] || found=${found%%[.Z]*}
      line=$line$tab$found
    done
    echo "${line#"$tab"}"
  done | sort -t "$tab" -k 1,1 -k 2,2r -k 3,3r
}

# old_versions BUCKET SECONDS: deletes the versions that were replaced or deleted before then.
old_versions() {
  name=$1 limit=$(before "$2") key= successor= next= id=
  while :; do
    set -- --get
    [ -z "$next" ] || set -- "$@" --data-urlencode "key-marker=$next"
    [ -z "$id" ] || set -- "$@" --data-urlencode "version-id-marker=$id"
    last=$next/$id
    ask GET "/$name" "$@" --data-urlencode versions= || return
    next=$(field NextKeyMarker | plain) id=$(field NextVersionIdMarker)
    versions >$tmp/found
    while IFS=$tab read -r found time version latest; do
      if [ "$found" = "$key" ] && [ "$latest" = false ] && [ "$successor" \< "$limit" ]; then
        echo "<Object><Key>$found</Key><VersionId>$version</VersionId></Object>"
      fi
      key=$found successor=$time
    done <$tmp/found >$tmp/objects
    delete "$name" || return
    { [ -n "$next" ] && [ "$next/$id" != "$last" ]; } || return 0
  done
}

# sweep NAME EXPIRE NONCURRENT EVERY: deletes what is too old, where it is time to look.
sweep() {
  clock=$(date +%s)
  [ "$4" != 0 ] && [ $((clock - $(cat "$tmp/swept.$1" 2>/dev/null || echo 0))) -ge "$4" ] || return 0
  echo "$clock" >"$tmp/swept.$1"
  [ "$2" = 0 ] || old_objects "$1" "$2" || failed "$1: old objects"
  [ "$3" = 0 ] || old_versions "$1" "$3" || failed "$1: old versions"
}

rm -f $tmp/applied
applied=
while :; do
  touch $tmp/tried
  wanted=$(cat $kept/buckets.tsv $kept/user.conf | sha256sum)
  if [ "$wanted" != "$applied" ] && ask GET / && settle_all && begin; then
    applied=$wanted
    touch $tmp/applied
  fi
  while IFS=$tab read -r name _ expire noncurrent every _; do
    [ -z "$applied" ] || sweep "$name" "$expire" "$noncurrent" "$every"
  done <$kept/buckets.tsv
  if [ "$wanted" = "$applied" ]; then pause 5; else pause 2; fi
done

# dump.sh: takes what the declared buckets of an object store hold, at once and on schedule, by an account that may only
# read; and gives it, for the drill, to a scratch server and compares: that one's image has no client. Amazon S3 API
# reference: ListObjectsV2, GetObject, GetObjectTagging.
run=/run/dump
. "${0%/*}/backup.sh"
. "${0%/*}/pages.sh"
region=$SERVER_REGION
codes=$run/codes.sed
most=1000 # objects of a page; no list has more

# encoding: has sed write a text from XML as in an address.
encoding() {
  echo 's/%/%25/g'
  for code in lt:3C gt:3E amp:26 quot:22 apos:27 '#34:22' '#39:27' '#x9:09' '#xA:0A' '#xD:0D'; do
    echo "s/&${code%:*};/%${code#*:}/g"
  done
  byte=0
  while [ $byte -lt 255 ]; do
    byte=$((byte + 1))
    case $byte in
      10 | 37 | 38 | 60) ;; # new line, % & <
      4[5-9] | 5[0-7] | 6[5-9] | [78]? | 90 | 95 | 9[789] | 1[01]? | 12[0126]) ;; # - . / 0-9 A-Z _ a-z ~
      36 | 42 | 9[1234]) printf "s/\\\\\\$(printf %03o $byte)/%%%02X/g\n" $byte ;; # $ * [ \ ] ^
      *) printf "s/\\$(printf %03o $byte)/%%%02X/g\n" $byte ;;
    esac
  done
}

# list BUCKET: a line for each object of a page: its number and its key. $next: where this page begins, then the one after.
list() {
  last=$next
  s3 --fail --output "$run/page" "$address/$1?${next:+continuation-token=$next&}list-type=2&max-keys=$most" || return
  next=
  if grep -q '<IsTruncated>true<' "$run/page"; then
    next=$(field NextContinuationToken "$run/page" | sed -f "$codes" | sed 's|/|%2F|g')
    [ -n "$next" ] && [ "$next" != "$last" ] || return
  fi
  { sed 's/<Key>/\n&/g' "$run/page" && echo; } | sed -n 's/^<Key>\([^<]*\)<.*/\1/p' | sed -f "$codes" |
    grep -n . | sed "s/:/$tab/" >"$run/keys"
}

# fetch BUCKET PAGE: the objects of the lines in $run/keys. Those that have gone since they were listed are left out.
fetch() {
  rm -rf "$2" && mkdir -p "$2" || return
  while IFS=$tab read -r number key; do
    printf 'url = "%s/%s/%s"\noutput = "%s/%s"\n' "$address" "$1" "$key" "$2" "$number"
  done <"$run/keys" >"$run/requests"
  s3 --fail-early --dump-header - --write-out '=%{http_code}\n' --config "$run/requests" >"$run/answers" || return
  : >"$run/md5"
  : >"$run/tagged"
  note "$1" "$2" <"$run/answers" 3<"$run/keys" >"$run/noted" && tags "$1" >>"$run/noted" || return
  # Another version of the server may write names of headers otherwise.
  sed "s/^[0-9]*$tab[^:]*:/\\L&/" "$run/noted" | sort >"$2/objects"
  # Content and headers of an object are read one after the other, and may be of two that had the same key.
  if [ -s "$run/md5" ]; then
    (cd "$2" && md5sum --check --quiet "$run/md5" >/dev/null 2>&1) ||
      { log "$1: an object has changed meanwhile"; return 1; }
  fi
  (cd "$2" && find . -type f -exec sha256sum {} + >"$run/sums") && mv "$run/sums" "$2/sums"
}

# note BUCKET PAGE: key and headers of each object in the answers. Of an upload in parts the ETag is not that of its content.
note() {
  while IFS= read -r line; do
    line=${line%"$carriage"}
    case $line in
      HTTP/*) IFS=$tab read -r number key <&3 && kept= etag= tagged= ;;
      [Ee][Tt]ag:*) etag=${line#*: } etag=${etag#\"} etag=${etag%\"} ;;
      [Xx]-[Aa]mz-[Tt]agging-[Cc]ount:*) tagged=yes ;;
      [Cc]ontent-[Tt]ype:* | [Cc]ontent-[Ee]ncoding:* | [Cc]ontent-[Ll]anguage:* | [Cc]ontent-[Dd]isposition:* | \
        [Cc]ache-[Cc]ontrol:* | [Ee]xpires:* | [Xx]-[Aa]mz-[Mm]eta-*:* | [Xx]-[Aa]mz-[Ww]ebsite-[Rr]edirect-[Ll]ocation:*)
        kept="$kept$number$tab$line
" ;;
      =200)
        printf '%s%s\tkey: %s\n' "$kept" "$number" "$key"
        case $etag in *-*) ;; *) echo "$etag  $number" >>"$run/md5" ;; esac
        [ -z "$tagged" ] || echo "$number$tab$key" >>"$run/tagged"
        ;;
      =404)
        rm -f "$2/$number"
        case $key in *%EF%BF%BD*) log "$1: $key: no list can name it as it is; it is not in the backup" ;; esac
        ;;
      =*) log "$1: $key: the store answers ${line#=}"; return 1 ;;
    esac
  done
}

# tags BUCKET: those of each object that has some, as the header by which they are stored.
tags() {
  while IFS=$tab read -r number key; do
    s3 --fail --output "$run/tags" "$address/$1/$key?tagging=" || return
    found=$({ tr -d '\n' <"$run/tags" && echo; } | sed 's/<Tag>/\n/g' |
      sed -n 's/^ *<Key>\([^<]*\)<\/Key> *<Value>\([^<]*\)<.*/\1<\2/p' | sed -f "$codes" | sed 's/</=/' | sort | tr '\n' '&')
    printf '%s\tx-amz-tagging: %s\n' "$number" "${found%&}"
  done <"$run/tagged"
}

reached() {
  reach store "$ADDRESS" "$ACCOUNT" 'cacert = "/run/groundwork/tls/ca.crt"'
  for bucket in $BUCKETS; do
    s3 --fail --output /dev/null "$address/$bucket?list-type=2&max-keys=1" 2>"$run/said" || return
  done
}

take() {
  begin && mkdir "$taken/buckets" && echo "$BUCKETS" >"$taken/declared" || return
  for bucket in $BUCKETS; do
    mkdir "$taken/buckets/$bucket" && take_bucket "$bucket" "$taken/buckets/$bucket" || return
  done
  (cd "$taken" && find declared buckets \( -name declared -o -name sums \) -exec sha256sum {} + >sums) || return
  deliver
}

take_bucket() {
  next= page=0
  while [ $page -eq 0 ] || [ -n "$next" ]; do
    page=$((page + 1))
    list "$1" || return
    [ -s "$run/keys" ] || continue
    folder=$2/$(printf %06d $page)
    fetch "$1" "$folder" || fetch "$1" "$folder" || fetch "$1" "$folder" || return
    [ -s "$folder/objects" ] || rm -rf "$folder"
  done
}

# compare: `same`, the number of buckets and that of objects; or what is wrong.
compare() {
  buckets=0 objects=0
  for folder in "$copy"/buckets/*; do
    bucket=${folder##*/} given=0
    s3 --fail --request PUT --output /dev/null "$address/$bucket" || { echo "$bucket can't be made"; return; }
    for page in "$folder"/*/; do
      if [ -d "$page" ]; then compare_page "$bucket" "${page%/}" || { echo "$bucket: $wrong"; return; }; fi
    done
    there=$(count "$bucket") || { echo "$bucket can't be listed"; return; }
    [ "$there" = "$given" ] || { echo "$bucket: $there objects are listed, not $given"; return; }
    buckets=$((buckets + 1)) objects=$((objects + given))
  done
  echo "same $buckets $objects"
}

# compare_page BUCKET PAGE: gives a page to the scratch server and asks for it again; the page goes, to make room.
compare_page() {
  wrong='objects can not be stored'
  give "$1" "$2" || return
  sed -n "s/${tab}key: /$tab/p" "$2/objects" >"$run/keys"
  wrong='objects can not be read'
  fetch "$1" "$copy/back" || return
  wrong=$(cd "$copy/back" && sha256sum --check --quiet "$2/sums" 2>&1 | head -n 1) && [ -z "$wrong" ] || return
  given=$((given + $(wc -l <"$run/keys")))
  rm -rf "$2"
}

# count BUCKET: objects in it.
count() {
  next= counted=0
  while :; do
    list "$1" || return
    counted=$((counted + $(wc -l <"$run/keys")))
    [ -n "$next" ] || break
  done
  echo $counted
}

serves() { s3 --fail --output /dev/null "$address/" 2>"$run/said"; }

answer() {
  reach drill http://localhost "$copy/curl"
  answers serves compare
}

encoding >"$codes"
dumps reached take 5

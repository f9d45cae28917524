# pages.sh: what dumps, drills and restores of an object store share. A page is a folder with some objects of a bucket: what
# is in them in files 1, 2 and so on, their keys and headers in `objects`, and SHA-256 of all these files in `sums`. Keys
# are written as in addresses. POSIX sh; needs curl 8, $run, a folder of its own, and $region. Amazon S3 API
# reference: PutObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, HeadObject.
export LC_ALL=C
tab=$(printf '\t') carriage=$(printf '\r')
pieces=1024 # MiB that an upload in parts sends at once
largest=4096 # MiB that one request may have; a server takes 5 GiB

# reach NAME ADDRESS ACCOUNT [SETTING]: the server that is asked from now on, by the account in a file of curl's settings.
reach() {
  address=$2 way=$run/way.$1
  {
    cat "$3" && echo "${4-}"
    echo "aws-sigv4 = \"aws:amz:$region:s3\""
    printf '%s\n' silent show-error http1.1 globoff 'connect-timeout = 10' 'speed-time = 600' 'speed-limit = 1'
  } >"$way"
}
s3() { curl --config "$way" "$@"; }

# field ELEMENT FILE: what is in the last such element.
field() { sed -n "s/.*<$1>\([^<]*\)<.*/\1/p" "$2"; }

# headers PAGE: what its objects have been stored with, as curl's settings behind their numbers. One without a value ends in
# a semicolon there.
headers() {
  sed -e "/^[0-9]*${tab}key: /d" -e 's/[\\"]/\\&/g' -e "s/^\([0-9]*$tab[^:]*\): *\$/\1;/" \
    -e "s/$tab\(.*\)/${tab}header = \"\1\"/" "$1/objects"
}

# give BUCKET PAGE: stores the objects of a page where there are none of these keys. The server compares the checksums.
give() {
  (cd "$2" && sha256sum -c sums >/dev/null) || return
  large=$(find "$2" -type f -size "+$((largest * 2048))" | sed 's|.*/||')
  for number in $large; do give_large "$1" "$2" "$number" || return; done
  {
    sed -n "s|^\([0-9]*\)${tab}key: \(.*\)|\1${tab}url = \"$address/$1/\2\"|p" "$2/objects"
    headers "$2"
    sed -n "s|^\([0-9a-f]*\)  \./\([0-9]*\)\$|\2${tab}header = \"x-amz-content-sha256: \1\"|p" "$2/sums"
  } | sort | requests "$2" >"$run/requests"
  [ -s "$run/requests" ] || return 0
  curl --fail-early --config "$run/requests" >"$run/answers" || return
  refused=$(grep -vxE '200|412' "$run/answers" | head -n 1)
  [ -z "$refused" ] || { log "$1: the store answers $refused"; return 1; }
}

# requests PAGE: all of curl's settings, of lines with the number of an object and one of its own. $large have others.
requests() {
  last= settings=$(cat "$way") large=" $(echo $large) "
  while IFS= read -r line; do
    number=${line%%"$tab"*}
    case $large in *" $number "*) continue ;; esac
    line=${line#*"$tab"}
    if [ "$number" != "$last" ]; then
      printf 'next\n%s\noutput = "/dev/null"\nwrite-out = "%%{http_code}\\n"\nheader = "if-none-match: *"\n' "$settings"
      last=$number
    fi
    case $line in
      # To an address that ends in a slash it would add the name of the file. Nothing is in such an object.
      'url = '*'/"') printf 'request = "PUT"\ndata-binary = "@%s/%s"\n' "$1" "$number" ;;
      'url = '*) printf 'upload-file = "%s/%s"\n' "$1" "$number" ;;
    esac
    printf '%s\n' "$line"
  done
}

# give_large BUCKET PAGE NUMBER: stores an object in parts, unless there is one of its key. Of one that was begun and not
# ended, nothing stays.
give_large() {
  begun=${2%/*}/begun piece=${2%/*}/piece
  if [ -e "$begun" ]; then s3 --output /dev/null --request DELETE "$address/$(cat "$begun")" && rm "$begun" || return; fi
  object=$1/$(sed -n "s/^$3${tab}key: //p" "$2/objects")
  found=$(s3 --head --output /dev/null --write-out '%{http_code}' "$address/$object") || return
  [ "$found" != 200 ] || return 0
  headers "$2" | sed -n "s/^$3$tab//p" >"$run/headers"
  s3 --fail --config "$run/headers" --data '' --output "$run/started" "$address/$object?uploads=" || return
  upload="uploadId=$(field UploadId "$run/started")"
  echo "$object?$upload" >"$begun"
  size=$(wc -c <"$2/$3") part=0
  echo '<CompleteMultipartUpload>' >"$run/parts"
  while [ $((part * pieces * 1048576)) -lt "$size" ]; do
    dd if="$2/$3" bs=1048576 skip=$((part * pieces)) count=$pieces >"$piece" 2>/dev/null || return
    part=$((part + 1)) sum=$(sha256sum "$piece")
    tag=$(s3 --fail --upload-file "$piece" --header "x-amz-content-sha256: ${sum%% *}" --write-out '%header{etag}' \
      --output /dev/null "$address/$object?partNumber=$part&$upload") || return
    echo "<Part><PartNumber>$part</PartNumber><ETag>$tag</ETag></Part>" >>"$run/parts"
  done
  echo '</CompleteMultipartUpload>' >>"$run/parts"
  s3 --fail --data-binary "@$run/parts" --header 'Content-Type: application/xml' --header 'if-none-match: *' \
    --output "$run/ended" "$address/$object?$upload" && ! grep -q '<Error>' "$run/ended" && rm "$begun" "$piece"
}

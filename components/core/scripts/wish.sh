# wish.sh FOLDER CHOICE [MEMBER...]: has the carrier fetch a backup, or these files of it, into FOLDER/got/set; fails where
# there is none.
set -eu
folder=$1
shift
mkdir -p "$folder/want" "$folder/got"
rm -rf "$folder/got/set" "$folder/got/set.missing"
echo "$*" >"$folder/wish"
mv "$folder/wish" "$folder/want/set"
until [ -e "$folder/got/set" ]; do
  if [ -e "$folder/got/set.missing" ]; then
    echo "wish: the store has no such backup: $1" >&2
    exit 1
  fi
  sleep 1
done

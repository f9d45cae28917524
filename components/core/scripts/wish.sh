# wish.sh FOLDER CHOICE: has the carrier fetch a backup into FOLDER/got/set; fails where there is none.
set -eu
mkdir -p "$1/want" "$1/got"
rm -rf "$1/got/set" "$1/got/set.missing"
echo "$2" >"$1/wish"
mv "$1/wish" "$1/want/set"
until [ -e "$1/got/set" ]; do
  if [ -e "$1/got/set.missing" ]; then
    echo "wish: the store has no such backup: $2" >&2
    exit 1
  fi
  sleep 1
done

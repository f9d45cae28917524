# restore.sh FOLDER CHOICE DATA: makes DATA of a backup that the helper beside this server fetches into FOLDER.
set -eu
sh "${0%/*}/wish.sh" "$1" "$2"
pg_verifybackup --quiet "$1/got/set/data"
touch "$1/got/set/data/recovery.signal"
chmod 700 "$1/got/set/data"
mv "$1/got/set/system" "$1/system"
echo "restore: $(cat "$1/got/set/name")" >&2
mv -T "$1/got/set/data" "$3"

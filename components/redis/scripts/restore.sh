# restore.sh FOLDER CHOICE DATA: makes the first file of a log of writes in DATA of a snapshot that the helper beside this
# server fetches into FOLDER. Redis documentation, "Redis persistence": the first file of such a log may be a snapshot.
set -eu
sh "${0%/*}/wish.sh" "$1" "$2"
cd "$1/got/set"
sha256sum -c sums >/dev/null
log=$3/appendonlydir
rm -rf "$log.new"
mkdir "$log.new"
mv dump.rdb "$log.new/appendonly.aof.1.base.rdb"
echo 'file appendonly.aof.1.base.rdb seq 1 type b' >"$log.new/appendonly.aof.manifest"
echo "restore: $(cat name)" >&2
mv "$log.new" "$log"

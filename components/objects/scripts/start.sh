# start.sh: becomes the server, and measures what it holds beside it. POSIX sh.
set -eu
umask 077
etc=/etc/objects data=/var/tmp metrics=/run/metrics
trap 'exit 143' TERM
mkdir -p "$data/buckets" "$data/versions"

# count FOLDER: objects in it. Parts of uploads that are not complete lie in .sgwtmp.
count() { find "$1" -name .sgwtmp -prune -o -type f -print | wc -l; }

# size FOLDER...: bytes on disk of those that there are.
size() {
  for folder; do [ ! -d "$folder" ] || du -sk "$folder"; done | {
    sum=0
    while read -r kibibytes _; do sum=$((sum + kibibytes)); done
    echo $((sum * 1024))
  }
}

# disk: room on the volume.
disk() {
  df -Pk "$data" | {
    read -r _
    read -r _ size _ free _
    echo "objects_disk_size_bytes $((size * 1024))"
    echo "objects_disk_free_bytes $((free * 1024))"
  }
}

# measure: the metrics of this server, as its neighbour serves them.
measure() {
  {
    for kind in disk_size_bytes disk_free_bytes bucket_objects bucket_bytes; do echo "# TYPE objects_$kind gauge"; done
    disk
    for folder in "$data"/buckets/*/; do
      [ -d "$folder" ] || continue
      name=${folder%/} && name=${name##*/}
      echo "objects_bucket_objects{bucket=\"$name\"} $(count "$folder")"
      echo "objects_bucket_bytes{bucket=\"$name\"} $(size "$folder" "$data/versions/$name")"
    done
  } >$metrics/objects.new && mv $metrics/objects.new $metrics/objects.prom
}

set -a
. $etc/versitygw.conf
set +a
# The server takes its first account from its arguments or variables alone. Nobody gets to know this one.
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
ROOT_ACCESS_KEY_ID=$(random) ROOT_SECRET_ACCESS_KEY=$(random) versitygw posix "$data/buckets" &
server=$!
trap 'kill $server' TERM
while measure || :; sleep 60 && kill -0 $server 2>/dev/null; do :; done &
status=0
while kill -0 $server 2>/dev/null; do
  status=0
  wait $server || status=$?
done
exit $status

# wal.sh FOLDER COPY FILE PATH: a server's restore_command. The carrier fetches a file of the log into FOLDER/got; COPY
# says whose log it is. PostgreSQL documentation, "restore_command".
set -eu
got=$1/got/$3
rm -f "$got" "$got.missing"
echo "wal/$(cat "$2/system")/$3" >"$1/wish.$3"
mv "$1/wish.$3" "$1/want/$3"
until [ -e "$got" ]; do
  if [ -e "$got.missing" ]; then exit 1; fi
  sleep 0.1
done
mv "$got" "$4"

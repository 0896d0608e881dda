#!/bin/sh
# Two machines, one bucket, one key: the second save is refused, nothing is lost, and the loser tries
# again. Everything is here: a server and two mounts of its bucket, which stand for two machines.
# Needs /dev/fuse, etagfs (or ETAGFS=/path/to/it) and python3. Leaves nothing behind.
set -eu

etagfs=${ETAGFS:-etagfs}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
mkdir "$work/one" "$work/two"

say() { printf '\n# %s\n' "$*"; }
wrong() {
    echo "race.sh: $*" >&2
    exit 1
}

demo=
clean_up() {
    trap - EXIT
    if [ -n "${mounted:-}" ]; then "$etagfs" umount "$work/one" || true; fi
    if [ -n "$demo" ]; then
        kill "$demo" 2>/dev/null || true
        wait "$demo" || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# A server with a bucket called demo, and the second machine's mount of it.
: >"$work/demo.log"
"$etagfs" demo "$work/two" >"$work/demo.log" 2>&1 &
demo=$!
server= tries=0
while [ -z "$server" ]; do
    server=$(sed -n 's/^The server is \(http:[^ ]*\).*/\1/p' "$work/demo.log")
    tries=$((tries + 1))
    [ "$tries" -le 300 ] || wrong "no demo: $(cat "$work/demo.log")"
    sleep 0.1
done
# The first machine's.
"$etagfs" mount s3://demo "$work/one" --daemon --endpoint-url "$server" --no-sign-request \
    --state-dir "$work/state" >"$work/mount.log" 2>&1 || wrong "no mount: $(cat "$work/mount.log")"
mounted=yes
store=$(ls "$work/one")
one=$work/one/$store two=$work/two/$store

say "Both machines read the counter ..."
value=$(cat "$one/counter")
other=$(cat "$two/counter")
echo "one: $value, two: $other"

say "... both add something; the second machine saves first ..."
echo $((other + 1)) >"$two/counter"
echo "two: saved $(cat "$two/counter")"

say "... and the first one is refused: it has not seen what it would overwrite."
echo $((value + 10)) >"$one/counter.new"
if mv "$one/counter.new" "$one/counter"; then wrong "an update was lost"; fi
[ "$(cat "$one/counter")" -eq 1 ] || wrong "the winner's value is gone"
echo "one: the counter is $(cat "$one/counter")"

say "What it wanted to save is kept:"
"$etagfs" rescue --state-dir "$work/state" ls | cut -d ' ' -f 2-
[ "$(cat "$work"/one/.etagfs/rescue/*)" -eq 10 ] || wrong "the loser's value is gone"

say "The remedy is to begin again: read, change, save."
until
    value=$(cat "$one/counter")
    echo $((value + 10)) >"$one/counter.new"
    mv "$one/counter.new" "$one/counter"
do :; done
echo "one: saved $(cat "$one/counter")"
[ "$(cat "$two/counter")" -eq 11 ] || wrong "two does not see what one saved"

say "So both can add as often as they like, at the same time (counter.py):"
add() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do python3 "$here/counter.py" "$1" >/dev/null; done
}
add "$one/counter" &
adding=$!
add "$two/counter"
wait "$adding"
echo "11 + 10 + 10 = $(cat "$two/counter")"
[ "$(cat "$two/counter")" -eq 31 ] || wrong "an update was lost"

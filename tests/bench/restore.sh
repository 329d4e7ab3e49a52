#!/usr/bin/env bash
# `litepull restore --to-server` beside rsync and scp: the server has today's database, and yesterday's snapshot goes back
# onto it. Only litepull may be used while an app has the database open; the others are here for their time and bytes.
#
#   tests/bench/restore.sh [--size BYTES] [--rounds N] [BIN_DIR]
#
# BIN_DIR has litepull and litepull-agent (default build/release/bin); about five times the size must be free in $TMPDIR.
set -euo pipefail
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

repo=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../support/private_sshd.sh
. "$repo/tests/support/private_sshd.sh"

size=1003110400
rounds=3
while [ $# -gt 0 ]; do
  case $1 in
    --size) size=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) break ;;
  esac
done
bin=${1:-$repo/build/release/bin}
tools=$repo/build/dev/bin

work=$(mktemp -d)
clean_up() {
  stop_private_sshd
  rm -rf "$work"
}
trap clean_up EXIT
start_private_sshd "$work/sshd"

mkdir -p "$work/storage"
live=$work/storage/bench.sqlite3
"$tools/make_bench_db" "$live" "$size" >/dev/null
cat >"$work/app.env" <<CONFIG
APP_NAME=bench
LOCAL_BACKUP_ROOT=$work/snapshots
SERVER_USER=$SSH_USER
SERVER_HOST=127.0.0.1
SERVER_PORT=$SSHD_PORT
SSH_KEY=$SSH_KEY
SSH_KNOWN_HOSTS=$SSH_KNOWN_HOSTS
REMOTE_BACKUP_DIR=$work/storage
CONFIG
"$bin/litepull" backup --quiet "$work/app.env"
snapshot=$(basename "$(find "$work/snapshots/bench" -mindepth 1 -maxdepth 1 -name '2*')")
old=$work/snapshots/bench/$snapshot/bench.sqlite3
cp "$live" "$work/today.sqlite3"
"$tools/make_bench_db" --change "$work/today.sqlite3" >/dev/null

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Prints a line: way, milliseconds, bytes sent.
run_way() {  # WAY
  local started sent
  cp "$work/today.sqlite3" "$live"
  rm -f "$live-wal" "$live-shm"
  sync -f "$work"
  cat "$live" "$old" >/dev/null
  started=$(now_ms)
  case $1 in
    litepull | litepull-safe)
      local options=(--yes bench --json)
      [ "$1" = litepull-safe ] || options+=(--no-safety-snapshot)
      "$bin/litepull" restore "$work/app.env" "$snapshot" --to-server "${options[@]}" >"$work/result.json" ;;
    rsync) rsync -a --no-whole-file --inplace -I --stats -e "ssh ${SSH_OPTIONS[*]}" "$old" \
      "$SSH_USER@127.0.0.1:$live" >"$work/result.txt" ;;
    rsync-z) rsync -az --no-whole-file --inplace -I --stats -e "ssh ${SSH_OPTIONS[*]}" "$old" \
      "$SSH_USER@127.0.0.1:$live" >"$work/result.txt" ;;
    scp) scp -q -O "${SSH_OPTIONS[@]/#-p/-P}" "$old" "$SSH_USER@127.0.0.1:$live" ;;
  esac
  started=$(($(now_ms) - started))
  cmp -s -i 100 "$old" "$live" || [[ $1 = litepull* ]] || { echo "$1 left another file" >&2; exit 1; }
  case $1 in
    litepull*) sent=$(sed -n 's/.*"sent_bytes": *\([0-9]*\).*/\1/p' "$work/result.json" | tail -n 1) ;;
    rsync*) sent=$(sed -n 's/^Total bytes sent: \([0-9,]*\)/\1/p' "$work/result.txt" | tr -d ,) ;;
    scp) sent=$(stat -c %s "$old") ;;
  esac
  echo "$1 $started $sent"
}

for ((round = 1; round <= rounds; ++round)); do
  for way in litepull litepull-safe rsync rsync-z scp; do run_way "$way" | tee -a "$work/runs" >&2; done
done
echo
printf '%-16s %10s %14s\n' way "median, s" "sent, bytes"
for way in litepull litepull-safe rsync rsync-z scp; do
  awk -v way="$way" '$1 == way { print $2, $3 }' "$work/runs" | sort -n |
    awk -v way="$way" '{ ms[NR] = $1; sent = $2 } END { printf "%-16s %10.2f %14d\n", way, ms[int((NR + 1) / 2)] / 1000, sent }'
done
